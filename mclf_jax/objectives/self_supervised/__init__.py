"""Objectives that compare views of songs and need no labels."""
