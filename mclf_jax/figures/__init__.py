"""Every matplotlib figure of the package: arrays in, a Figure out."""
