"""Tables of text: one strict reader for all of them, and cells that spreadsheets take as text.

What does not fit is an error that names the file, the line, what was got and what was expected;
nothing is dropped, and nothing is made up.
"""

import collections
import csv
import dataclasses
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from mclf_jax.common import checks

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_LINE_END = re.compile("\r\n|\r|\n")
_BYTE_ORDER_MARKS = {  # the longer ones first, which begin like the shorter ones
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"PK\x03\x04": "a spreadsheet (such as .xlsx) or another zip file",
    b"\x1f\x8b": "compressed by gzip",
}
# After any number of apostrophes, so that taking one away undoes what adding one did.
_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_SHOWN_CELLS, _SHOWN_LETTERS = 8, 40


@dataclasses.dataclass(frozen=True)
class Dialect:
    """How a table is written, where that is not CSV as spreadsheets write it.

    Attributes:
        separator: of cells.
        quotes: "strict", or "loose" where letters may follow a quote that closes a cell.
        breaks: of lines in a cell: "doubted", refused where the cell is made of whole rows, as
            after a quote that nobody meant; or "trusted", of tables that a program wrote.
        blanks: "kept", or "skipped" where they may follow a separator, before a quote.
        rows: "whole": as many cells as the header; "short": they may end early, and what is missing
            is empty; "long": the last column has all further cells, between separators.
        undecodable: "refused", or "replaced" where single letters do not matter.
    """

    separator: str = ","
    quotes: str = "strict"
    breaks: str = "doubted"
    blanks: str = "kept"
    rows: str = "whole"
    undecodable: str = "refused"

    def __post_init__(self):
        checks.choice("separator", self.separator, _SEPARATORS)
        checks.choice("quotes", self.quotes, ("strict", "loose"))
        checks.choice("breaks", self.breaks, ("doubted", "trusted"))
        checks.choice("blanks", self.blanks, ("kept", "skipped"))
        checks.choice("rows", self.rows, ("whole", "short", "long"))
        checks.choice("undecodable", self.undecodable, ("refused", "replaced"))


TAGS = {"labels": "tags are separated by |, as in rock|fast"}
"""For `read`."""

CSV = Dialect()
TSV = Dialect(separator="\t")
WRITTEN = Dialect(breaks="trusted")
"""By a program, whose quotes are right."""


@dataclasses.dataclass(frozen=True)
class Table:
    """A table with a header line.

    Attributes:
        path: of the file.
        columns: their names, in order; those without a name are not there.
        rows: (line in which it ends, {column: cell}) of each row, read once, as it is asked for.
    """

    path: Path
    columns: tuple[str, ...]
    rows: Iterator[tuple[int, dict[str, str]]]


def read(
    path: str | os.PathLike,
    *,
    columns: Sequence[str] = (),
    dialect: Dialect = CSV,
    names: str = "as written",
    needs: str = "",
    hints: Mapping[str, str] | None = None,
) -> Table:
    """Reads a table whose first line names the columns.

    A byte-order mark, any ends of lines and empty lines below the header are fine, and so is a
    first column of row numbers without a name, as pandas writes it.

    Args:
        path: of a file in UTF-8.
        columns: that it must have.
        dialect: how it is written.
        names: "as written", or "lower case", in which Label is label.
        needs: its columns in words, where `columns` are not all.
        hints: {column: what to say of rows with too many cells where there is that column}.

    Raises:
        ValueError: a column is missing or named twice, a row does not fit the header, a quote is
            not closed, or the file is not such text: at once, or as rows are read. The message
            names file and line.
    """
    path = Path(path)
    checks.choice("names", names, ("as written", "lower case"))
    rows = read_cells(path, dialect=dialect)
    line, header = next(rows, (0, []))
    if line - _ends_of_lines(header) != 1 or not any(cell.strip() for cell in header):
        what = "the line" if line or os.path.getsize(path) else "the file"
        raise ValueError(
            f"{path}, line 1: {what} is empty and names the columns (none); it needs"
            f" {needs or ', '.join(columns) or 'some'}"
        )
    if any(dialect.separator in cell and _LINE_END.search(cell) for cell in header):
        raise ValueError(
            f"{path}, line 1: a quote in the header is closed in line {line} only; got"
            f" {', '.join(map(_shortened, header))}"
        )
    found = [name.strip().lower() if names == "lower case" else name.strip() for name in header]
    for name, count in collections.Counter(filter(None, found)).items():
        if count > 1:
            places = [str(k) for k, other in enumerate(found, 1) if other == name]
            raise ValueError(
                f"{path}, line 1: the columns {' and '.join(places)} are both named {name!r};"
                " each name may be there once"
            )
    if missing := [name for name in columns if name not in found]:
        raise ValueError(
            f"{path}, line 1: the header has no column {', '.join(missing)}; it has"
            f" {', '.join(filter(None, found))}" + separated_by(header, dialect=dialect)
        )
    named = tuple(name for name in found if name)
    return Table(path, named, _fitted(rows, path, found, dialect=dialect, hints=hints or {}))


def _fitted(
    rows: Iterable[tuple[int, list[str]]],
    path: Path,
    names: Sequence[str],
    *,
    dialect: Dialect,
    hints: Mapping[str, str],
) -> Iterator[tuple[int, dict[str, str]]]:
    nameless = [k for k, name in enumerate(names) if not name]
    for line, cells in rows:
        if len(cells) != len(names):
            if dialect.rows == "short" and len(cells) < len(names):
                cells += [""] * (len(names) - len(cells))
            elif dialect.rows == "long" and len(cells) > len(names):
                last = len(names) - 1
                cells[last:] = [dialect.separator.join(cells[last:])]
            else:
                begin = line - _ends_of_lines(cells)
                raise ValueError(_misfit(f"{path}, line {begin}", cells, names, dialect, hints))
        for k in nameless:
            cell = cells[k].strip() if k < len(cells) else ""
            if cell and not (k == 0 and cell.isdecimal()):
                raise ValueError(
                    f"{path}, line {line}: {_shortened(cells[k])} stands in column {k + 1}, which"
                    f" has no name in the header ({', '.join(names)}): name the column, or take it"
                    " out (pandas: to_csv(index=False))"
                )
        row = dict(zip(names, cells, strict=True))
        row.pop("", None)
        yield line, row


def _misfit(
    where: str, cells: list[str], names: Sequence[str], dialect: Dialect, hints: Mapping[str, str]
) -> str:
    def listed(texts: Sequence[str]) -> str:
        more = [f"and {len(texts) - _SHOWN_CELLS} more"] if len(texts) > _SHOWN_CELLS else []
        return ", ".join([*texts[:_SHOWN_CELLS], *more])

    text = (
        f"{where}: {len(cells)} cell{'s' * (len(cells) != 1)}, not {len(names)} as in the header"
        f" ({listed(names)}); got {listed(list(map(_shortened, cells)))}"
    )
    if len(cells) > len(names):
        what = _SEPARATORS[dialect.separator]
        text += f". Cells that hold {what} must be between quotes"
        text += "".join(f"; {hint}" for name, hint in hints.items() if name in names)
    elif _ends_of_lines(cells):
        text += ". A quote opens a cell that goes over the end of the line: close it"
    return text + separated_by(cells, dialect=dialect)


def _ends_of_lines(cells: Iterable[str]) -> int:
    return sum(len(_LINE_END.findall(cell)) for cell in cells)


def separated_by(cells: Sequence[str], *, dialect: Dialect) -> str:
    """For a message: what else may separate the cells of a line, "" where nothing looks like it."""
    if len(cells) != 1:
        return ""
    other = max(_SEPARATORS, key=cells[0].count)
    if other == dialect.separator or not cells[0].count(other):
        return ""
    return (
        f". It seems to be separated by {_SEPARATORS[other]}: save it separated by"
        f" {_SEPARATORS[dialect.separator]}"
    )


def _refuse_rows_in_cells(path: Path, begin: int, cells: Sequence[str], dialect: Dialect) -> None:
    """Raise a ValueError if a cell of several lines is made of whole rows.

    A quote that was meant as a letter opens a cell, which ends at the next such quote. Then the
    lines in between have as many separators as rows have, or more where rows had quotes.
    """
    line, others, separator = begin, len(cells) - 1, dialect.separator
    for k, cell in enumerate(cells):
        first, *inner = _LINE_END.split(cell)
        counts = [piece.count(separator) for piece in (first, *filter(str.strip, inner))]
        of_rows = [others - k, *[others] * (len(counts) - 2), k]
        had_quotes = f'"{separator}' in cell or f'{separator}"' in cell
        enough = had_quotes and all(n >= m for n, m in zip(counts, of_rows, strict=False))
        if len(counts) > 1 and (counts == of_rows or enough):
            raise ValueError(
                f"{path}, line {line}: a quote opens cell {k + 1}, {_shortened(first)}, which goes"
                f" on to line {line + len(inner)} and holds what looks like whole rows: close the"
                ' quote, write a quote that is a letter as "" in a quoted cell, or take the ends of'
                " lines out of the cell"
            )
        line += len(inner)


def read_cells(
    path: str | os.PathLike, *, dialect: Dialect = CSV
) -> Iterator[tuple[int, list[str]]]:
    """(line in which it ends, cells) of each row that is not empty, whatever it has of them.

    Raises:
        ValueError: a quote is not closed, or the file is not text in UTF-8; the message names file
            and line.
    """
    path = Path(path)
    reader = csv.reader(
        _lines_with_ends(path, undecodable=dialect.undecodable),
        delimiter=dialect.separator,
        strict=dialect.quotes == "strict",
        skipinitialspace=dialect.blanks == "skipped",
    )
    begin = 1
    try:
        for cells in reader:
            if reader.line_num > begin and dialect.breaks == "doubted":
                _refuse_rows_in_cells(path, begin, cells, dialect)
            if any(map(str.strip, cells)):  # spreadsheets write an empty row as ,,
                yield reader.line_num, cells
            begin = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(_unreadable(path, begin, reader.line_num, str(error), dialect)) from None


def _unreadable(path: Path, begin: int, end: int, error: str, dialect: Dialect) -> str:
    """What is wrong with the row that begins there and was given up in the line `end`."""
    lines = itertools.islice(_lines_with_ends(path, undecodable="replaced"), begin - 1, end)
    text = "".join(lines)
    sep = re.escape(dialect.separator)
    blanks = " *" if dialect.blanks == "skipped" else ""
    quoted, other = f'{blanks}"(?:[^"]|"")*"', f'(?!{blanks}")[^{sep}\r\n]*'
    whole = re.compile(f"(?:(?:{quoted}|{other}){sep})*")
    opening = whole.match(text).end()
    line = begin + len(_LINE_END.findall(text[:opening]))
    cell = _shortened(_LINE_END.split(text[opening:])[0])
    if "field limit" in error:
        size = f"more than {csv.field_size_limit()} letters in a cell"
        return f"{path}, line {line}: {size}, which begins with {cell}; is a quote not closed?"
    if end > line or "end of data" in error:
        what = f"the quote that opens the cell {cell} is not closed as one"
        what += f" (looked for to line {end})" if end > line else ""
    else:
        what = f"letters follow the quote that closes a cell, in {cell}"
    return f'{path}, line {line}: {what}; write a quote that is a letter as "" in a quoted cell'


def read_lines(
    path: str | os.PathLike, *, undecodable: str = "refused"
) -> Iterator[tuple[int, str]]:
    """(number, line) of each line of a text file in UTF-8 that is not blank, without its end.

    Args:
        path: of the file.
        undecodable: "refused", or "replaced" where single letters do not matter.

    Raises:
        ValueError: it is not text in UTF-8; the message names file and line.
    """
    for number, line in enumerate(_lines_with_ends(Path(path), undecodable=undecodable), 1):
        if line.strip():
            yield number, line.rstrip("\r\n")


def _lines_with_ends(path: Path, *, undecodable: str) -> Iterator[str]:
    with path.open("rb") as file:
        head = file.read(4096)
    found = next((name for mark, name in _BYTE_ORDER_MARKS.items() if head.startswith(mark)), None)
    if not found and max(head[::2].count(0), head[1::2].count(0)) > 0.4 * len(head):
        found = "UTF-16"
    if found:
        raise ValueError(f"{path}, line 1: the file is {found}, not UTF-8 text: save it as that")
    errors = {"refused": "strict", "replaced": "replace"}[undecodable]
    try:
        with path.open(encoding="utf-8-sig", errors=errors, newline="") as file:
            for number, line in enumerate(file, 1):
                if "\0" in line:
                    raise ValueError(f"{path}, line {number}: there is a NUL byte, as no text has")
                yield line.lstrip("\ufeff") if number == 1 else line
    except UnicodeDecodeError:
        raise ValueError(_not_utf8(path)) from None


def _not_utf8(path: Path) -> str:
    before = 0
    with path.open("rb") as file:
        for raw in file:
            try:
                raw.decode("utf-8")
            except UnicodeDecodeError as error:
                pieces = re.split(b"\r\n|\r|\n", raw[: error.start])
                rest = re.split(b"\r\n|\r|\n", raw[error.start :])[0]
                line = (pieces[-1] + rest).decode("cp1252", errors="replace")
                return (
                    f"{path}, line {before + len(pieces)}: byte 0x{raw[error.start]:02x} is not"
                    " UTF-8; it may be Latin-1 or Windows-1252, in which the line is"
                    f" {_shortened(line)}: save it as UTF-8"
                )
            before += len(re.split(b"\r\n|\r|\n", raw)) - 1
    return f"{path} is not UTF-8: save it as UTF-8"


def _shortened(cell: str) -> str:
    shown = repr(cell[:_SHOWN_LETTERS])
    return f"{shown[:-1]}...{shown[-1]}" if len(cell) > _SHOWN_LETTERS else shown


def write_rows(file: TextIO, rows: Iterable[Sequence[Any]], *, line_end: str = "\n") -> None:
    """Writes rows as CSV that no spreadsheet takes for formulas.

    Names of files and labels are other people's words: `=HYPERLINK(...)` gets an apostrophe before
    it (https://owasp.org/www-community/attacks/CSV_Injection), which `unescaped` takes away again.
    Numbers stay numbers.
    """
    writer = csv.writer(file, lineterminator=line_end)
    writer.writerows([_escaped(cell) for cell in row] for row in rows)


def _escaped(cell: Any) -> Any:
    if not _FORMULA.match(str(cell)):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def unescaped(cell: str) -> str:
    """The cell as it was given to `write_rows`."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
