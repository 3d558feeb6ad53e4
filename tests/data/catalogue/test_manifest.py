"""Every row of a manifest is an item or listed with a reason, or the manifest is refused."""

import csv
import io
import os
import re

import pytest
from hypothesis import strategies as st

from mclf_jax import data

QUOTE = '"'


def _folder(root, text, *, name="manifest.csv", songs=12):
    for k in range(songs):
        (root / f"{k}.wav").touch()
    (root / name).write_text(text, encoding="utf-8", newline="")
    return root


def _read(root, **options):
    return data.catalogue("folder", path=root, **options)


def _rows(row, *, header="path,title,label"):
    return "\n".join([header, *(row(k, "ab"[k % 2]) for k in range(12)), ""])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            _rows(lambda k, a: f"{k}.wav,{'Earth, Wind' if k == 4 else 'Song'},{a}"),
            r"line 6: 4 cells, not 3 .*\(path, title, label\); got '4.wav', 'Earth', ' Wind', 'a'",
        ),
        (
            _rows(lambda k, a: f"{k}.wav,{QUOTE * (k == 5)}Song,{a}"),
            "line 7: the quote that opens the cell '\"Song,b' is not closed",
        ),
        (
            _rows(lambda k, a: f"{k}.wav,{a},{k}", header="path,label,Label"),
            "line 1: the columns 2 and 3 are both named 'label'",
        ),
        (
            _rows(lambda k, a: f"{k}.wav,{a},fast", header="path,labels"),
            r"line 2: 3 cells, not 2 .*; tags are separated by \|, as in rock\|fast",
        ),
        (_rows(lambda k, a: f"{k}.wav;{a}", header="path;label"), "line 1: .* by semicolons"),
        (_rows(lambda k, a: f"{k}.wav\t{a}", header="path\tlabel"), "line 1: .* by tabs"),
    ],
)
def test_rows_that_do_not_fit_are_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=f"manifest.csv, {message}"):
        _read(_folder(tmp_path, text))


@pytest.mark.parametrize("name", ["MANIFEST.CSV", "Manifest.csv"])
def test_its_name_may_be_in_any_case(tmp_path, name):
    text = _rows(lambda k, a: f"{k}.wav,{a}", header="Path,LABEL") + "gone.wav,a\n"
    found = _read(_folder(tmp_path, text, name=name))
    assert len(found.items) == 12
    assert found.skipped == (("gone.wav", f"no such file ({name}, line 14)"),)


def test_there_is_one_and_it_is_a_file(tmp_path):
    _folder(tmp_path, "path,label\n", name="Manifest.csv")
    (tmp_path / "manifest.csv").symlink_to("nowhere")
    with pytest.raises(ValueError, match=r"has Manifest.csv and manifest.csv: there may be one"):
        _read(tmp_path)
    (tmp_path / "Manifest.csv").unlink()
    with pytest.raises(ValueError, match="manifest.csv is no file, or a link to none"):
        _read(tmp_path)


@pytest.mark.parametrize(
    ("header", "cell", "note"),
    [
        ("path,label", "rock|pop", r"12 rows have a label with \|, such as 'rock\|pop'"),
        ("path,labels", '"rock, pop"', "12 rows have tags such as 'rock, pop', which counts as"),
        ("path,labels", "rock;pop", r"none has two: tags are separated by \|"),
    ],
)
def test_several_labels_in_one_are_told(tmp_path, header, cell, note):
    found = _read(_folder(tmp_path, _rows(lambda k, a: f"{k}.wav,{cell}", header=header)))
    (told,) = found.notes
    assert re.search(note, told)


@pytest.fixture
def server(tmp_path):
    """A folder with songs in it, linked into it, and outside of it."""
    root = tmp_path / "upload"
    root.mkdir()
    (tmp_path / "secret.wav").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.wav").touch()
    (root / "link.wav").symlink_to("../secret.wav")
    (root / "inner.wav").symlink_to("0.wav")
    (root / "linked").symlink_to("../elsewhere")
    return root


OUTSIDE = ["../secret.wav", "..\\secret.wav", "{}/secret.wav", "link.wav", "linked/a.wav"]


@pytest.mark.parametrize("outside", ["follow", "skip"])
def test_files_outside_of_the_folder(server, outside):
    listed = [path.format(server.parent) for path in (*OUTSIDE, "../not_there.wav")]
    text = "\n".join(["path,label", *(f"{path},a" for path in listed), "0.wav,b", "inner.wav,b"])
    found = _read(_folder(server, text), outside=outside)
    reasons = {reason.partition(" (")[0] for _, reason in found.skipped}
    ids = {os.path.basename(item.item_id) for item in found.items}
    if outside == "follow":
        assert ids == {"secret.wav", "a.wav", "link.wav", "0.wav", "inner.wav"}
        assert "no such file" in reasons
    else:  # which does not tell either what is there
        assert ids == {"0.wav", "inner.wav"}
        assert reasons == {"outside of the folder, which outside='skip' leaves alone"}
        assert [path for path, _ in found.skipped] == listed


def test_subfolders_and_manifests_that_are_links_out_of_the_folder(server):
    found = _read(server, outside="skip")
    assert {path for path, _ in found.skipped} == {"link.wav", "linked/a.wav", "inner.wav"}
    assert dict(found.skipped)["inner.wav"].startswith("a link to nothing")
    (server / "manifest.csv").symlink_to("../passwords.csv")
    (server.parent / "passwords.csv").write_text("root:x,secret\n")
    with pytest.raises(ValueError, match="is a link out of the folder") as error:
        _read(server, outside="skip")
    assert "root" not in str(error.value).replace(str(server), "")
    with pytest.raises(ValueError, match="outside is 'allow'; allowed: follow, skip"):
        _read(server, outside="allow")


def test_apostrophes_of_spreadsheets_are_none_of_the_label(tmp_path):
    (tmp_path / "'-0.wav").touch()
    (tmp_path / "-1.wav").touch()
    text = "path,label\n'-0.wav,'=a\n'-1.wav,don't\n'-2.wav,c\n"
    found = _read(_folder(tmp_path, text))
    assert [(item.item_id, *item.labels) for item in found.items] == [
        ("'-0.wav", "=a"),
        ("-1.wav", "don't"),
    ]
    assert [path for path, _ in found.skipped] == ["'-2.wav"]


CELLS = st.text("a,\"\n\r;|=' é\u200b\u0301.", max_size=5)
SEEDS = [
    _rows(lambda k, a: f'{k}.wav,"Song, {k}",{a}'),
    _rows(lambda k, a: f"{k}.wav,train,{a}|fast,x", header="path,split,labels,group"),
]


def test_no_row_of_a_mutated_manifest_is_lost(fuzz_examples, tmp_path):
    for k in range(12):
        (tmp_path / f"{k}.wav").touch()

    def check(seed, edits):
        text = SEEDS[seed]
        for place, number, cell in edits:
            at = place % (len(text) + 1)
            text = text[:at] + cell + text[at + number :]
        (tmp_path / "manifest.csv").write_text(text, encoding="utf-8", newline="")
        try:
            found = _read(tmp_path)
        except ValueError as error:
            assert "manifest.csv, line " in str(error)
            return
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))[1:]
        # As spreadsheets write rows below the last one, of separators alone.
        rows = [row for row in rows if any(cell.strip() for cell in row)]
        assert len(found.items) + len(found.skipped) == len(rows)
        assert {item.item_id for item in found.items} <= {f"{k}.wav" for k in range(12)}

    edit = st.tuples(st.integers(0, 400), st.integers(0, 3), CELLS)
    fuzz_examples(check, st.integers(0, len(SEEDS) - 1), st.lists(edit, min_size=1, max_size=3))
