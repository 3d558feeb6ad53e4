"""Audio files on disk as a data set."""
