"""Images: what is read and how it is shown, classified and trained on; conversion and training of spiking ResNets."""
