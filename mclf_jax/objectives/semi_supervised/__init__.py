"""Objectives that learn from labelled and unlabelled songs at once."""
