"""What the tests of self-supervised objectives share: small networks, songs, a training loop."""

import functools
import inspect

import jax
import numpy as np

from mclf_jax import models
from mclf_jax.augment import Chains
from mclf_jax.common import keys, parallel
from mclf_jax.config import base
from mclf_jax.evaluation.judge import make_objective_step
from mclf_jax.losses.contrastive import contrast_views
from mclf_jax.objectives import views
from mclf_jax.objectives.context import Context
from mclf_jax.train import optim
from mclf_jax.train.step import init_state, make_train_step

RATE_HZ = 2000
NUM_SAMPLES = 512
_LOG_MEL = {"n_mels": 16, "n_fft": 128, "hop_length": 64, "sample_rate_hz": RATE_HZ}
_NETWORKS = {
    "clmr_sample_cnn": {"strides": (3, 3, 3, 3, 2) + (1,) * 4, "n_channels": 4},
    "short_chunk_cnn": {"n_channels": 4, "num_blocks": 2},
    "vit": {"patch": (2, 4), "attention_dim": 16, "head_dim": 8, "num_layers": 1},
    "musicnn": {"n_channels": 2, "backend_channels": 4, "dense_units": 16},
}


def small_model(name="short_chunk_cnn", **arguments):
    """A network that hears a quarter of a second at 2 kHz, without dropout."""
    features = {"sample_rate_hz": RATE_HZ} if name == "clmr_sample_cnn" else _LOG_MEL
    arguments = _NETWORKS[name] | {"dropout_rate": 0.0} | arguments
    window_s = NUM_SAMPLES / RATE_HZ
    return models.build(name, num_labels=2, features=features, window_s=window_s, **arguments)


def made(objective, model, **settings):
    """An objective of a network: settings that it does not take itself are of its context."""
    others = settings.keys() - inspect.signature(objective).parameters.keys()
    given = {name: settings.pop(name) for name in others}
    return objective(Context(model, **given), **settings)


def songs(batch_size, *, seed, num_views=2):
    """A batch: each song is a chord with a timbre of its own, and its views start anywhere."""
    rng = np.random.default_rng(seed)
    frequency_hz = 2 ** rng.uniform(5.5, 8.5, (batch_size, 1, 3, 1))
    level = rng.uniform(0.1, 1.0, (batch_size, 1, 3, 1))
    start_s = rng.uniform(0, 10, (batch_size, num_views, 1, 1))
    time_s = start_s + np.arange(NUM_SAMPLES) / RATE_HZ
    audio = (level * np.sin(2 * np.pi * frequency_hz * time_s)).sum(axis=2)
    audio += 0.05 * rng.standard_normal(audio.shape)
    return {
        "audio": audio.astype(np.float32),
        "valid": np.ones(batch_size, np.float32),
        "index": np.arange(batch_size, dtype=np.int32) + seed * batch_size,
        "group": np.arange(batch_size, dtype=np.int32),
    }


def start(objective, *, learning_rate=3e-3, name="adam"):
    """A fresh state, and the jitted step (state, batch) -> (state, metrics)."""
    config = base().optim
    config.update({"name": name, "learning_rate": learning_rate})
    settings = {
        "objective": objective,
        "optimizer": optim.build(config, total_steps=1000),
        "ema_decay": 0.0,
    }
    initial = functools.partial(init_state, keys.stream(0, "init"), **settings)
    return jax.jit(initial)(), jax.jit(make_train_step(seed=0, **settings))


def judge(objective, state, batch):
    """Means of the loss and of the metrics on a batch, in evaluation mode."""
    sums = jax.device_get(_judged(objective)(state.params, state.model_state, batch, 0))
    return {name: float(value / sums["count"]) for name, value in sums.items()}


@functools.cache
def _judged(objective):
    return jax.jit(make_objective_step(objective, seed=0))


def retrieval(model, state, batch):
    """How many songs are nearest to their own other view by the embedding, among all views.

    Statistics are those of the batch, so that an untrained network is not at a disadvantage.
    """
    key = jax.random.key(0)

    def embed(params, state):
        x = views.augmented(model, Chains(), batch, num_views=2, key=key)
        return views.encode(model, params["model"], state["model"], x, mode="train", key=key)[0]

    embedding = jax.jit(embed)(state.params, state.model_state)
    return float(contrast_views(embedding).correct.mean())


def train(objective, *, num_steps, batch_size=32, **settings):
    """The state before and after some steps, and the metrics of the last one."""
    first, step = start(objective, **settings)
    state, metrics = first, {}
    for number in range(num_steps):
        state, metrics = step(state, songs(batch_size, seed=number))
    return first, state, jax.device_get(metrics)


def gradients(objective, initial, batch, *, num_devices):
    """Loss, new state and gradients of one step on so many devices."""
    mesh = parallel.make_mesh(num_devices)
    whole = parallel.replicated(mesh)
    params, state = jax.device_put((initial["params"], initial["state"]), whole)
    step = _gradient(objective, whole)
    return jax.device_get(step(params, state, parallel.put_batch(batch, mesh)))


@functools.cache
def _gradient(objective, sharding):
    """Compiled once for all tests that ask for it."""

    def mean_loss(params, state, batch):
        loss = objective.loss(params, state, batch, jax.random.key(0))
        return loss.per_example.mean(), (loss.state, loss.metrics)

    return jax.jit(jax.value_and_grad(mean_loss, has_aux=True), out_shardings=sharding)
