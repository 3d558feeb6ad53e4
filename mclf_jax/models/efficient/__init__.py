"""Networks that are made to compute little."""
