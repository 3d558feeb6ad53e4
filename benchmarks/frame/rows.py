"""Which rows are asked for."""

from collections.abc import Sequence


def wanted(name: str, only: Sequence[str]) -> bool:
    """Whether a row is asked for: nothing is said, or its name has one of the words."""
    return not only or any(word in name for word in only)
