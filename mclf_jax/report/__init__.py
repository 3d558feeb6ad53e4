"""Pages of a run, of a data set and of augmentations: one HTML file each."""
