"""Attention finds the window that decides, a mix the layer, and both leave as plain layers."""

import numpy as np
import pytest

from mclf_jax import metrics
from mclf_jax.evaluation.aggregation import combine
from mclf_jax.shallow.embeddings import Rows
from mclf_jax.shallow.fit import fit

WINDOWS = 10


def songs(count, *, seed, most_vocal=2):
    """Of ten windows one or two have singing if the song is vocal; the rest is alike in all."""
    rng = np.random.default_rng(seed)
    vocal = np.arange(count) % 2
    position = np.repeat(np.arange(count), WINDOWS)
    vectors = rng.standard_normal((count, WINDOWS, 8))
    for song in np.flatnonzero(vocal):
        sung = rng.choice(WINDOWS, rng.integers(1, most_vocal + 1), replace=False)
        vectors[song, sung, 0] += 6
    # How loud a song is says nothing of singing, and hides it in the mean.
    vectors[..., 0] += rng.normal(0, 1, (count, 1))
    targets = vocal[:, None].astype(np.float32)
    return Rows(np.arange(count), position, vectors.reshape(-1, 8).astype(np.float32), targets)


SPLITS = {"train": songs(80, seed=0), "valid": songs(40, seed=1), "test": songs(60, seed=2)}


def fitted(kind, task="multi_label", *, labels=("vocal",), splits=SPLITS, **how):
    return fit(kind, task, labels=labels, seed=0, max_windows=10_000, **splits, **how)


def accuracy(scores, targets):
    """At the share of windows that decides between the two kinds of songs, .5."""
    return ((scores >= 0.5) == targets).mean()


def test_a_song_is_vocal_if_any_window_is():
    """The case of the tutorial: the mean fails, the learnt way and the maximum do not."""
    test, mean, learnt = SPLITS["test"], fitted("linear"), fitted("attention")
    assert accuracy(mean.scores, test.targets) < 0.8
    assert accuracy(learnt.scores, test.targets) > 0.9
    assert learnt.aggregation == "attention" and learnt.layers[-1]["bias"].shape == (2,)
    # A tagger that knows which windows are vocal: the majority of them is wrong, any is right.
    sung = (test.vectors[:, :1] > 4).reshape(-1, WINDOWS, 1).astype(float)
    found = {
        how: np.stack([combine({"scores": s}, how, task="multi_label") for s in sung])
        for how in ("mean", "vote", "max", "noisy_or")
    }
    right = {how: accuracy(scores, test.targets) for how, scores in found.items()}
    assert right["mean"] == right["vote"] < 0.6 and right["max"] == right["noisy_or"] > 0.9


@pytest.mark.parametrize(
    "task", ["single_label", pytest.param("regression", marks=pytest.mark.slow)]
)
def test_attention_of_classes_and_numbers(task):
    def of_task(rows):
        targets = rows.targets[:, 0].astype(int) if task == "single_label" else 5 * rows.targets
        return Rows(rows.songs, rows.position, rows.vectors, targets)

    labels = ("none", "vocal") if task == "single_label" else ("vocal",)
    splits = {name: of_task(rows) for name, rows in SPLITS.items()}
    found = fitted("attention", task, labels=labels, splits=splits)
    values = metrics.compute(task, found.scores, splits["test"].targets, labels=labels).values
    assert values[metrics.HEADLINES[task][0]] > 0.5
    if task == "single_label":
        np.testing.assert_allclose(found.scores.sum(axis=1), 1)


@pytest.mark.parametrize("widths", [(4, 4), pytest.param((3, 5), marks=pytest.mark.slow)])
def test_a_mix_weighs_the_layer_that_knows(widths):
    rng = np.random.default_rng(0)

    def split(count, seed):
        rows = songs(count, seed=seed, most_vocal=WINDOWS)
        vectors = rng.standard_normal((len(rows.vectors), 8)).astype(np.float32)
        vectors[:, -1] = 2 * rows.targets[rows.position, 0] + vectors[:, -1]
        targets = np.concatenate([rows.targets, np.full((count, 1), np.nan)], axis=1)
        targets[0] = np.nan  # nothing is known of it
        return Rows(rows.songs, rows.position, vectors, targets.astype(np.float32))

    splits = {name: split(60, seed) for seed, name in enumerate(SPLITS)}
    found = fitted("linear", labels=("vocal", "unknown"), splits=splits, widths=widths)
    mix = found.setting["mix"]
    assert sum(mix) == pytest.approx(1, abs=1e-3) and mix[1] > mix[0]
    assert accuracy(found.scores[1:, :1], splits["test"].targets[1:, :1]) > 0.9
    # The scaling and the mix are in the layers: they say the same of plain embeddings.
    (layer,) = found.layers
    test = splits["test"]
    scores = 1 / (1 + np.exp(-(test.vectors @ layer["kernel"] + layer["bias"])))
    means = scores.reshape(60, WINDOWS, 2).mean(axis=1)
    np.testing.assert_allclose(means, found.scores, atol=1e-5)
