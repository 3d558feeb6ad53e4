"""Simple classifiers on vectors of songs: what probes fit, and what a network must be ahead of."""
