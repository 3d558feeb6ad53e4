"""Runs beside each other: on the same songs, and on songs that are changed."""
