"""What holds for SimCLR, COLA, MoCo and BYOL alike: they learn, anywhere, on any network."""

import jax
import numpy as np
import pytest

from mclf_jax.augment import Chains, Noise, compose
from mclf_jax.objectives.self_supervised.byol import byol
from mclf_jax.objectives.self_supervised.moco import moco
from mclf_jax.objectives.self_supervised.simclr import simclr
from tests.objectives.material import (
    gradients,
    judge,
    made,
    retrieval,
    small_model,
    songs,
    start,
    train,
)


def small_simclr(model, **settings):
    return made(simclr, model, **{"projector": (32, 16)} | settings)


def small_cola(model, **settings):
    return made(simclr, model, similarity="bilinear", temperature=1.0, projector=(32,), **settings)


def small_moco(model, **settings):
    return made(moco, model, **{"queue_size": 128, "dim": 16, "momentum": 0.9} | settings)


def small_byol(model, **settings):
    sizes = {"projector": (32, 16), "predictor": (32, 16)}
    return made(byol, model, **{"total_steps": 100, "momentum": 0.9} | sizes | settings)


MAKERS = [small_simclr, small_cola, small_moco, small_byol]


def unchanged(old, new):
    """Layers of which some parameter is as it was."""
    params = jax.device_get((old.params, new.params))
    changed = jax.tree.map(lambda a, b: bool((a != b).any()), *params)
    return {path[1].key for path, moved in jax.tree.leaves_with_path(changed) if not moved}


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.slow
def test_beats_its_own_untrained_start(make):
    model, held_out = small_model(), songs(64, seed=10**6)
    objective = make(model)
    first, trained, _ = train(objective, num_steps=40)
    before, after = (retrieval(model, state, held_out) for state in (first, trained))
    assert after > before + 0.1
    # All is trained but the last layer of the network, which has the labels' logits.
    assert unchanged(first, trained) == {"dense2"}
    metrics = judge(objective, trained, held_out)
    assert metrics["embedding_std"] > 0.4
    # At its start MoCo has only to tell music from random vectors, and then from all alike.
    chance = np.log(1 + 128) if make is small_moco else judge(objective, first, held_out)["loss"]
    assert metrics["loss"] < 0.9 * chance


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("clmr_sample_cnn", small_simclr),
        ("clmr_sample_cnn", small_byol),
        ("short_chunk_cnn", small_cola),
        ("musicnn", small_moco),
    ],
)
@pytest.mark.slow
def test_works_with_any_network(name, make):
    """Waveforms and spectrograms, with augmentation on the device."""
    chains = Chains(waveform=compose([Noise(min_snr_db=3.0, max_snr_db=30.0)]))
    objective = make(small_model(name), chains=chains)
    state, step = start(objective)
    new, metrics = step(state, songs(8, seed=0))
    assert all(np.isfinite(value) for value in jax.device_get(metrics).values())
    new, _ = step(new, songs(8, seed=1))  # nothing changes its shape or type
    assert step._cache_size() == 1
    assert len(kept := unchanged(state, new)) == 1
    assert kept <= {"dense", "dense2", "fc"}


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("make", MAKERS)
def test_one_device_equals_eight(make):
    objective = make(small_model(num_blocks=1))
    initial = jax.jit(objective.init)(jax.random.key(0))
    batch = songs(32, seed=0)
    one = gradients(objective, initial, batch, num_devices=1)
    eight = gradients(objective, initial, batch, num_devices=8)
    (loss, (_, metrics)), grads = one
    assert np.isfinite(loss)
    assert all(values.shape == (32,) for values in metrics.values())
    assert any(np.abs(leaf).max() > 1e-3 for leaf in jax.tree.leaves(grads))
    # The metrics, the queue and the statistics too.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5), one, eight)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.slow_beyond(1)
def test_encodes_in_chunks(make):
    """What that changes is a matter of `views.encode`, whose tests are elsewhere."""
    objective = make(small_model(), num_chunks=4)
    initial = jax.eval_shape(objective.init, jax.random.key(0))
    arguments = (initial["params"], initial["state"])
    result = jax.eval_shape(objective.loss, *arguments, songs(16, seed=0), jax.random.key(0))
    assert jax.tree.structure(result.state) == jax.tree.structure(initial["state"])
    with pytest.raises(ValueError, match="num_chunks is 4; it must divide train.batch_size.* 2"):
        jax.eval_shape(objective.loss, *arguments, songs(2, seed=0), jax.random.key(0))


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.slow_beyond(1)
def test_evaluation_changes_nothing_and_leaves_out_what_is_not_valid(make):
    objective = make(small_model(num_blocks=1))
    initial = jax.jit(objective.init)(jax.random.key(0))
    params, kept = initial["params"], initial["state"]
    evaluate = jax.jit(objective.evaluate)
    key = jax.random.key(0)
    batch = songs(16, seed=3)
    result = evaluate(params, kept, batch, key)
    jax.tree.map(np.testing.assert_array_equal, result.state, kept)
    again = evaluate(params, kept, batch, key)
    np.testing.assert_array_equal(result.per_example, again.per_example)

    padded = {name: rows.copy() for name, rows in songs(16, seed=4).items()}
    for name, rows in padded.items():
        rows[:10] = batch[name][:10]
    padded["valid"][10:] = 0
    short = evaluate(params, kept, {name: rows[:10] for name, rows in batch.items()}, key)
    long = evaluate(params, kept, padded, key)
    np.testing.assert_allclose(long.per_example[:10], short.per_example, rtol=1e-4, atol=1e-5)
    assert (np.asarray(long.per_example[10:]) == 0).all()
    for name, values in short.metrics.items():
        np.testing.assert_allclose(
            long.metrics[name][:10], values, rtol=1e-2, atol=1e-3, err_msg=name
        )
