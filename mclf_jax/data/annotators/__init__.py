"""What several people said of each recording, and how far they agree."""
