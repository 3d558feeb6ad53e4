"""Masked tokens: codes of what is heard, told by a network that hears a part of it."""
