"""Readers of published data sets, one file each: metadata as its authors distribute it."""
