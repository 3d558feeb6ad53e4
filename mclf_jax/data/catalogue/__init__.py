"""What a data set says about itself before any audio is decoded."""
