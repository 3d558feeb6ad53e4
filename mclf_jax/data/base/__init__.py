"""What every data set gives: examples by index, and the windows of a song."""
