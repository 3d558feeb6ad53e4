"""`mclf data ...` as a user types it, on a small folder of tones made here."""

import csv
import json
import shutil

import numpy as np
import pytest
import soundfile

from mclf_jax import data
from tests import commands

RATE_HZ = 8000


def mclf(*words, run_it=commands.mclf, code=0):
    said = run_it(*words, code=code)
    assert "Traceback" not in said.stderr
    return said


def melody(seed, *, seconds=6.0):
    """Notes of a scale of its own, with overtones: as unlike another as songs are."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(0.25 * RATE_HZ)) / RATE_HZ
    notes = []
    for _ in range(int(seconds / 0.25)):
        hz = 110 * 2 ** (rng.integers(0, 36) / 12)
        tone = sum(np.sin(2 * np.pi * k * hz * t) / k for k in range(1, 5))
        notes.append(tone * np.exp(-6 * t))
    return (0.2 * np.concatenate(notes)).astype(np.float32)


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """manifest.csv of 16 melodies by 8 artists, in splits that keep artists apart."""
    folder = tmp_path_factory.mktemp("songs")
    rows = []
    for i in range(16):
        artist = i // 2
        soundfile.write(folder / f"{i}.wav", melody(i), RATE_HZ)
        split = "train" if artist < 4 else "valid" if artist < 6 else "test"
        rows.append((f"{i}.wav", "ab"[i % 2], split, f"artist {artist}"))
    (folder / "broken.wav").write_bytes(b"RIFF")
    rows.append(("broken.wav", "a", "train", "artist 0"))
    write_manifest(folder, rows)
    return folder


def write_manifest(folder, rows):
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "split", "group"), *rows])


@pytest.fixture(scope="module")
def prepared(songs, tmp_path_factory):
    out = tmp_path_factory.mktemp("prepared")
    words = ("--from", songs, "--out", out, "--sample-rate-hz", RATE_HZ)
    made = mclf("data", "prepare", "folder", *words, run_it=commands.process)
    assert "1 skipped" in made.stdout
    return out


def test_list():
    assert "magnatagatune" in mclf("data", "list").stdout
    one = mclf("data", "list", "gtzan").stdout
    assert "split=fault_filtered" in one and "jazz.00054" in one
    assert "there are gtzan, " in mclf("data", "list", "gtzam", code=1).stderr


def test_every_data_set_says_what_a_user_must_know():
    for name, facts in data.facts().items():
        assert facts.name == name and facts.contents and facts.tasks
        if name != "folder":
            assert facts.citation and facts.url.startswith("http") and facts.faults
            assert facts.licence != "unknown"


@pytest.mark.slow
def test_prepared_data_train_and_evaluate(prepared, tmp_path):
    small = ("n_channels=4", "num_blocks=3")
    config = f"configs/folder.py:data=prepared,path={prepared},window_s=1,steps=6,init=none"
    changes = [f"--config.model.args.{change}" for change in small]
    changes += ["--config.runtime.num_devices=1"]
    mclf(
        "train", "--config", config, "--workdir", tmp_path, *changes, "--config.train.batch_size=4"
    )
    meta = json.loads((tmp_path / "meta.json").read_text())
    assert meta["data"]["name"] == "folder" and meta["data"]["version"] == "1.0.0"
    assert "4 songs" in mclf("evaluate", tmp_path).stdout
    moved = shutil.copytree(prepared, tmp_path / "moved")
    one = mclf(
        "evaluate",
        tmp_path,
        f"--config.data.args.path={moved}",
        "--config.eval.num_windows=1",
    )
    assert "4 songs, 4 windows" in one.stdout


def test_wrong_options_are_named(songs, tmp_path):
    wrong = mclf(
        *("data", "prepare", "gtzan", "--from", songs, "--out", tmp_path, "--option", "fold=1"),
        code=1,
    )
    assert "--option fold=1: gtzan takes split=fault_filtered" in wrong.stderr
    wrong = mclf("data", "prepare", "gtzan", "--from", songs, "--out", tmp_path, code=1)
    assert "looked for" in wrong.stderr


@pytest.mark.slow
def test_a_clean_set_passes_and_leaks_do_not(songs, prepared, tmp_path):
    clean = mclf("data", "check", prepared, "--out", tmp_path / "page.html")
    assert "0 leak(s)" in clean.stdout and (tmp_path / "page.html").stat().st_size > 10_000

    planted = shutil.copytree(songs, tmp_path / "planted")
    rows = list(csv.reader((planted / "manifest.csv").read_text().splitlines()))[1:]
    # The same music again, quieter and through a lossy codec, and an artist of train in test.
    soundfile.write(planted / "copy.ogg", 0.4 * melody(1), RATE_HZ)
    rows.append(("copy.ogg", "b", "test", "somebody else"))
    soundfile.write(planted / "more.wav", melody(99), RATE_HZ)
    rows.append(("more.wav", "a", "test", "artist 2"))
    write_manifest(planted, rows)
    found = json.loads(mclf("data", "check", planted, "--format", "json", code=1).stdout)
    leaks = [finding for finding in found["findings"] if finding["verdict"] == "leak"]
    text = json.dumps(leaks)
    assert len(leaks) == 2 and "copy.ogg" in text and "1.wav" in text and "artist 2" in text


def test_annotators_become_a_manifest(tmp_path):
    table = tmp_path / "said.csv"
    said = [("x.wav", "ann", "jazz"), ("x.wav", "bob", "jazz"), ("x.wav", "cy", "rock")]
    said += [("y.wav", "ann", "rock"), ("y.wav", "bob", "jazz")]
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "annotator", "label"), *said])
    out = mclf("data", "agreement", table, "--out", tmp_path / "manifest.csv").stdout
    assert "kappa" in out and "1 of 2 items have a tie" in out
    rows = list(csv.DictReader((tmp_path / "manifest.csv").read_text().splitlines()))
    assert [(row["path"], row["label"]) for row in rows] == [("x.wav", "jazz"), ("y.wav", "")]
    before = table.read_bytes()
    assert "the table itself" in mclf("data", "agreement", table, "--out", table, code=1).stderr
    assert table.read_bytes() == before
