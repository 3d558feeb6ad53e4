"""One thing that a check looked at, and what it showed."""

from collections.abc import Iterable
from typing import NamedTuple

VERDICTS = ("leak", "warning", "note", "passed")
"""From worst to best. A leak makes scores on valid or test too good."""


class Finding(NamedTuple):
    """A sentence and a verdict.

    Attributes:
        topic: "files", "audio", "duplicates", "leakage", "labels", "label names" or "traps":
            known traps of the data set with this name.
        verdict: one of `VERDICTS`.
        message: a sentence with figures.
        details: lines, such as the items it is about.
    """

    topic: str
    verdict: str
    message: str
    details: tuple[str, ...] = ()


def plural(count: int, noun: str) -> str:
    """ "1 label", "2 labels"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def by_size(texts: Iterable[tuple[float, str]]) -> tuple[str, ...]:
    """The texts, the largest number first."""
    return tuple(text for _, text in sorted(texts, key=lambda pair: -pair[0]))
