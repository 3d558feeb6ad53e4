"""Sweeps whose settings learn without labels: probed once, compared, and what builds on them."""

import dataclasses

import numpy as np
import pytest

from mclf_jax import data
from mclf_jax.probe import load_result
from mclf_jax.sweep import probes as sweep_probes
from mclf_jax.sweep import run_of
from mclf_jax.sweep.run import run
from tests.songs import Songs
from tests.tiny import tiny_config

data.SOURCES["other_songs"] = __name__
SIMCLR = {"objective.name": "simclr", "objective.args.projector": (4,), "optim.ema_decay": 0.0}
PROBES = {
    "own": {"kinds": ("linear",), "baselines": ("untrained",)},
    "other": {
        "source": "other_songs",
        "kinds": ("knn",),
        "seeds": range(2),
        "fractions": (0.5, 1.0),
        "baselines": (),
    },
}


def other_songs(*, sample_rate_hz):
    songs = Songs(24)
    songs.info = dataclasses.replace(songs.info, name="other_songs", fingerprint=FINGERPRINT[0])
    return songs


FINGERPRINT = ["before"]


@pytest.mark.slow
def test_pretrained_probed_and_tuned(tmp_path, capsys, monkeypatch):
    config = tiny_config(train__num_steps=2, eval__every_steps=2, runtime__num_devices=1)
    settings = [(f"simclr,seed={seed}", SIMCLR | {"seed": seed}) for seed in (0, 1)]
    settings.append(("tuned,seed=0", {"init.path": run_of("simclr,seed=0"), "seed": 0}))
    results = run(config, settings, workdir=tmp_path, probes=PROBES)
    assert [r["status"] for r in results] == ["finished"] * 3
    assert [sorted(r) for r in results[1:]] == [
        ["changes", "cost", "name", "objective", "probes", "status", "target"],
        ["changes", "cost", "metrics", "name", "objective", "status", "target", "task"],
    ]
    assert (
        "(short_chunk_cnn, simclr, step 2)" in (tmp_path / "tuned,seed=0" / "init.txt").read_text()
    )

    text = (tmp_path / "sweep.md").read_text()
    lines = text.splitlines()
    assert lines[4].startswith("| tuned | 1 | ") and not lines[5]
    own, half, whole = (
        lines.index(f"**{title}**")
        for title in ("own", "other, labels: 50 %", "other, labels: 100 %")
    )
    found = [load_result(tmp_path / name / "probe" / "own") for name, _ in settings[:2]]
    mean = np.mean(
        [r.values["accuracy"] for f in found for r in f.records if r.encoder == "trained"]
    )
    assert lines[own + 2].startswith("| method | probe | runs | accuracy | untrained |")
    assert lines[own + 4].startswith(f"| simclr | linear | 2 | {mean:.3f}")
    for table in (half, whole):
        assert lines[table + 4].startswith("| simclr | knn | 2 | ") and not "".join(
            lines[table + 5 : table + 6]
        )

    # Nothing is probed twice, unless arguments or songs have become others.
    asked = []
    monkeypatch.setattr(
        sweep_probes, "probe", lambda run, **given: asked.append((run.name, given)) or found[0]
    )
    run(config, settings, workdir=tmp_path, probes=PROBES)
    assert not asked and (tmp_path / "sweep.md").read_text() == text
    changed = {"own": PROBES["own"] | {"num_windows": 1}}
    sweep_probes.probe_once(tmp_path / settings[0][0], "own", changed["own"])
    assert asked.pop()[1]["num_windows"] == 1
    monkeypatch.setitem(globals(), "FINGERPRINT", ["after"])
    sweep_probes.probe_once(tmp_path / settings[1][0], "other", PROBES["other"])
    assert asked.pop()[1]["out"] == tmp_path / settings[1][0] / "probe" / "other"


def test_pretraining_alone_needs_probes(tmp_path):
    """That a stage without labels precedes one with them is fine, see above."""
    with pytest.raises(ValueError, match=r"define probes\(\) in the config file"):
        run(tiny_config(), [("simclr", SIMCLR)], workdir=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("probes", "message"),
    [
        ({"a/b": {}}, "'a/b'; it must be a folder's name"),
        ({"embeddings": {}}, "'embeddings'; it must be"),
        (
            {"own": {"fold": 5}},
            "'own' in probes.. has fold; probe takes arguments, .*, fractions, ",
        ),
        ({"own": {"out": "x"}}, "'own' in probes.. has out; probe takes"),
        (
            {"own": {"source": Songs(12)}},
            "'own' in probes.. cannot be kept as JSON: .*a Songs; say",
        ),
    ],
)
def test_wrong_probes_are_refused_before_training(probes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        run(tiny_config(), [("a", SIMCLR)], workdir=tmp_path / "runs", probes=probes)
    assert not (tmp_path / "runs").exists()
