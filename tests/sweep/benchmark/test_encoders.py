"""Encoders that are there already: runs, exported files, and what cannot be one."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest

from mclf_jax import data
from mclf_jax import sweep as sweep_lib
from mclf_jax.cli import main as cli
from mclf_jax.export.archive import write_archive
from mclf_jax.export.collect import bundle_of
from mclf_jax.probe.exported import as_run
from mclf_jax.run.directory import read_model
from mclf_jax.sweep import frozen
from mclf_jax.sweep import probes as sweep_probes
from mclf_jax.sweep.commands import make_jobs
from mclf_jax.sweep.protocol import benchmark
from mclf_jax.sweep.run import run
from tests import ROOT
from tests.probe import conftest
from tests.songs import Songs
from tests.tiny import tiny_config

finished_run = conftest.finished_run
data.SOURCES["foreign_songs"] = __name__
RULES = {"kinds": ("mlp",), "layer": "mix", "baselines": ()}


def foreign_songs(*, sample_rate_hz):
    songs = Songs(36)
    songs.info = dataclasses.replace(songs.info, name="foreign_songs", fingerprint="foreign")
    return songs


@pytest.mark.slow
def test_all_kinds_of_encoders_are_probed_by_one_protocol(finished_run, tmp_path, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in finished_run.rglob("*") if path.is_file()}
    write_archive(bundle_of(finished_run), tmp_path / "tagger.mclf")
    settings = [
        ("tiny", {"encoder": frozen(finished_run)}),
        ("file", {"encoder": frozen(tmp_path / "tagger.mclf")}),
        ("untrained", {"encoder": frozen(finished_run, read="untrained")}),
        ("mfcc", {"encoder": frozen(finished_run, read="mfcc")}),
        ("gone", {"encoder": frozen(tmp_path / "gone")}),
    ]
    tasks = {
        "songs,seed=0": RULES | {"source": "foreign_songs", "arguments": {}, "seeds": (0,)},
        "lost": RULES | {"source": "folder", "arguments": {"path": str(tmp_path / "no")}},
    }
    workdir = tmp_path / "benchmark"
    results = run(tiny_config(), settings, workdir=workdir, probes=tasks)
    assert all("lost: path must be a folder" in result["status"] for result in results[:4])
    assert "gone is not there; an encoder is" in results[4]["status"]
    found = [result["probes"]["songs,seed=0"] for result in results[:4]]
    values = [result.records[0].values["accuracy"] for result in found]
    assert values[0] == values[1]  # the same weights, from the run and from the file
    assert [len(result.records) for result in found] == [1] * 4
    assert [result.records[0].encoder for result in found] == [
        *("trained", "trained", "untrained", "mfcc")
    ]
    assert "mix" in found[0].records[0].setting and "mix" not in found[3].records[0].setting
    assert results[0]["cost"]["parameters"] > 0 == results[3]["cost"]["parameters"]
    text = (workdir / "sweep.md").read_text()
    assert "| encoder | parameters | songs: accuracy |" in text and "- gone: failed" in text
    # What is of the run stays; only embeddings are kept in it.
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())

    asked = []
    monkeypatch.setattr(sweep_probes, "probe", lambda *_, **given: asked.append(given) or found[0])
    del tasks["lost"]
    again = run(tiny_config(), settings[:4], workdir=workdir, probes=tasks)
    assert not asked and [result["status"] for result in again] == ["finished"] * 4


@pytest.mark.slow
def test_an_exported_file_becomes_the_same_network(finished_run, tmp_path):
    write_archive(bundle_of(finished_run), tmp_path / "tagger.mclf")
    made = as_run(tmp_path / "tagger.mclf", out=tmp_path / "run")
    assert read_model(made) == read_model(finished_run)
    ours, theirs = (bundle_of(path).variables[0] for path in (made, finished_run))
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)
    assert as_run(tmp_path / "tagger.mclf", out=tmp_path / "run") == made
    assert as_run(finished_run, out=tmp_path / "none") == finished_run
    meta = (made / "meta.json").read_text()
    (made / "meta.json").write_text(meta.replace('"fingerprint": "', '"fingerprint": "x'))
    with pytest.raises(ValueError, match="was made of other weights than"):
        as_run(tmp_path / "tagger.mclf", out=tmp_path / "run")
    shutil.copy(tmp_path / "tagger.mclf", tmp_path / "weights.pth")
    with pytest.raises(ValueError, match="make a run of weights first: mclf convert"):
        as_run(tmp_path / "weights.pth", out=tmp_path / "run")


def test_from_python(tmp_path):
    with pytest.raises(ValueError, match="tasks is empty; name at least one"):
        benchmark({"a": "runs/a"}, {}, workdir=tmp_path)
    with pytest.raises(ValueError, match="tasks has 'notes': {'folder': 'N'}; it must be a folder"):
        benchmark({"a": "runs/a"}, {"notes": {"folder": "N"}}, workdir=tmp_path)
    tasks = {"notes": {"path": "N", "column": "pitch"}, "gtzan": "G"}
    found = benchmark({"a": tmp_path / "gone"}, tasks, workdir=tmp_path / "out")
    assert found["rows"] == found["columns"] == []
    assert "gone is not there" in found["skipped"]["a"]


def test_settings_of_encoders_train_nothing(tmp_path, capsys):
    config = f"{ROOT}/configs/ablations/benchmark.py"
    arg = "encoders=runs/a+b.mclf+untrained@runs/a+mfcc@runs/a,tasks=gtzan@G+notes@N@pitch,folds=5"
    settings = sweep_lib.settings_of(f"{config}:{arg},seeds=2")
    assert [(name, str(changes["encoder"])) for name, changes in settings] == [
        ("a", "runs/a"),
        ("b", "b.mclf"),
        ("a, untrained", "untrained runs/a"),
        ("MFCC statistics", "mfcc runs/a"),
    ]
    assert make_jobs(config, settings, workdir=tmp_path) == []
    words = ["sweep", "--config", f"{config}:{arg}", "--workdir", str(tmp_path), "--dry-run"]
    assert cli.main(words) == 0
    out, err = capsys.readouterr()
    assert out == "" and "4 of 4 settings are encoders that train nothing" in err
    probes = sweep_lib.probes_of(f"{config}:{arg},seeds=2")
    assert list(probes) == ["gtzan,seed=0", "gtzan,seed=1", "notes,seed=0", "notes,seed=1"]
    assert probes["notes,seed=1"]["arguments"] == {
        "path": "N",
        "task": "single_label",
        "targets": "pitch",
    }
    assert "num_folds" not in probes["gtzan,seed=0"] and probes["notes,seed=0"]["num_folds"] == 5
    for wrong, message in (
        ("", "config argument encoders is empty"),
        ("encoders=a,tasks=gtzan", "tasks has 'gtzan'; it must be NAME@DIR"),
        ("encoders=a,tasks=gtzan@D@genre", "task gtzan has labels of its own"),
    ):
        with pytest.raises(ValueError, match=message):
            sweep_lib.settings_of(f"{config}:{wrong}") and sweep_lib.probes_of(f"{config}:{wrong}")
    with pytest.raises(ValueError, match="it is only probed|which is only probed"):
        run(tiny_config(), settings, workdir=tmp_path / "runs")
    with pytest.raises(ValueError, match="encoder is a setting of its own"):
        run(tiny_config(), [("a", {"encoder": "runs/a"})], workdir=tmp_path / "runs")
