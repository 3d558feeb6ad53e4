"""Convolutions that XLA is slow at on CPUs, written otherwise."""
