"""Networks that were published to be trained without labels."""
