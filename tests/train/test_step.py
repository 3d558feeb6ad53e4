"""The step computes the same on one device and on eight, and what `jax.pmap` would by hand."""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

from mclf_jax import losses, models
from mclf_jax.common import keys, parallel
from mclf_jax.config import base
from mclf_jax.evaluation.windows import make_step
from mclf_jax.objectives.base import Loss, Objective
from mclf_jax.objectives.supervised import supervised
from mclf_jax.train import optim
from mclf_jax.train.step import init_state, make_train_step
from tests.objectives.material import made

FEATURES = {"n_mels": 16, "n_fft": 128, "hop_length": 64, "sample_rate_hz": 2000}


def small_model(**arguments):
    arguments = {"n_channels": 8, "num_blocks": 3, "dropout_rate": 0.5} | arguments
    return models.build(
        "short_chunk_cnn", num_labels=3, features=FEATURES, window_s=1.0, **arguments
    )


def batches(count, *, batch_size=16, shape=(32, 16), seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        label = rng.integers(0, 3, batch_size).astype(np.int32)
        yield {
            "features": rng.standard_normal((batch_size, *shape)).astype(np.float32)
            + label[:, None, None],
            "label": label,
            "valid": np.ones(batch_size, np.float32),
        }


def sgd(learning_rate=0.1):
    # Not Adam: it turns the gradient of a bias before batch norm, which is rounding noise,
    # into steps of full length, so parameters could not be compared.
    config = base().optim
    config.update({"name": "sgd", "learning_rate": learning_rate})
    return optim.build(config, total_steps=100)


def sgd_then_adam():
    # Adam's rate is so small that its steps out of rounding noise do not show.
    config = base().optim
    config.update({"name": "sgd", "learning_rate": 0.01, "phases": ((1, "adam", 1e-5),)})
    return optim.build(config, total_steps=100, phase_steps=[3])


def run(
    num_devices,
    data,
    *,
    objective,
    optimizer,
    strategy="replicated",
    ema_decay=0.0,
    accumulate=1,
    groups=0,
):
    """Losses and final state of training on `data`; also checks that it compiles once."""
    mesh = parallel.make_mesh(num_devices, groups=groups)
    settings = {"objective": objective, "optimizer": optimizer, "ema_decay": ema_decay}
    initial = functools.partial(init_state, keys.stream(0, "init"), **settings)
    shardings = parallel.param_shardings(jax.eval_shape(initial), mesh, strategy=strategy)
    state = jax.jit(initial, out_shardings=shardings)()
    step = jax.jit(
        make_train_step(seed=0, shardings=shardings, accumulate=accumulate, **settings),
        donate_argnums=0,
        out_shardings=(shardings, parallel.replicated(mesh)),
    )
    seen = []
    for batch in data:
        state, metrics = step(state, parallel.put_batch(batch, mesh))
        seen.append(float(metrics["loss"]))
    assert step._cache_size() == 1
    return np.array(seen), state


def test_one_device_equals_eight_and_fsdp():
    optimizer = sgd_then_adam()
    objective = made(
        supervised,
        small_model(n_channels=64, num_blocks=2),
        task="single_label",
        label_smoothing=0.1,
    )
    settings = {"objective": objective, "optimizer": optimizer, "ema_decay": 0.9}
    one, state = run(1, batches(5), **settings)
    eight, state_eight = run(8, batches(5), **settings)
    split, state_split = run(8, batches(5), strategy="fsdp", **settings)
    np.testing.assert_allclose(eight, one, rtol=1e-6)
    np.testing.assert_allclose(split, one, rtol=1e-6)
    for other in (state_eight, state_split):
        for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(other), strict=True):
            np.testing.assert_allclose(np.asarray(a), np.asarray(b), atol=1e-4)
    # Something really was split: its largest array holds an eighth on each device.
    kernel = state_split.params["model"]["dense1"]["kernel"]
    assert kernel.addressable_shards[0].data.size == kernel.size // 8


@pytest.mark.slow
def test_rows_that_are_not_valid_do_not_count():
    class Constant(nn.Module):
        @nn.compact
        def __call__(self, x, *, train):
            return {"logits": nn.Dense(3)(x.mean(axis=1)), "embedding": x}

    model = dataclasses.replace(small_model(), module=Constant())
    objective = made(supervised, model, task="single_label")
    batch = next(batches(1))
    short = {name: rows[:8] for name, rows in batch.items()}
    batch["valid"][8:] = 0
    loss, state = run(1, [batch], objective=objective, optimizer=sgd())
    expected, other = run(1, [short], objective=objective, optimizer=sgd())
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), state, other)


@pytest.mark.slow
def test_same_numbers_from_device_features():
    model = small_model(dropout_rate=0.0)
    objective = made(supervised, model, task="single_label")
    rng = np.random.default_rng(0)
    audio = rng.standard_normal((8, model.window_samples)).astype(np.float32)
    common = {"label": rng.integers(0, 3, 8).astype(np.int32), "valid": np.ones(8, np.float32)}
    host = [common | {"features": np.asarray(model.inputs({"audio": jnp.asarray(audio)}))}] * 3
    device = [common | {"audio": audio}] * 3
    settings = {"objective": objective, "optimizer": sgd()}
    np.testing.assert_allclose(
        run(1, host, **settings)[0], run(1, device, **settings)[0], rtol=1e-4
    )


@pytest.mark.parametrize("task", ["single_label", "multi_label", "regression"])
@pytest.mark.slow
def test_overfits_one_batch(task):
    model = small_model(dropout_rate=0.0)
    batch = next(batches(1))
    if task != "single_label":
        batch["label"] = np.eye(3, dtype=np.float32)[batch["label"]]
    optimizer = sgd()
    objective = made(supervised, model, task=task)
    seen, state = run(1, [batch] * 40, objective=objective, optimizer=optimizer)
    assert seen[-1] < 0.05 * seen[0]
    numbers = np.arange(16, dtype=np.int32)
    step = make_step(model, outputs=("scores", "loss"), task=task)
    out = step(state.variables(), batch | {"row": numbers, "index": numbers})
    if task == "single_label":
        np.testing.assert_allclose(out["scores"].sum(-1), 1, rtol=1e-5)
        assert (out["scores"].argmax(-1) == batch["label"]).all()


@pytest.mark.slow
def test_ema_follows_the_weights_from_behind():
    objective = made(supervised, small_model(dropout_rate=0.0), task="single_label")
    settings = {"objective": objective, "optimizer": sgd(), "ema_decay": 0.5}
    state = jax.jit(functools.partial(init_state, keys.stream(0, "init"), **settings))()
    step = jax.jit(make_train_step(seed=0, **settings))
    expected = np.asarray(state.params["model"]["dense2"]["kernel"])
    for t, batch in enumerate(batches(4)):
        state, _ = step(state, batch)
        decay = min(0.5, (1 + t) / (10 + t))
        new = np.asarray(state.params["model"]["dense2"]["kernel"])
        expected = decay * expected + (1 - decay) * new
    averaged = state.variables()["params"]["dense2"]["kernel"]
    np.testing.assert_allclose(averaged, expected, atol=1e-6)
    assert not np.allclose(averaged, new, atol=1e-6)


# What a data-parallel program looks like with `jax.pmap`: explicit gathers, means and axis
# names. The network has batch norm and its loss compares all examples with each other, so
# every kind of communication is there.


class Network(nn.Module):
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x, *, train):
        x = nn.Conv(4, (3, 3))(x[..., None])
        x = nn.BatchNorm(
            use_running_average=not train,
            momentum=0.9,
            axis_name=self.axis_name,
            use_fast_variance=False,
        )(x)
        x = nn.relu(x).mean(axis=(1, 2))
        return {"embedding": x, "logits": nn.Dense(3)(x)}


def per_example_loss(logits, labels, own, everyone):
    """Cross-entropy, and how alike an example is to all others of the global batch."""
    alike = jax.nn.logsumexp(own @ everyone.T, axis=-1)
    return losses.softmax_cross_entropy(logits, labels) + 0.1 * alike


def test_equals_a_hand_written_pmap_step():
    model = dataclasses.replace(small_model(), module=Network())

    def loss(params, state, batch, key):
        outputs, new = model.module.apply(
            {"params": params["model"], **state["model"]},
            batch["features"],
            train=True,
            mutable=["batch_stats"],
        )
        embedding = outputs["embedding"]
        values = per_example_loss(outputs["logits"], batch["label"], embedding, embedding)
        return Loss(values, {"model": new}, {})

    objective = Objective(made(supervised, model, task="single_label").init, loss)
    optimizer = sgd()
    data = list(batches(5))
    seen, state = run(8, data, objective=objective, optimizer=optimizer)

    network = Network(axis_name="data")

    @functools.partial(jax.pmap, axis_name="data")
    def pmap_step(params, stats, opt_state, x, label):
        def mean_loss(params):
            outputs, new = network.apply(
                {"params": params, "batch_stats": stats}, x, train=True, mutable=["batch_stats"]
            )
            own = outputs["embedding"]
            everyone = lax.all_gather(own, "data").reshape(-1, own.shape[-1])
            values = per_example_loss(outputs["logits"], label, own, everyone)
            return values.mean(), new["batch_stats"]

        (value, new_stats), grads = jax.value_and_grad(mean_loss, has_aux=True)(params)
        updates, opt_state = optimizer.transform.update(lax.pmean(grads, "data"), opt_state, params)
        return (
            optax.apply_updates(params, updates),
            new_stats,
            opt_state,
            lax.pmean(value, "data"),
        )

    settings = {"objective": objective, "optimizer": optimizer, "ema_decay": 0.0}
    start = jax.jit(functools.partial(init_state, **settings))(keys.stream(0, "init"))
    params = start.params["model"]
    held = (params, start.model_state["model"]["batch_stats"], optimizer.transform.init(params))
    held = jax.tree.map(lambda leaf: np.broadcast_to(leaf, (8, *leaf.shape)), held)
    expected = []
    for batch in data:
        x, label = (batch[n].reshape(8, -1, *batch[n].shape[1:]) for n in ("features", "label"))
        *held, value = pmap_step(*held, x, label)
        expected.append(float(value[0]))
    np.testing.assert_allclose(seen, expected, rtol=1e-5)
    jax.tree.map(
        lambda ours, theirs: np.testing.assert_allclose(ours, theirs[0], atol=1e-5),
        (state.params["model"], state.model_state["model"]["batch_stats"]),
        (held[0], held[1]),
    )


def test_a_batch_that_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="train.batch_size is 12.*8 devices"):
        parallel.check_batch_size(12, parallel.make_mesh(8), field="train.batch_size")
    with pytest.raises(ValueError, match="runtime.num_devices is 9; there are 8"):
        parallel.make_mesh(9)
