"""From a run and a split to scores of songs, metrics and a report of them."""
