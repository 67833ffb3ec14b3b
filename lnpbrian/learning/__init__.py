"""Tasks, input, readout and training of networks, pruned or not."""
