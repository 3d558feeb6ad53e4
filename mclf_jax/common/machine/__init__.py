"""This machine, as far as a program has to know it."""
