"""The report of an evaluation: on disk, as figures, and as one HTML page."""
