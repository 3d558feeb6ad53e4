"""Which songs are for training, validation and test: arrays in, indices out."""
