"""`mclf predict --out`: one row a song, gone on with, never mixed with those of another network."""

import json
import os
import shutil

import numpy as np
import pytest
import soundfile

from mclf_jax.api import Tagger, load
from mclf_jax.cli.main import main
from mclf_jax.common import files, walk
from mclf_jax.common.text import tables
from mclf_jax.evaluation import journal
from tests import small_run
from tests.audio.broken import encoded
from tests.small_run import write_run
from tests.songs import RATE_HZ


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    noise = np.random.default_rng(0).standard_normal((4, RATE_HZ)).astype(np.float32) / 10
    return write_run(tmp_path_factory.mktemp("run") / "run", noise)


@pytest.fixture(scope="module")
def other_run(tmp_path_factory):
    noise = np.random.default_rng(0).standard_normal((4, RATE_HZ)).astype(np.float32) / 10
    return write_run(tmp_path_factory.mktemp("run") / "run", noise, seed=1)


NAMES = [b"-1.wav", b"=2.wav", b"caf\xe9.wav", b"d.wav"]


@pytest.fixture
def songs(tmp_path):
    root = tmp_path / "songs"
    root.mkdir()
    for number, name in enumerate(NAMES):
        with open(os.path.join(os.fsencode(root), name), "wb") as file:
            file.write(encoded("wav", duration_s=0.3 + number, hz=100 + 80 * number))
    (root / "text.mp3").write_text("no song\n" * 99)
    return root


def rows_of(out):
    if out.suffix == ".csv":
        read = [row for _, row in tables.read(out, columns=("path", "duration_s")).rows]
        return {
            tables.unescaped(row.pop("path")): {key: float(value) for key, value in row.items()}
            for row in read
        }
    if out.suffix == ".parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        return {row.pop("path"): row for row in parquet.read_table(out).to_pylist()}
    found = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    return {row["path"]: row["scores"] | {"duration_s": row["duration_s"]} for row in found}


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_rows_are_what_predict_says(run, songs, tmp_path, capfd, monkeypatch, ending):
    monkeypatch.chdir(songs)
    out = tmp_path / f"scores.{ending}"
    assert main(["predict", run, ".", "=2.wav", "--out", str(out)]) == 1
    skipped = "skipped: ./text.mp3: not audio: it seems to be text\n"
    assert skipped in capfd.readouterr().err
    rows, tagger = rows_of(out), load(run)
    assert list(rows) == ["./-1.wav", "./=2.wav", "./caf\\xe9.wav", "./d.wav", "=2.wav"]
    for name, row in rows.items():
        file = name.replace("\\xe9", "\udce9")
        expected = tagger.predict(file)
        assert {key: row[key] for key in expected} == pytest.approx(expected, abs=1e-6)
    assert rows["./d.wav"]["duration_s"] == pytest.approx(3.3, abs=1e-3)
    listed = [row for _, row in tables.read(f"{out}.skipped.csv").rows]
    assert listed == [{"path": "./text.mp3", "reason": "not audio: it seems to be text"}]


def test_it_goes_on(run, songs, tmp_path, capfd, monkeypatch):
    os.remove(songs / "text.mp3")
    out, heard = tmp_path / "scores.jsonl", []
    command = ["predict", run, str(songs), "--out", str(out)]
    add = journal.Journal.add

    def killed(self, path, **what):
        if len(heard) == 2:
            self._file.write(b'{"path": "half a li')
            self._file.flush()
            raise KeyError("killed")
        heard.append(path)
        add(self, path, **what)

    monkeypatch.setattr(journal.Journal, "add", killed)
    with pytest.raises(KeyError, match="killed"):
        main(command)
    assert not out.exists()
    again = []
    monkeypatch.setattr(journal.Journal, "add", lambda *a, **k: (again.append(a[1]), add(*a, **k)))
    assert main(command) == 0, capfd.readouterr().err
    assert "4 songs (2 of them done before)" in capfd.readouterr().out
    assert len(again) == 2 and not set(again) & set(heard)
    whole = out.read_text()
    assert main(command) == 0 and len(again) == 2 and out.read_text() == whole
    shutil.copy(songs / "-1.wav", songs / "d.wav")  # a song that has changed is heard again
    assert main(command) == 0 and again[2:] == [str(songs / "d.wav")]
    assert len(out.read_text().splitlines()) == 4 and out.read_text() != whole


def test_embeddings_go_on_too(run, songs, tmp_path, capfd, monkeypatch):
    out, heard = tmp_path / "e.npz", []
    command = ["embed", run, str(songs), "--out", str(out)]
    add = journal.Journal.add

    def killed(self, path, **what):
        if len(heard) == 2:
            raise KeyError("killed")
        heard.append(path)
        add(self, path, **what)

    monkeypatch.setattr(journal.Journal, "add", killed)
    with pytest.raises(KeyError, match="killed"):
        main(command)
    assert not out.exists()
    again = []
    monkeypatch.setattr(journal.Journal, "add", lambda *a, **k: (again.append(a[1]), add(*a, **k)))
    assert main(command) == 1  # text.mp3 is no song
    said = capfd.readouterr().out
    assert "4 embeddings of 16 numbers" in said and "4 songs (2 of them done before)" in said
    assert len(again) == 2 and not set(again) & set(heard)
    with np.load(out) as found:
        paths, embeddings = found["paths"].tolist(), found["embeddings"]
    assert embeddings.dtype == np.float32 and all(os.path.isfile(path) for path in paths)
    np.testing.assert_allclose(embeddings, load(run).embed(paths), atol=1e-6)
    # Nothing else stays beside it: no lock, no half a file.
    beside = ["e.npz", "e.npz.journal", "e.npz.skipped.csv"]
    assert sorted(path.name for path in tmp_path.iterdir() if path != songs) == beside


def test_one_command_at_a_time(run, songs, tmp_path, capfd):
    out = tmp_path / "scores.csv"
    with files.locked(journal.place(out), refusal=""):
        assert main(["predict", run, str(songs / "d.wav"), "--out", str(out)]) == 1
    assert f"another command is writing {out}" in capfd.readouterr().err


def test_scores_of_two_networks_are_not_mixed(run, other_run, songs, tmp_path, capfd):
    out = tmp_path / "scores.csv"
    assert main(["predict", run, str(songs / "d.wav"), "--out", str(out)]) == 0
    whole = out.read_text()
    changes = ([other_run], [run, "--num-windows", "3"])
    for words in changes:
        assert main(["predict", *words, str(songs / "d.wav"), "--out", str(out)]) == 1
        assert "scores.csv.journal is of another network" in capfd.readouterr().err
        assert out.read_text() == whole


def test_endings(run, songs, tmp_path, capfd):
    assert main(["predict", run, str(songs), "--out", str(tmp_path / "scores.txt")]) == 1
    assert "allowed: .csv, .jsonl, .parquet" in capfd.readouterr().err


def test_tags_are_written_from_the_table(run, songs, tmp_path, capfd, monkeypatch):
    mutagen = pytest.importorskip("mutagen")
    os.remove(songs / "text.mp3")
    soundfile.write(songs / "raw.au", np.full(9000, 0.1), 16000)
    command = ["predict", run, str(songs), "--out", str(tmp_path / "scores.jsonl")]
    assert main(command) == 0
    heard, predict_files = [], Tagger.predict_files
    monkeypatch.setattr(
        Tagger,
        "predict_files",
        lambda self, paths: predict_files(self, heard.append(paths) or paths),
    )
    capfd.readouterr()
    assert main([*command, "--write-tags"]) == 1
    out, err = capfd.readouterr()
    assert "tags of 4 songs written, 0 were so" in out and "5 songs (5 of them done before)" in out
    assert "raw.au: tags not written: a kind of file without a place for them" in err
    rows = rows_of(tmp_path / "scores.jsonl")
    for path in songs.glob("*.wav"):
        scores = rows[walk.shown(path)]
        best = max(small_run.LABELS, key=scores.get)
        assert mutagen.File(path)["TXXX:MCLF_TAGS"].text == [best]
    # A file with new tags is the song that was heard.
    assert main([*command, "--write-tags"]) == 1
    assert "tags of 0 songs written, 4 were so" in capfd.readouterr().out
    assert heard == [[], []]
