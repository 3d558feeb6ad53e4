"""Labels that spread over a graph of windows, many of them without a label."""
