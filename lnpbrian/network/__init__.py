"""A network: its numbers, its Brian2 objects, its edits and its runs."""
