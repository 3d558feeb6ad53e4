"""Taxonomies that come with the package: rules that make a vocabulary of what listeners wrote.

The rules, in this order, of each tag:

1. Unicode is composed, case is folded, `&` and a lone `n` between words are `and`, apostrophes go,
   hyphens, underscores, slashes and dots are spaces, and spaces are single.
2. Decades in any spelling (1980s, 80's, the eighties) are 80s, the last century's where no other is
   said, and 00s, 10s and 20s of this one.
3. Tags that differ by spaces alone are one (hiphop, hip hop).
4. Synonyms of the file become the name that stands there for them.
5. What says something of the listener and not of the music (seen live, favourites) is dropped.
"""

import functools
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mclf_jax.common.text import documents

SHIPPED = {"lastfm": Path(__file__).with_name("lastfm.json")}
"""Name of `data.taxonomy` -> its file of synonyms and of what is dropped."""

_WORDS = {
    "fifties": "50s",
    "sixties": "60s",
    "seventies": "70s",
    "eighties": "80s",
    "nineties": "90s",
    "noughties": "00s",
}
_DECADE = re.compile(r"(?:the )?(?:(19|20)?([0-9])0 ?s)(?: music)?")


def normal(tag: str) -> str:
    """A tag by the first two rules.

    >>> normal("R'n'B"), normal("Hip-Hop"), normal("1980's"), normal("the Sixties")
    ('r and b', 'hip hop', '80s', '60s')
    """
    text = unicodedata.normalize("NFKC", tag).casefold()
    text = re.sub(r"(?<=\w) *['\u2019]n['\u2019]? *(?=\w)", " and ", text)
    text = re.sub("['\u2019`]", "", text).replace("&", " and ")
    text = re.sub(r"(?<=\w) n (?=\w)", " and ", re.sub(r"[-_/.\\+\s]+", " ", text)).strip()
    text = _WORDS.get(text.removeprefix("the "), text)
    if decade := _DECADE.fullmatch(text):
        return f"{decade[2]}0s"
    return " ".join(text.split())


def named(name: str, labels: Sequence[str]) -> dict[str, Any]:
    """The parts of a taxonomy (`taxonomy.Taxonomy`) for the labels that a data set has.

    Args:
        name: one of `SHIPPED`.
        labels: of the data set.
    """
    known = _read(name)
    new_name: dict[str, str] = {}
    drop = []
    spelled: dict[str, str] = {}
    for label in labels:
        text = normal(label)
        if not text or known["drop"].fullmatch(text):
            drop.append(label)
            continue
        key = text.replace(" ", "")
        new_name[label] = known["synonyms"].get(key) or spelled.setdefault(key, text)
    merged: dict[str, list[str]] = {}
    for label, new in new_name.items():
        merged.setdefault(new, []).append(label)
    return {
        "rename": {m[0]: new for new, m in merged.items() if len(m) == 1 and m[0] != new},
        "merge": {new: members for new, members in merged.items() if len(members) > 1},
        "drop": drop,
    }


@functools.lru_cache
def _read(name: str) -> dict[str, Any]:
    """{"synonyms": {key: name}, "drop": a pattern} of a file, under the rules."""
    found = documents.read(SHIPPED[name])
    synonyms = {}
    for wanted, spellings in found["synonyms"].items():
        for spelling in (wanted, *spellings):
            synonyms[normal(spelling).replace(" ", "")] = wanted
    return {"synonyms": synonyms, "drop": re.compile("|".join(f"(?:{p})" for p in found["drop"]))}
