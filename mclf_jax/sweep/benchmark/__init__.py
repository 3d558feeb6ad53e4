"""Encoders that are there already, over many tasks by one protocol, in one table."""
