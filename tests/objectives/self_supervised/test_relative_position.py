"""Relative position: classes, which pairs count, and learning what changes along a song."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax.objectives import heads
from mclf_jax.objectives.self_supervised.relative_position import classes_of, relative_position
from tests.objectives.material import NUM_SAMPLES, RATE_HZ, judge, made, small_model, start

KEY = jax.random.key(0)
SETTINGS = {"edges_s": (1.0,), "hidden_size": 8}
# Below it, a pair does not count: a window and a half.
LEAST = 1.5 * NUM_SAMPLES


@functools.cache
def compiled():
    objective = made(relative_position, small_model(), **SETTINGS)
    return objective, jax.jit(objective.init)(KEY), jax.jit(objective.evaluate)


def songs(batch_size, *, seed, longest_s=3.0):
    """Noise that gets louder as the song goes on."""
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, int(longest_s * RATE_HZ), (batch_size, 2)).astype(np.int32)
    noise = rng.standard_normal((batch_size, 2, NUM_SAMPLES))
    audio = noise * 0.01 * 2.0 ** (3 * starts / RATE_HZ)[..., None]
    return {
        "audio": audio.astype(np.float32),
        "start": starts,
        "valid": np.ones(batch_size, np.float32),
        "index": np.arange(batch_size, dtype=np.int32),
        "group": np.arange(batch_size, dtype=np.int32),
    }


def test_classes_are_order_and_distance():
    distance = jnp.array([5.0, -5.0, 10.0, -19.0, 20.0, -1e6])
    found = classes_of(distance, np.array([10.0, 20.0]))
    np.testing.assert_array_equal(found, [0, 1, 2, 3, 4, 5])
    np.testing.assert_array_equal(classes_of(distance, np.array([])), [0, 1] * 3)


def test_the_loss_is_the_cross_entropy_of_pairs_with_a_gap():
    objective, initial, evaluate = compiled()
    assert objective.num_views == 2
    batch = songs(8, seed=0)
    batch["start"][0] = 100, 100 + int(LEAST) - 1
    batch["start"][1] = 100, 100 + int(LEAST)
    batch["valid"][7] = 0
    got = evaluate(initial["params"], initial["state"], batch, KEY)
    distance = np.diff(batch["start"].astype(int), axis=1)[:, 0]
    counts = (np.abs(distance) >= LEAST) & (batch["valid"] > 0)
    assert not counts[0] and counts[1] and not counts[7]
    model = small_model()
    variables = {"params": initial["params"]["model"], **initial["state"]["model"]}
    x = model.features(batch["audio"].reshape(16, -1))
    embedding = jax.jit(functools.partial(model.module.apply, train=False))(variables, x)
    both = np.asarray(embedding["embedding"]).reshape(8, -1)
    head = heads.MLP((8, 4))
    logits = np.asarray(head.apply({"params": initial["params"]["projector"]}, both, train=False))
    wanted = 2 * (np.abs(distance) >= RATE_HZ) + (distance < 0)
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(8), wanted]
    mean = got.per_example.sum() / batch["valid"].sum()
    np.testing.assert_allclose(mean, losses[counts].mean(), rtol=1e-4)
    assert not np.asarray(got.per_example)[~counts].any()
    answers = logits.argmax(axis=1)
    expected = {
        "accuracy": (answers == wanted)[counts].mean(),
        "accuracy_order": (answers % 2 == wanted % 2)[counts].mean(),
        "accuracy_commonest": np.bincount(wanted[counts]).max() / counts.sum(),
        "pair_share": counts.sum() / 7,
    }
    for name, value in expected.items():
        np.testing.assert_allclose(got.metrics[name].sum() / 7, value, rtol=1e-5, err_msg=name)


@pytest.mark.slow
def test_learns_what_changes_along_a_song():
    objective = compiled()[0]
    state, step = start(objective)
    for number in range(60):
        state, _ = step(state, songs(32, seed=number))
    found = judge(objective, state, songs(256, seed=10**6))
    assert found["accuracy_order"] > 0.9
    assert found["accuracy"] > found["accuracy_commonest"] + 0.2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"edges_s": (5.0, 5.0)}, r"objective.args.edges_s is \(5.0, 5.0\); it must be distances"),
        ({"edges_s": (0.0,)}, "objective.args.edges_s is"),
        ({"gap": -0.1}, "objective.args.gap is -0.1; it must be"),
        ({"hidden_size": 0}, "objective.args.hidden_size is 0; it must be"),
    ],
)
def test_errors(settings, message):
    with pytest.raises(ValueError, match=message):
        made(relative_position, small_model(), **settings)
