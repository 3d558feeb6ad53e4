"""Published networks for tagging and classification, one file each."""
