"""What the paper shows in a table or a figure, one module each."""
