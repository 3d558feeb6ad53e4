"""From audio files to what networks take in, for numpy and for jax.numpy."""
