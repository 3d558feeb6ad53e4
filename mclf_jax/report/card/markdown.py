"""Text that was written by others, in Markdown: it shows as it is, and does nothing there."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_LONGEST = 400  # characters; a label is a few words
# What begins a heading, list, quotation, rule or block of code, at the start of a line.
_STARTS = re.compile(r"^(#+(?=\s|$)|>|[-+](?=[\s-]|$)|=+$)")
_NUMBERED = re.compile(r"^(\d+)([.)])(?=\s|$)")
# Inside of a word an underscore means nothing, and many labels have one.
_MARKS = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])")


class Markdown(str):
    """Text that is Markdown already, such as a table of escaped cells."""


def inline(value: Any) -> str:
    """A value on one line, without any meaning in Markdown or HTML; `Markdown` stays as it is."""
    if isinstance(value, Markdown):
        return value
    # A file name need not be valid Unicode.
    text = str(value).encode(errors="backslashreplace").decode()
    text = " ".join(text.split())
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    # Among them are those that turn the direction of writing.
    text = "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cf") else c for c in text)
    # Entities, as older readers of Markdown do not know "\<".
    text = re.sub(r"&(?=#?\w+;)", "&amp;", text).replace("<", "&lt;")
    text = _MARKS.sub(r"\\\g<0>", text)
    # "<" of "&lt;" is done; a ">" means something at the start alone.
    return _NUMBERED.sub(r"\1\\\2", _STARTS.sub(r"\\\g<0>", text))


def paragraphs(value: str | Sequence[str]) -> Markdown:
    """Text of several paragraphs, or a list of points."""
    if not isinstance(value, str):
        return Markdown("\n".join(f"- {inline(each)}" for each in value))
    blocks = (block for block in re.split(r"\n\s*\n", value) if block.strip())
    return Markdown("\n\n".join(map(inline, blocks)))


def listed(values: Iterable[Any]) -> Markdown:
    """Values on one line, with commas."""
    return Markdown(", ".join(map(inline, values)))


def pairs(values: Mapping | Iterable[tuple], form: str) -> Markdown:
    """The same of pairs, each in a form such as "{} ({})"."""
    items = values.items() if isinstance(values, Mapping) else values
    return Markdown(", ".join(form.format(inline(first), inline(last)) for first, last in items))


def table(head: Sequence[str], rows: Sequence[Sequence[Any]], *, numbers_from: int) -> Markdown:
    """A table; columns from `numbers_from` on are aligned as numbers. All cells are escaped."""
    cells = [[inline(cell) for cell in row] for row in (head, *rows)]
    widths = [max(3, *(len(row[k]) for row in cells)) for k in range(len(head))]

    def line(row: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if k < numbers_from else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "| " + " | ".join(padded) + " |"

    rule = [
        "-" * width if k < numbers_from else "-" * (width - 1) + ":"
        for k, width in enumerate(widths)
    ]
    return Markdown("\n".join([line(cells[0]), line(rule), *map(line, cells[1:])]))
