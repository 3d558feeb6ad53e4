"""What is in an audio file: where its sound begins, goes on and ends, whatever its header says."""
