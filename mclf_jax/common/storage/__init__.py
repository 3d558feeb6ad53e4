"""Object storage (`gs://`, `s3://`): what is on it is copied to a disk, or read in parts."""
