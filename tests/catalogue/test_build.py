"""A catalogue by a real network: as `predict` and `embed` say, gone on with, here and on Beam."""

import csv
import json
import sys

import numpy as np
import pytest

import mclf_jax as mclf
from mclf_jax.catalogue import load as load_lib
from mclf_jax.catalogue import rows, shard
from mclf_jax.catalogue.folder import open_catalogue
from mclf_jax.cli.main import main
from mclf_jax.common import files
from tests.audio.broken import encoded
from tests.small_run import write_run
from tests.songs import RATE_HZ

pytest.importorskip("pyarrow")
HERE = ("runner=DirectRunner", "direct_running_mode=in_memory")
GOOD = ["a.wav", "b.wav", "d.wav", "e.wav", "f.wav"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    noise = np.random.default_rng(0).standard_normal((4, RATE_HZ)).astype(np.float32) / 10
    return write_run(tmp_path_factory.mktemp("run") / "run", noise)


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    root = tmp_path_factory.mktemp("songs")
    for number, name in enumerate(GOOD):
        (root / name).write_bytes(encoded("wav", duration_s=1 + number / 4, hz=100 + 80 * number))
    (root / "c.wav").write_bytes(b"")
    return root


def command(run, songs, out, *more):
    return ["catalogue", run, str(songs), "--out", str(out), *map(str, more)]


def table(out):
    found = [row for each in rows.read(open_catalogue(out), COLUMNS) for row in each.to_pylist()]
    return {row.pop("path"): row for row in found}


COLUMNS = ("path", "duration_s", "low", "high", "embedding")


def test_it_says_what_predict_and_embed_say_and_goes_on(run, songs, tmp_path, capfd, monkeypatch):
    out, heard, hear = tmp_path / "out", [], shard.hear

    def killed(tagger, paths, **how):
        if len(heard) == 2:
            raise KeyError("killed")
        heard.append(paths)
        return hear(tagger, paths, **how)

    with monkeypatch.context() as patch, pytest.raises(KeyError, match="killed"):
        patch.setattr(shard, "hear", killed)
        main(command(run, songs, out, "--songs-per-shard", 2))
    # Another list and another network are refused; a command at the same time as well.
    assert main(command(run, songs / "a.wav", out)) == 1
    assert main(command(run, songs, out, "--num-windows", 3)) == 1
    with files.locked(out, refusal=""):
        assert main(command(run, songs, out)) == 1
    said = capfd.readouterr().err
    for part in ("another list of songs: of 1 songs 5 are miss", "other windows", "wait for it"):
        assert part in said
    (out / "songs" / ".0a.partial.parquet").touch()
    assert main(command(run, songs, out)) == 1
    assert "5 songs (3 of them done before)" in capfd.readouterr().out
    assert not list((out / "songs").glob(".*"))
    stamps = [path.stat().st_mtime_ns for path in sorted((out / "songs").iterdir())]
    assert main(command(run, songs, out)) == 1
    assert "5 songs (5 of them done before)" in capfd.readouterr().out
    assert stamps == [path.stat().st_mtime_ns for path in sorted((out / "songs").iterdir())]

    found, tagger = table(out), mclf.load(run)
    assert list(found) == [str(songs / name) for name in GOOD]
    for path, row in found.items():
        assert {name: row[name] for name in ("low", "high")} == pytest.approx(
            tagger.predict(path), abs=1e-6
        )
        np.testing.assert_allclose(row["embedding"], tagger.embed(path), atol=1e-5)
    assert found[str(songs / "e.wav")]["duration_s"] == pytest.approx(1.75)
    with (out / "skipped.csv").open() as file:
        listed = list(csv.DictReader(file))
    assert listed == [{"path": str(songs / "c.wav"), "reason": "the file is empty (0 bytes)"}]

    # A file that is not in it is heard by its network, opened again.
    monkeypatch.setattr(load_lib, "_opened", {})
    (tmp_path / "new.wav").write_bytes((songs / "d.wav").read_bytes())
    assert main(["similar", str(out), str(tmp_path / "new.wav"), "--format", "json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["songs"][0]["path"] == str(songs / "d.wav")
    assert found["songs"][0]["score"] == pytest.approx(1, abs=1e-4) and found["method"] == "exact"
    assert main(["similar", str(out), "d.wav", "--count", "2"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "of 5 songs (compared with all):" and len(lines) == 3
    assert main(["search", str(out), "--tags", "low"]) == 0
    assert "of 5 songs:" in capfd.readouterr().out


def test_windows_of_songs_share_calls_of_one_shape(run, songs, tmp_path):
    paths = [str(songs / name) for name in GOOD]
    made = mclf.catalogue(run, paths, out=tmp_path / "out", songs_per_shard=3, num_windows=8)
    assert made["songs"] == 5 and made["skipped"] == []
    (tagger,) = load_lib._opened.values()
    network = open_catalogue(tmp_path / "out").network
    assert load_lib.tagger_of(network) is tagger  # opened once in a process
    batches, step = [], tagger._step

    def seen(variables, batch):
        batches.append(batch["index"].tolist())
        return step(variables, batch)

    tagger._step = seen
    shard.hear(tagger, paths, retries=0)
    assert [len(batch) for batch in batches] == [16] * 3
    assert set(batches[0]) == {0, 1} and batches[2][:8] == [4] * 8


def test_a_network_that_has_changed_is_refused(run, songs, tmp_path, monkeypatch):
    mclf.catalogue(run, [str(songs / "a.wav")], out=tmp_path / "out")
    monkeypatch.setattr(load_lib, "_opened", {})
    noise = np.random.default_rng(0).standard_normal((4, RATE_HZ)).astype(np.float32) / 10
    other = write_run(tmp_path / "other", noise, seed=1)
    with pytest.raises(ValueError, match="is not the network of this catalogue any more"):
        mclf.similar(tmp_path / "out", songs / "b.wav", model=other)
    assert mclf.similar(tmp_path / "out", songs / "b.wav")["of"] == 1


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--retries", "-1"], "retries is -1; it must be at least 0"),
        (["--list", "paths.txt"], "or by --list; got both"),
        (["--songs-per-shard", "0"], "songs_per_shard is 0"),
    ],
)
def test_settings_that_make_no_sense(run, songs, tmp_path, capfd, more, said):
    assert main(command(run, songs / "a.wav", tmp_path / "out", *more)) == 1
    assert said in capfd.readouterr().err


def test_songs_of_a_list(run, songs, tmp_path, capfd):
    text = f"{songs}/a.wav\n\n{songs}/missing.wav\n"
    (tmp_path / "paths.txt").write_text(text, encoding="utf-8-sig")  # as Windows writes it
    words = ["catalogue", run, "--list", str(tmp_path / "paths.txt"), "--out"]
    assert main([*words, str(tmp_path / "out")]) == 1
    assert "1 songs (0 of them done before)" in capfd.readouterr().out
    assert "missing.wav,no such file" in (tmp_path / "out" / "skipped.csv").read_text()


def test_one_path_is_no_list(tmp_path):
    with pytest.raises(ValueError, match="paths is .song.mp3.; it must be a list of audio files"):
        mclf.catalogue("run", "song.mp3", out=tmp_path / "out")


def test_says_what_to_install(run, songs, tmp_path, capfd, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    assert main(command(run, songs, tmp_path / "out", "--beam")) == 1
    assert "pip install 'mclf-jax[beam]'" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.filterwarnings("ignore")
def test_beam_makes_the_same(run, songs, tmp_path, capfd):
    pytest.importorskip("apache_beam")
    assert main(command(run, songs, tmp_path / "here", "--songs-per-shard", 4)) == 1
    words = command(run, songs, tmp_path / "beam", "--songs-per-shard", 2, "--beam", *HERE)
    assert main(words) == 1, capfd.readouterr().err
    here, there = table(tmp_path / "here"), table(tmp_path / "beam")
    assert list(here) == list(there)
    for path, row in here.items():
        np.testing.assert_allclose(row["embedding"], there[path]["embedding"], atol=1e-5)
    (tmp_path / "beam" / "songs" / "shard-00001-of-00003.parquet").unlink()
    assert main(words) == 1 and list(table(tmp_path / "beam")) == list(here)
