"""Decoding a data set once, and reading what came of it."""
