"""Published weights in, and the weights of a run out."""
