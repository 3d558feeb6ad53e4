"""MoCo's queue and key encoder."""

import functools

import jax
import numpy as np
import pytest

from mclf_jax import models
from mclf_jax.losses.contrastive import unit
from mclf_jax.objectives import heads, views
from mclf_jax.objectives.self_supervised.moco import moco
from tests.objectives.material import made, small_model, songs

KEY = jax.random.key(0)


@functools.cache
def start(**settings):
    """(params, state, compiled loss), of one program for all tests that ask for the same."""
    objective = made(moco, small_model(), **{"queue_size": 24, "dim": 8} | settings)
    initial = jax.jit(objective.init)(KEY)
    return initial["params"], initial["state"], jax.jit(objective.loss)


@jax.jit
def keys_of(follower, audio):
    """Keys of the second view, by a forward pass of our own."""
    model, params = small_model(), follower["params"]
    x = model.inputs({"audio": audio[:, 1]})
    outputs, _ = model.apply_train(params["model"], follower["model"], x, key=KEY)
    head = heads.MLP((views.embedding_size(model), 8))
    return unit(head.apply({"params": params["projector"]}, outputs["embedding"], train=True))


@pytest.mark.slow
def test_queue_holds_the_last_keys_in_order():
    params, state, loss = start()
    expected = []
    for step in range(5):  # three fill it
        batch = songs(8, seed=step)
        expected.append(np.asarray(keys_of(state["key"], batch["audio"])))
        state = loss(params, state, batch, KEY).state
        # What the parameters do meanwhile is the next test's concern.
        first = 8 * step % 24
        np.testing.assert_allclose(state["queue"][first : first + 8], expected[-1], atol=1e-4)
    oldest_first = np.roll(state["queue"], -int(state["position"]), axis=0)
    np.testing.assert_allclose(oldest_first, np.concatenate(expected[-3:]), atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(oldest_first, axis=1), 1, rtol=1e-5)


def test_keys_of_the_same_song_are_no_negatives():
    """As if they had never been in the queue, which is what a weight of 0 says."""
    params, state, loss = start()
    state = loss(params, state, songs(8, seed=0), KEY).state
    batch = songs(8, seed=1)
    strangers = loss(params, state, batch, KEY).per_example
    # Another array: jax may still be reading the first one.
    batch["index"] = np.array([3] * 4 + batch["index"][4:].tolist())  # in the queue is one of it
    got = loss(params, state, batch, KEY)
    np.testing.assert_array_equal(got.per_example[4:], strangers[4:])
    assert (got.per_example[:4] < strangers[:4]).all()
    queue = np.array(state["queue"])
    queue[3] = 0
    without = state | {"queue": queue}
    np.testing.assert_array_equal(
        got.per_example[:4], loss(params, without, batch, KEY).per_example[:4]
    )
    expected = [*range(8), 3, 3, 3, 3, *range(12, 16), *[-1] * 8]
    np.testing.assert_array_equal(got.state["queue_index"], expected)


@pytest.mark.slow
def test_key_encoder_follows_by_its_parameters_alone():
    params, state, loss = start(momentum=0.75)
    moved = jax.tree.map(lambda leaf: leaf + 1, jax.device_get(params))
    new = loss(moved, state, songs(8, seed=0), KEY).state["key"]
    jax.tree.map(
        lambda old, average: np.testing.assert_allclose(average, old + 0.25, rtol=1e-5),
        jax.device_get(params),
        new["params"],
    )
    # Its statistics are those of its own batches, of the second views.
    swapped = songs(8, seed=0)
    swapped["audio"] = swapped["audio"].copy()
    swapped["audio"][:, 0] = 0
    other = loss(moved, state, swapped, KEY).state
    jax.tree.map(np.testing.assert_array_equal, other["key"], new)


@pytest.mark.slow
def test_no_gradient_reaches_keys():
    params, state, loss = start()
    batch = songs(8, seed=0)

    def through_keys(follower):
        kept = state | {"key": state["key"] | {"params": follower}}
        return loss(params, kept, batch, KEY).per_example.sum()

    for leaf in jax.tree.leaves(jax.jit(jax.grad(through_keys))(state["key"]["params"])):
        assert (np.asarray(leaf) == 0).all()


@pytest.mark.slow
def test_evaluation_is_against_keys_only():
    params, state, loss = start()
    batch = songs(8, seed=0)
    state = jax.device_get(loss(params, state, batch, KEY).state)
    batch = songs(8, seed=1)
    # Eight keys, each for three of the queue.
    full = state | {"queue": np.tile(state["queue"][:8], (3, 1)), "filled": np.int32(24)}
    evaluate = jax.jit(made(moco, small_model(), queue_size=24, dim=8).evaluate)
    got, expected = (evaluate(params, kept, batch, KEY) for kept in (state, full))
    np.testing.assert_allclose(got.per_example, expected.per_example, rtol=1e-5)
    np.testing.assert_array_equal(got.state["queue"], state["queue"])


def test_age_of_the_queue():
    params, state, loss = start()
    seen = []
    for step in range(5):
        result = loss(params, state, songs(8, seed=step), KEY)
        state = result.state
        seen.append(
            [result.metrics[f"queue_{name}"][0] for name in ("age_steps", "random_fraction")]
        )
    # Keys are 1, 2 and 3 steps old when there is no room for older ones.
    np.testing.assert_allclose(seen, [(0, 1), (1, 2 / 3), (1.5, 1 / 3), (2, 0), (2, 0)], atol=1e-6)


def test_heads_of_both_versions():
    model = models.build("short_chunk_cnn", num_labels=50)
    size = views.embedding_size(model)
    for head, shapes in {
        "linear": [(128,), (size, 128)],
        "mlp": [(size,), (size, size), (128,), (size, 128)],
    }.items():
        initial = jax.eval_shape(made(moco, model, head=head).init, KEY)
        got = [leaf.shape for leaf in jax.tree.leaves(initial["params"]["projector"])]
        assert got == shapes
        assert initial["state"]["queue"].shape == (65_536, 128)


def test_errors():
    params, state, loss = start()
    with pytest.raises(ValueError, match="queue_size is 24; .* multiple of train.batch_size.* 16"):
        loss(params, state, songs(16, seed=0), KEY)
    with pytest.raises(ValueError, match="objective.args.head is 'cnn'; allowed: linear, mlp"):
        made(moco, small_model(), head="cnn")
    with pytest.raises(ValueError, match=r"objective.args.momentum is 1.5; it must be in \[0, 1\]"):
        made(moco, small_model(), momentum=1.5)
