"""A tagger behind a page and a JSON interface, on this machine or for others."""
