"""What commands do with many songs: hear each, skip the bad ones, keep what is done."""
