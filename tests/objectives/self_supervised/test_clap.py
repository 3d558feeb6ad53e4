"""Songs beside words: the loss by hand, and words that training never showed."""

import functools

import jax
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mclf_jax import models
from mclf_jax.common.text.vectors import vectors_of
from mclf_jax.models.two_towers import with_words
from mclf_jax.objectives.self_supervised.clap import clap
from tests.losses.test_contrastive import plain_pairs
from tests.objectives.material import NUM_SAMPLES, RATE_HZ, made, small_model, start

LOG_MEL = {"n_mels": 16, "n_fft": 128, "hop_length": 64, "sample_rate_hz": RATE_HZ}
HEIGHTS = {"low": 60, "middle": 150, "high": 375}  # Hz
SOUNDS = ("pure", "hollow", "beating")
PHRASES = tuple(f"{height} {sound}" for height in HEIGHTS for sound in SOUNDS)
UNSEEN = ("low hollow", "middle pure", "high beating")


@functools.cache
def towers(num_labels=2, **changes):
    sizes = {"encoder_args": {"n_channels": 8, "num_blocks": 3}, "dim": 16, "hidden_size": 32}
    settings = {"features": LOG_MEL, "window_s": NUM_SAMPLES / RATE_HZ, "text_size": 256}
    return models.build("two_towers", num_labels=num_labels, **settings | sizes | changes)


def sounds(phrases, *, seed):
    """[N, T]: of a pitch near that of the height, with overtones or with a pulse by the sound."""
    rng, time_s = np.random.default_rng(seed), np.arange(NUM_SAMPLES) / RATE_HZ
    audio = []
    for phrase in phrases:
        height, sound = phrase.split()
        phase = 2 * np.pi * HEIGHTS[height] * 2 ** rng.uniform(-0.2, 0.2) * time_s
        wave = np.sin(phase + rng.uniform(0, 6))
        if sound == "hollow":
            wave += sum(np.sin(n * phase) / n for n in (3, 5) if n * HEIGHTS[height] < 900)
            wave += 0.3 * rng.standard_normal(len(wave))
        if sound == "beating":
            wave *= np.sin(2 * np.pi * rng.uniform(15, 20) * time_s) > 0
        audio.append(wave * rng.uniform(0.3, 1) + 0.02 * rng.standard_normal(len(wave)))
    return np.array(audio, np.float32)


def batch_of(phrases, *, seed, size=256):
    """A batch as the pipeline makes it."""
    return {
        "audio": sounds(phrases, seed=seed),
        "words": vectors_of(phrases, size=size),
        "words_id": np.array([PHRASES.index(phrase) for phrase in phrases], np.int32),
        "valid": np.ones(len(phrases), np.float32),
    }


def test_the_loss_is_the_mean_of_both_directions():
    model = towers()
    objective = made(clap, model)
    initial = jax.jit(objective.init)(jax.random.key(0))
    initial["params"]["model"]["log_scale"] = np.float32(np.log(20))
    batch = batch_of(PHRASES[:4] + PHRASES[:2], seed=0)
    batch["valid"][-1] = 0
    key = jax.random.key(0)
    found = jax.jit(objective.evaluate)(initial["params"], initial["state"], batch, key)
    variables = {"params": initial["params"]["model"], **initial["state"]["model"]}
    songs = np.asarray(jax.jit(model.apply)(variables, batch["audio"])["embedding"], np.float64)
    said = np.asarray(model.module.apply(variables, batch["words"], method="say"), np.float64)
    how = {"scale": 20, "valid": batch["valid"], "same": batch["words_id"]}
    to_words, to_songs = plain_pairs(songs, said, **how)[0], plain_pairs(said, songs, **how)[0]
    np.testing.assert_allclose(found.per_example, (to_words + to_songs) / 2, atol=1e-4)
    np.testing.assert_allclose(found.metrics["temperature"], 1 / 20, rtol=1e-6)
    assert found.per_example[-1] == 0


@pytest.mark.slow
def test_words_that_were_never_shown_are_understood():
    """Of two words each, which training has shown with other ones."""
    model, rng = towers(), np.random.default_rng(0)
    state, step = start(made(clap, model), learning_rate=3e-3)
    seen = [phrase for phrase in PHRASES if phrase not in UNSEEN]
    for number in range(150):
        state, metrics = step(state, batch_of(rng.choice(seen, 32).tolist(), seed=number))
    assert metrics["temperature"] < 0.1  # learnt
    phrases = list(PHRASES) * 12
    audio = sounds(phrases, seed=1000)

    def auc(variables):
        asking, variables = with_words(model, variables, PHRASES)
        scores = np.asarray(jax.jit(asking.apply)(variables, audio)["logits"])
        there = np.array([[phrase == one for one in PHRASES] for phrase in phrases])
        found = {p: roc_auc_score(there[:, k], scores[:, k]) for k, p in enumerate(PHRASES)}
        return [np.mean([found[p] for p in which]) for which in (seen, UNSEEN)]

    of_seen, of_unseen = auc(jax.device_get(state.variables()))
    assert of_seen > 0.9
    assert of_unseen > 0.75


@pytest.mark.slow
def test_duplicates_in_a_batch_of_one_phrase_are_all_there_is():
    """Nothing is left to be told apart from, so there is nothing to learn and no NaN."""
    objective = made(clap, towers())
    initial = jax.jit(objective.init)(jax.random.key(0))
    batch = batch_of([PHRASES[0]] * 4, seed=0)

    def mean(params):
        found = objective.loss(params, initial["state"], batch, jax.random.key(0))
        return found.per_example.mean()

    loss, grads = jax.jit(jax.value_and_grad(mean))(initial["params"])
    assert loss == pytest.approx(0, abs=1e-6)
    assert all(np.abs(leaf).max() < 1e-5 for leaf in jax.tree.leaves(grads))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"words": ()}, r"objective.args.words is \(\); it must name 'labels' or columns"),
        ({"words": "labels"}, "objective.args.words is 'labels'; it must be a list"),
        ({"unseen": (1,)}, r"objective.args.unseen is \(1,\); it must be a list"),
        ({"dropout": 1.0}, r"objective.args.dropout is 1.0; it must be in \[0, 1\)"),
    ],
)
def test_errors(settings, message):
    with pytest.raises(ValueError, match=message):
        made(clap, towers(), **settings)


def test_a_network_without_a_text_tower_is_refused():
    with pytest.raises(ValueError, match="'short_chunk_cnn', which has no text tower; .*two_tow"):
        made(clap, small_model())
