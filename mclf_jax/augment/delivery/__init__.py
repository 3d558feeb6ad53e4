"""What happens to a song on its way to its listeners: loudness compression, MP3 and Ogg."""
