"""Transformers on patches of spectrograms, of which any subset can be encoded alone."""
