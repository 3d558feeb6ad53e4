"""Data sets that TensorFlow Datasets prepared, read without TensorFlow."""
