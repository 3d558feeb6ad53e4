"""Which section of docs/troubleshooting.md explains a message: the one that quotes its words.

The page is the only list. Below each heading stand quoted lines, as people read them in a message;
`...` in one of them is for what differs from one message to the next.
"""

import re
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[2]
_NAME = "troubleshooting.md"


def page() -> Path | None:
    """The page: in an installed wheel or in a checkout; None where neither is."""
    for folder in (_PACKAGE / "docs", _PACKAGE.parent / "docs"):
        if (folder / _NAME).is_file():
            return folder / _NAME
    return None


def sections(text: str) -> dict[str, list[str]]:
    r"""{heading: its quoted lines} of a page.

    >>> sections("# Page\n### Not audio\n\n> not audio: ...\n> no music\n\nThe file is ...")
    {'Not audio': ['not audio: ...', 'no music']}
    """
    found: dict[str, list[str]] = {}
    heading = ""
    for line in text.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("#").strip()
        elif line.startswith("> ") and heading:
            found.setdefault(heading, []).append(line[2:].strip())
    return found


def is_quoted_by(quote: str, message: str) -> bool:
    """Whether a message has the words of a quoted line, in this order.

    >>> is_quoted_by("is ...; allowed: ...", "optim.name is 'sdg'; allowed: adam, sgd")
    True
    """
    parts = [re.escape(part.strip()) for part in re.split(r"\.\.\.|…", quote)]
    return re.search(".*?".join(parts), message, re.DOTALL | re.IGNORECASE) is not None


def where_explained(message: str) -> str | None:
    """`PAGE#heading` of the section that explains a message; None where none does."""
    if (file := page()) is None:
        return None
    for heading, quotes in sections(file.read_text(encoding="utf-8")).items():
        if any(is_quoted_by(quote, message) for quote in quotes):
            return f"{file}#{anchor(heading)}"
    return None


def anchor(heading: str) -> str:
    """Of a heading, as GitHub and Sphinx make it.

    >>> anchor("Loss is NaN, or `inf`")
    'loss-is-nan-or-inf'
    """
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
