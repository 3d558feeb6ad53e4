"""Any model on any data: what it says of songs of a data set that it never saw."""
