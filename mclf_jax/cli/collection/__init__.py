"""Commands for whole collections of songs."""
