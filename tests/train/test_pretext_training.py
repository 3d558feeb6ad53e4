"""Whole runs of pretext tasks: what is learnt of artists is judged on artists never heard."""

import dataclasses

import numpy as np
import pytest

from mclf_jax import data
from mclf_jax.evaluation.evaluate import evaluate
from mclf_jax.probe import probe
from mclf_jax.probe.opening import open_parts
from mclf_jax.run import experiment
from mclf_jax.run.directory import read_config, read_meta
from mclf_jax.train import train
from tests.songs import RATE_HZ, Songs
from tests.tiny import tiny_config

data.SOURCES["performers"] = __name__
STYLES = ("low", "middle", "high")
# 24 artists of six songs on three albums; a style is where on the scale their tones are.
NUM_ARTISTS = 24


class Performers(Songs):
    """Every artist has a tone of their own, and so sound the songs, louder or softer."""

    def __post_init__(self):
        super().__post_init__()
        artist = np.arange(self.count) // 6
        of_style = ("train", "train", "test", "train", "valid", "train", "train", "unlabelled")
        splits = np.array(of_style)[artist % 8]
        names = ("train", "valid", "test", "unlabelled")
        self.info = dataclasses.replace(
            self.info,
            name="performers",
            labels=STYLES,
            splits={name: np.flatnonzero(splits == name) for name in names},
            groups=tuple(f"artist {number:02}" for number in artist),
            group_kind="artist",
            columns={"album": tuple(str(i // 2) for i in range(self.count))},
            fingerprint="performers",
        )

    def read(self, index, *, start_sample, num_samples):
        rng = np.random.default_rng(index)
        times_s = np.arange(self.num_samples(index)) / RATE_HZ
        tone_hz = 40 * 2 ** (index // 6 / 7.5)
        song = rng.uniform(0.2, 1) * np.sin(2 * np.pi * (tone_hz * times_s + rng.uniform()))
        song += 0.01 * rng.standard_normal(len(song))
        return song.astype(np.float32)[start_sample : start_sample + num_samples]

    @property
    def labels(self):
        return np.arange(self.count, dtype=np.int32) // 6 // 8


def performers(*, sample_rate_hz):
    return Performers(6 * NUM_ARTISTS)


def _config(target, arguments, **changes):
    config = tiny_config()
    config.features.update({"n_fft": 128, "n_mels": 32})
    config.model.args.dropout_rate = 0.0
    config.data.name = "performers"
    with config.unlocked():
        config.data.args, config.data.target_args = type(config)(), type(config)(arguments)
    config.data.target = target
    config.optim.update({"learning_rate": 0.01, "ema_decay": 0.0})
    config.train.update({"batch_size": 24, "num_steps": 40})
    config.eval.update({"every_steps": 20, "batch_size": 24, "num_windows": 1})
    config.update_from_flattened_dict(changes)
    return config


@pytest.fixture
def workdir(tmp_path):
    return tmp_path / "run"


def _plays(path):
    """Every user likes one style."""
    rng, songs = np.random.default_rng(0), np.arange(6 * NUM_ARTISTS)
    rows = ["user,item,count"]
    for user in range(60):
        for i in rng.choice(songs[songs // 48 == user % 3], 20, replace=False):
            rows.append(f"{user},song {i},{rng.integers(1, 9)}")
    path.write_text("\n".join(rows))
    return str(path)


@pytest.mark.slow
def test_artists_with_drawn_labels(workdir):
    """Most of 18 artists are recognised on an album that was not in training, from 6 logits."""
    arguments = {"valid_fraction": 0.2, "test_fraction": 0.1}
    steps = {"train.num_steps": 80, "eval.every_steps": 80}
    config = _config("artist", arguments, **{"objective.num_sampled": 6, **steps})
    outcome = train(config, workdir=workdir)
    assert outcome.best_value < 0.6 * np.log(18)
    meta = read_meta(workdir)
    assert len(meta["labels"]) == 18 and meta["labels"][0] == "artist 00"
    notes = meta["data"]["notes"]
    assert any(note.startswith("pretext task: labels are 18 artists") for note in notes)
    with pytest.raises(ValueError, match="data.target_args.seed"):
        train(_config("artist", arguments | {"seed": 1}, **steps), workdir=workdir)
    report = evaluate(workdir, split="valid")
    assert report.metrics["accuracy"] > 0.5 and report.metrics["loss"] < np.log(18)

    # The probe is on the styles, and on artists whom the network never heard.
    own = experiment.build(read_config(workdir)).source
    parts = open_parts(workdir, None, None, num_windows=None, hop_s=None)
    assert parts.source.info.labels == STYLES and parts.config.data.target == ""
    groups = np.asarray(parts.source.info.groups)
    trained = set(groups[np.concatenate(list(own.info.splits.values()))])
    tested = set(groups[parts.source.info.splits["test"]])
    assert len(trained) == 18 and len(tested) == 3 and not trained & tested
    found = probe(workdir, kinds=("linear",), baselines=(), progress="off")
    assert found.labels == STYLES and len(found.notes) == 1
    text = found.notes[0]
    assert "the same artist or not (153 pairs of artists never heard): trained: ROC-AUC" in text
    assert float(text.split("ROC-AUC ")[1].split(",")[0]) > 0.95
    assert found.method == "supervised, artist"
    assert found.records[0].values["accuracy"] > 0.9
    # With folds, artists of the pretext task are in the test; their styles were never told.
    crossing = probe(workdir, kinds=("linear",), baselines=(), num_folds=3, progress="off")
    note = "Pretraining (supervised, artist) heard "
    assert any(text.startswith(note) for text in crossing.notes)


@pytest.mark.slow
def test_groups_of_artists(workdir):
    outcome = train(
        _config("artist_group", {"num_groups": 3, "valid_fraction": 0.2}), workdir=workdir
    )
    assert outcome.best_value < 0.6 * np.log(3)
    # Groups were made from labels, so that testing on these songs would be no test.
    with pytest.raises(ValueError, match="with the labels of .* songs that it would be tested on"):
        probe(workdir, kinds=("linear",), baselines=(), num_folds=3, progress="off")


@pytest.mark.slow
def test_listening(workdir, tmp_path):
    pytest.importorskip("implicit")
    arguments = {"path": _plays(tmp_path / "plays.csv"), "num_factors": 3, "scaling": "unit"}
    config = _config("listening", arguments, **{"objective.distance": "cosine"})
    outcome = train(config, workdir=workdir)
    # A vector of no use is at a right angle, at distance 1.
    assert outcome.best_value < 0.3
    assert read_meta(workdir)["labels"] == ["factor_0", "factor_1", "factor_2"]
