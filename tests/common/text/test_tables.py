"""Tables are read whole or refused with file and line; what is written is no formula."""

import csv
import io
import itertools
import re

import pytest
from hypothesis import strategies as st

from mclf_jax.common.text import tables
from tests import ROOT

TITLES = ["Song", "Earth, Wind", 'say "yes"', "in two\nlines", "Song", "Böhse", "Song", "last"]
ROWS = [[f"{k}.wav", title, "ab"[k % 2]] for k, title in enumerate(TITLES)]


def _text(rows, *, header=("path", "title", "label"), **options):
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n", **options).writerows([header, *rows])
    return buffer.getvalue()


def _read(path, content, **options):
    path = path / "table.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    table = tables.read(path, **options)
    return [row for _, row in table.rows]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("tail", ["", "\n", "\n\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff", "\ufeff\ufeff"])
def test_ends_of_lines_byte_order_marks_and_empty_lines_are_fine(tmp_path, mark, tail, end):
    text = (mark + _text(ROWS).rstrip("\n") + tail).replace("\n", end)
    expected = [dict(zip(("path", "title", "label"), row, strict=True)) for row in ROWS]
    expected[3]["title"] = f"in two{end}lines"
    assert _read(tmp_path, text) == expected


def test_lines_are_those_in_which_rows_end(tmp_path):
    (tmp_path / "t.csv").write_text(_text(ROWS[2:6]))
    assert [line for line, _ in tables.read(tmp_path / "t.csv").rows] == [2, 4, 5, 6]


def test_names_in_any_case(tmp_path):
    rows = _read(tmp_path, " Path,LABEL \na,b\n", names="lower case", columns=["path"])
    assert rows == [{"path": "a", "label": "b"}]
    with pytest.raises(ValueError, match="has no column path; it has Path, LABEL"):
        _read(tmp_path, " Path,LABEL \na,b\n", columns=["path"])


SWALLOWED = 'path,title,label\n0.wav,Song,a\n1.wav,"Untitled,b\n2.wav,Song,a\n3.wav,7",b\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1: the file is empty and names the columns .none.; it needs path, label"),
        ("\npath,label\na,b\n", "line 1: the line is empty"),
        (",,\na,b,c\n", "line 1: the line is empty"),
        ("path,label,label\na,b,c\n", "line 1: the columns 2 and 3 are both named 'label'"),
        ("path,label, path\na,b,c\n", "line 1: the columns 1 and 3 are both named 'path'"),
        ("path;label\na;b\n", "no column path, label; it has path;label. .* by semicolons"),
        ("path\tlabel\na\tb\n", "separated by tabs: save it separated by commas"),
        ("path,label\na;b\n", "line 2: 1 cell, not 2 .*separated by semicolons"),
        ("path,label\na,b\n\nc\n", r"line 4: 1 cell, not 2 .*\(path, label\); got 'c'"),
        ("path,label\na,b,c\n", "line 2: 3 cells, not 2 .*'a', 'b', 'c'. Cells that hold commas"),
        ("path,label\na,b,\n", "line 2: 3 cells, not 2 as in the header"),
        ("path,,label\na,b,c\n", "line 2: 'b' stands in column 2, which has no name"),
        (",path,label\nx0,a,b\n", r"line 2: 'x0' stands in column 1.*to_csv\(index=False\)"),
        ('path,label\na,b\nc,"d\n', "line 3: the quote that opens the cell '\"d' is not closed"),
        ('path,label\na,"b\nc,d\ne,"f"\n', "line 2: the quote that opens the cell '\"b' .*line 4"),
        ('path,label\na,"b"c\n', "line 2: letters follow the quote that closes .*, in '\"b\"c'"),
        ('path,label\n"a\n1","b\n2\n', "line 3: the quote that opens the cell '\"b' is not closed"),
        (SWALLOWED, "line 3: a quote opens cell 2, 'Untitled,b', .* to line 5 .* whole rows"),
        (SWALLOWED.replace("a\n3", "a\n\n3"), "line 3: a quote opens cell 2, .* to line 6 .* rows"),
        (SWALLOWED.replace("1.wav", '"1\n2"'), "line 4: a quote opens cell 2, 'Untitled,b', .* to"),
        ('path,label\na,"' + "b" * 200_000, "line 2: more than 131072 letters in a cell.*closed"),
        ("path,label\na,\0\n", "line 2: there is a NUL byte"),
        ("path,label\na,é\n".encode("utf-16"), "line 1: the file is UTF-16, not UTF-8"),
        ("path,label\na,é\n".encode("utf-16-le"), "the file is UTF-16"),
        ("path,label\na,é\n".encode("utf-16-be"), "the file is UTF-16"),
        ("path,label\na,é\n".encode("utf-32"), "the file is UTF-32"),
        ("path,label\na,b\nc,Café\n".encode("latin-1"), "line 3: byte 0xe9 .*Latin-1.*'c,Café'"),
        ("path,label\ra,b\rc,Café\r".encode("latin-1"), "line 3: byte 0xe9 .*Latin-1.*'c,Café'"),
        (b"PK\x03\x04\x14\x00", "the file is a spreadsheet"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_file_and_line(tmp_path, content, message):
    with pytest.raises(ValueError, match=f"table.csv, .*{message}"):
        _read(tmp_path, content, columns=["path", "label"])


def test_columns_without_a_name_may_be_empty(tmp_path):
    assert _read(tmp_path, "path,label,,\na,b,,\n") == [{"path": "a", "label": "b"}]


def test_row_numbers_of_pandas_and_empty_rows_of_spreadsheets_are_fine(tmp_path):
    rows = [{"path": "a", "label": "b"}, {"path": "c", "label": "d"}]
    assert _read(tmp_path, ",path,label\n0,a,b\n17,c,d\n") == rows
    assert _read(tmp_path, "path,label\r\na,b\r\n,\r\nc,d\r\n,\r\n ,,,\r\n") == rows
    for text in (",path,label\n-1,a,b\n", "path,label,\na,b,0\n"):
        with pytest.raises(ValueError, match="which has no name in the header"):
            _read(tmp_path, text)


def test_dialects(tmp_path):
    short = tables.Dialect(rows="short")
    assert _read(tmp_path, "a,b,c\n1\n1,2,3\n", dialect=short)[0] == {"a": "1", "b": "", "c": ""}
    with pytest.raises(ValueError, match="line 2: 4 cells, not 3"):
        _read(tmp_path, "a,b,c\n1,2,3,4\n", dialect=short)
    long = tables.Dialect(separator="\t", rows="long")
    assert _read(tmp_path, "a\tb\n1\t2\t3\n", dialect=long) == [{"a": "1", "b": "2\t3"}]
    assert _read(tmp_path, 'a,b\n"x"y,2\n', dialect=tables.Dialect(quotes="loose"))[0]["a"] == "xy"
    blanks = tables.Dialect(blanks="skipped")
    assert _read(tmp_path, 'a, b\n1, "2, 3"\n', dialect=blanks) == [{"a": "1", "b": "2, 3"}]
    with pytest.raises(ValueError, match="line 3: the quote that opens the cell ' \"2' is not"):
        _read(tmp_path, 'a, b\n1, 2\n1, "2\n', dialect=blanks)
    prose = {"p": "a", "t": "well, yes\nor, no", "l": "b"}
    text = 'p,t,l\na,"well, yes\nor, no",b\n'
    assert _read(tmp_path, text, dialect=tables.WRITTEN) == [prose]
    with pytest.raises(ValueError, match="line 2: a quote opens cell 2"):
        _read(tmp_path, text)
    replaced = tables.Dialect(undecodable="replaced")
    assert _read(tmp_path, b"a,b\n\xe9,2\n", dialect=replaced) == [{"a": "\ufffd", "b": "2"}]


def test_lines_of_a_list(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes("\ufeffrock\r\n\r\nx\x85y\rz \n".encode())
    assert list(tables.read_lines(path)) == [(1, "rock"), (3, "x\x85y"), (4, "z ")]
    path.write_bytes(b"rock\nCaf\xe9\n")
    with pytest.raises(ValueError, match="list.txt, line 2: byte 0xe9 is not UTF-8"):
        list(tables.read_lines(path))


CELLS = st.text("ab,\"\n\r;\t|' é\u200b", max_size=5)
SEEDS = [
    _text(ROWS),
    _text(ROWS, quoting=csv.QUOTE_ALL).replace("\n", "\r\n"),
    _text([[f"{k}.wav", "rock|pop"] for k in range(5)], header=("path", "labels")),
]


def test_mutated_tables_are_read_as_csv_reads_them_or_refused(fuzz_examples, tmp_path):
    def check(seed, edits):
        text = SEEDS[seed]
        for place, number, cell in edits:
            at = place % (len(text) + 1)
            text = text[:at] + cell + text[at + number :]
        (tmp_path / "table.csv").write_bytes(text.encode())
        try:
            found = [list(row.values()) for _, row in tables.read(tmp_path / "table.csv").rows]
        except ValueError as error:
            assert "table.csv, line " in str(error)
            return
        expected = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        names = [name.strip() for name in expected[0]]
        rows = [row for row in expected[1:] if "".join(row).strip()]
        assert all(len(row) == len(names) for row in rows)
        kept = [[cell for name, cell in zip(names, row, strict=True) if name] for row in rows]
        assert found == kept
        dropped = [cell for row in rows for name, cell in zip(names, row, strict=True) if not name]
        assert not "".join(dropped).strip()

    edit = st.tuples(st.integers(0, 400), st.integers(0, 3), CELLS)
    fuzz_examples(check, st.integers(0, len(SEEDS) - 1), st.lists(edit, min_size=1, max_size=3))


@pytest.mark.parametrize("cell", ["=1+2", "@a", "-x", "+x", "\t=1", "'=1", "''@", "\uff1dA", "--a"])
def test_formulas_are_written_as_text_and_read_back(cell):
    buffer = io.StringIO()
    tables.write_rows(buffer, [[cell]])
    (written,) = next(csv.reader(io.StringIO(buffer.getvalue(), newline="")))
    assert written == f"'{cell}"
    assert tables.unescaped(written) == cell


@pytest.mark.parametrize("cell", ["a=b", "'tis", "-0.5", "+1e-3", "-inf", "", "a", "don't"])
def test_other_text_and_numbers_are_written_as_they_are(cell):
    buffer = io.StringIO()
    tables.write_rows(buffer, [[cell, -0.5, None]], line_end="\r\n")
    assert buffer.getvalue() == f"{cell},-0.5,\r\n"
    assert tables.unescaped(cell) == cell


def test_nothing_else_reads_or_writes_csv():
    # What writes CSV of its own forgets formulas, and what reads it drops cells.
    users = {
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / "mclf_jax").rglob("*.py")
        if re.search(r"\bcsv\.(reader|writer|DictReader|DictWriter)", file.read_text("utf-8"))
    }
    # A run reads again what it wrote, and a manifest keeps the cells that its owner wrote.
    assert users == {
        "mclf_jax/common/text/tables.py",
        "mclf_jax/run/writers.py",
        "mclf_jax/data/catalogue/fix_splits.py",
    }


def test_no_two_quotes_hide_a_row(tmp_path):
    # A quote may be closed by another one, rows later: all of two in a small table are tried.
    path = tmp_path / "table.csv"
    whole = 'p,t,l\n0,in,a\n1,"S, 1",b\n2,x,a\n'
    refused = 0
    for first, second in itertools.combinations_with_replacement(range(len(whole) + 1), 2):
        path.write_text(f'{whole[:first]}"{whole[first:second]}"{whole[second:]}')
        try:
            assert len(list(tables.read(path).rows)) == 3, path.read_text()
        except ValueError:
            refused += 1
    assert 200 < refused < 496
