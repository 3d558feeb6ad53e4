"""A data set seen differently: other labels, other splits, the same songs."""
