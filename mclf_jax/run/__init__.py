"""A run directory: what a run leaves behind, and all that loading it needs."""
