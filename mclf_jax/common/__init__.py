"""What every room uses and no room owns: files, checks, progress, keys, devices."""
