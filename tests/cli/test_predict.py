"""`mclf predict` and `embed` of a folder as it is: each song is heard or listed, and none stops."""

import csv
import json
import os

import numpy as np
import pytest

from mclf_jax.cli.main import main
from mclf_jax.metrics import along as segments
from tests.audio.broken import damaged_songs, encoded
from tests.report.parsed import Page
from tests.small_run import write_run
from tests.songs import RATE_HZ


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    noise = np.random.default_rng(0).standard_normal((4, RATE_HZ)).astype(np.float32) / 10
    return write_run(tmp_path_factory.mktemp("run") / "run", noise)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "songs"
    root.mkdir()
    damaged_songs(root)
    wav = encoded("wav", duration_s=1)
    for name in (b"caf\xe9.wav", b"new\nline.wav", b".hidden.wav", b"-1.wav"):
        with open(os.path.join(os.fsencode(root), name), "wb") as file:
            file.write(wav)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "linked.wav").write_bytes(wav)
    (root / "b" / "more").symlink_to(tmp_path / "elsewhere")
    (root / "b" / "loop").symlink_to(root)
    (root / "text.mp3").write_text("no song\n" * 99)
    os.mkfifo(root / "pipe.wav")
    return root


HEARD = [
    "-1.wav",
    "a/cut.mp3",
    "a/loud.wav",
    "a/no_count.mp3",
    "a/whole.mp3",
    "b/chained.ogg",
    "b/joined.mp3",
    "b/junk.mp3",
    "b/lost.flac",
    "b/more/linked.wav",
    "caf\\xe9.wav",
    "new\\nline.wav",
]


def test_predict(run, folder, capfd):
    assert main(["predict", run, str(folder), "--format", "json"]) == 1
    out, err = capfd.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert [os.path.relpath(line["path"], folder) for line in lines] == HEARD
    said = [line for line in err.splitlines() if line.startswith(("skipped: ", "note: "))]
    assert sorted(line.replace(f"{folder}/", "")[:42] for line in said) == [
        "note: a/cut.mp3: used in part: cut off: 1.",
        "note: a/loud.wav: its samples reach 16000,",
        "note: b/junk.mp3: used in part: damaged at",
        "note: b/lost.flac: used in part: cut off: ",
        "skipped: pipe.wav: a named pipe (fifo), no",
        "skipped: text.mp3: not audio: it seems to ",
    ]
    assert main(["predict", run, str(folder), "--top", "1"]) == 1
    assert f"{folder}/caf\\xe9.wav\n" in capfd.readouterr().out


def test_write_tags(run, folder, capfd, monkeypatch):
    mutagen = pytest.importorskip("mutagen")
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: access(path, mode) and "cut" not in path.name
    )
    best = {}
    for _ in range(2):
        assert main(["predict", run, str(folder), "--format", "json", "--write-tags"]) == 1
        out, err = capfd.readouterr()
        lines = [json.loads(line) for line in out.splitlines()]
        assert [os.path.relpath(line["path"], folder) for line in lines] == HEARD
        assert "a/cut.mp3: tags not written: it may not be written to" in err
        best = {line["path"]: max(line["scores"], key=line["scores"].get) for line in lines}
        assert [line["tags"] for line in lines] == [[best[line["path"]]] for line in lines]
    of_file = mutagen.File(folder / "b" / "chained.ogg")
    assert of_file["MCLF_TAGS"] == [best[str(folder / "b" / "chained.ogg")]]
    assert mutagen.File(folder / "a" / "cut.mp3").tags is None
    assert main(["predict", run, str(folder / "-1.wav"), "--write-tags"]) == 0
    assert f"  tags: {best[str(folder / '-1.wav')]}\n" in capfd.readouterr().out


def test_segments(run, tmp_path, capfd, monkeypatch):
    """Along two songs; then the same segments are the truth that they are scored by."""
    for name in ("one", "two"):
        (tmp_path / f"{name}.wav").write_bytes(encoded("wav", duration_s=4))
    songs = [str(tmp_path / f"{name}.wav") for name in ("one", "two")]
    table = tmp_path / "out" / "segments.csv"
    command = ["predict", run, *songs, "--segments", str(table), "--threshold", "0"]
    assert main(command) == 0
    found = segments.read(table)
    assert list(found) == songs
    assert found[songs[0]][0].start_s == 0 and found[songs[0]][-1].end_s == pytest.approx(
        4, abs=0.1
    )
    assert "segments of 2 songs" in capfd.readouterr().out
    wanted = table.read_text()
    table.unlink()
    assert main(command) == 0  # of the journal, as nothing has changed
    assert table.read_text() == wanted
    assert "2 songs (2 of them done before)" in capfd.readouterr().out
    command[-1] = ".2"
    assert main(command) == 0
    assert "2 songs (0 of them done before)" in capfd.readouterr().out
    command[-1] = "0"
    assert main(command) == 0
    capfd.readouterr()
    out = tmp_path / "along"
    assert main(["evaluate", run, "--segments", str(table), "--out", str(out)]) == 0
    said = capfd.readouterr().out
    assert said.splitlines()[-1] == str(out / "index.html")
    page = Page((out / "index.html").read_text())
    assert page.counts["svg"] == 2 and "Frames are of 1.0 s" in page.text
    named = {one.label for one in found[songs[0]]}
    assert set(json.loads((out / "along.json").read_text())["frames"]["labels"]) == named
    assert "frames: f1" in said and "onsets within 0.5 s" in said
    places = [songs[0], "--segments", str(tmp_path / "one.txt")]
    assert main(["predict", run, *places, "--min-segment-s", "99"]) == 0
    assert (tmp_path / "one.txt").read_text() == ""
    both = ["predict", run, *songs, "--segments", str(tmp_path / "both")]
    assert main(both) == 0
    monkeypatch.chdir(tmp_path / "both")
    assert main([*both[:-1], "."]) == 0
    wanted = (tmp_path / "both" / "two.txt").read_text()
    (tmp_path / "both" / "one.txt").unlink()
    (tmp_path / "both" / "two.txt").write_text("of a song of this name in another folder")
    assert main(both) == 0
    assert (tmp_path / "both" / "two.txt").read_text() == wanted
    assert {file.name for file in (tmp_path / "both").iterdir()} == {
        *("one.csv", "one.txt", "two.csv", "two.txt"),
    }
    for wrong, message in (
        (["--segments", "x.txt"], "a label track of one song"),
        (["--segments", "x.csv", "--top", "2"], "--segments and --top are two ways"),
        (["--segments", "x.csv", "--write-tags"], "--write-tags is of whole songs, and --segm"),
        (["--segments", "x.csv", "--num-windows", "2"], "--num-windows is of whole songs"),
        (["--segments", "x.csv", "--threshold", "2"], "--threshold is 2.0; it must be"),
        (["--segments", "x.csv", "--min-segment-s", "-1"], "--min-segment-s is -1.0; it must"),
        (["--threshold", ".3"], "--threshold is of --segments"),
        (["--segments", "x.csv", "--write-tags"], "--write-tags is of whole songs"),
        (["--segments", "x.csv", "--aggregation", "max"], "--aggregation is of whole songs"),
    ):
        assert main(["predict", run, *songs, *wrong]) == 1
        assert message in capfd.readouterr().err
    for wrong in (["--config.eval.num_windows=3"], ["--allow-data-change"], ["--option", "a=b"]):
        assert main(["evaluate", run, "--segments", str(table), *wrong]) == 1
        assert f"{wrong[0]} is not for --segments" in capfd.readouterr().err
    beside = ["--segments", str(table), "--from", str(tmp_path)]
    assert main(["evaluate", run, *beside]) == 0  # paths of the table are absolute
    short = tmp_path / "short.wav"  # of one window, which says nothing of how far they are apart
    short.write_bytes(encoded("wav", duration_s=0.4))
    rows = table.read_text().splitlines()
    first = rows[1].split(",", 1)[1]
    table.write_text("\n".join([rows[0], f"{short},{first}", *rows[1:]]))
    capfd.readouterr()
    assert main(["evaluate", run, "--segments", str(table)]) == 0
    assert "onsets within 0.5 s" in capfd.readouterr().out


def test_numbers_are_no_tags(folder, tmp_path, capfd):
    noise = np.random.default_rng(0).standard_normal((4, RATE_HZ)).astype(np.float32) / 10
    run = write_run(tmp_path / "run", noise, task="regression")
    for more in ([], ["--out", str(tmp_path / "scores.csv")]):
        assert main(["predict", run, str(folder / "-1.wav"), "--write-tags", *more]) == 1
        assert "--write-tags is for tags, and this run predicts numbers" in capfd.readouterr().err


def test_embed(run, folder, tmp_path, capfd):
    assert main(["embed", run, str(folder), "--out", str(tmp_path / "e.npz")]) == 1
    with np.load(tmp_path / "e.npz") as found:
        paths = [os.fspath(path) for path in found["paths"]]
        assert len(found["embeddings"]) == len(HEARD)
    assert all(os.path.isfile(path) for path in paths)  # as they are on disk
    assert f"{len(HEARD)} embeddings of 16 numbers" in capfd.readouterr().out
    song = str(folder / "-1.wav")
    assert main(["embed", run, song, "--out", str(tmp_path / "layer.npz"), "--layer", "1"]) == 0
    assert "1 embeddings of 4 numbers" in capfd.readouterr().out
    assert main(["embed", run, song, "--out", str(tmp_path / "layer.npz"), "--layer", "7"]) == 1
    assert "layer is '7'; short_chunk_cnn has 1 layer1, 2 embedding" in capfd.readouterr().err


def test_suggest(run, folder, tmp_path, capfd):
    out = tmp_path / "next.csv"
    asked = ["data", "suggest", run, str(folder), "--count", "4", "--out", str(out)]
    assert main([*asked, "--known", str(folder / "a")]) == 1
    said, err = capfd.readouterr()
    assert said == f"4 of {len(HEARD) - 4} songs: {out}\n" and "skipped: " in err
    with out.open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["path", "by", "value", "why"]
    assert [row[1] for row in rows] == ["uncertain", "diverse", "extremes", "uncertain"]
    assert not any(f"{folder}/a/" in row[0] for row in rows)
    assert rows[0][3].startswith("entropy ") and "of low: " in rows[2][3]
    assert main([*asked, "--by", "nosuch"]) == 1
    said = capfd.readouterr().err
    assert "by is 'nosuch'; allowed: uncertain" in said and "skipped: " not in said  # none is heard


def test_taggrams(run, tmp_path, capfd):
    (tmp_path / "songs").mkdir()
    for name in (b"caf\xe9.wav", b"x" * 251 + b".wav", b"new\nline.wav"):
        with open(os.path.join(os.fsencode(tmp_path / "songs"), name), "wb") as file:
            file.write(encoded("wav", duration_s=1))
    songs, out = str(tmp_path / "songs"), tmp_path / "taggrams"
    assert main(["predict", run, songs, "--taggram", str(out)]) == 0, capfd.readouterr().err
    stems = ["caf\\xe9", "new\\nline", 200 * "x"]
    assert sorted(os.listdir(out)) == [f"{stem}.{end}" for stem in stems for end in ("csv", "png")]
