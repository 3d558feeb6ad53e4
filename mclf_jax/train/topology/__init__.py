"""What a training step costs on devices that are not here: compiled for them, and read."""
