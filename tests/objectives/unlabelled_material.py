"""What the tests of semi-supervised objectives share: batches, and a problem with two labels."""

import functools

import flax.linen as nn
import jax
import numpy as np

from mclf_jax.audio.features import Waveform
from mclf_jax.augment import Chains
from mclf_jax.config import base
from mclf_jax.models import Model
from mclf_jax.objectives.supervised import supervised
from mclf_jax.train import optim
from mclf_jax.train.step import init_state, make_train_step
from tests.objectives.material import made, songs


def batch_of(batch_size, *, ratio=2, task="single_label", seed=0):
    """Songs for `material.small_model`, which has two labels."""
    labelled, unlabelled = (
        songs(size, seed=seed + number, num_views=1)
        for number, size in enumerate((batch_size, ratio * batch_size))
    )
    for rows in (labelled, unlabelled):
        rows["audio"] = rows["audio"][:, 0]
    single = task == "single_label"
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, batch_size if single else (batch_size, 2))
    labelled["label"] = label.astype("i4" if single else "f4")
    size = ratio * batch_size
    unlabelled["label"] = np.zeros(size, "i4") if single else np.full((size, 2), np.nan, "f4")
    return labelled | {"unlabelled": unlabelled}


class _Points(nn.Module):
    num_labels: int
    dropout_rate: float = 0.0

    @nn.compact
    def __call__(self, x, *, train):
        for width in (16, 16):
            x = nn.relu(nn.Dense(width)(x))
            x = nn.Dropout(self.dropout_rate, deterministic=not train)(x)
        return {"logits": nn.Dense(self.num_labels)(x), "embedding": x}


def point_model(num_labels=2, **arguments):
    """A network that takes points in a plane, as "audio" of two samples."""
    module = _Points(num_labels, **arguments)
    return Model("points", module, Waveform(sample_rate_hz=2), window_samples=2, length="fixed")


def jitter(deviation):
    """Augmentation of points."""
    return Chains(waveform=lambda key, x: x + deviation * jax.random.normal(key, x.shape))


def clusters(*, task="single_label"):
    """Points of two clusters, as wide as they are apart, of which one each is labelled.

    Returns:
        "points" [64, 2] and "label", the truth, and a batch of eight labelled rows, which are two
        points again and again, and all of the others.
    """
    rng = np.random.default_rng(0)
    truth = np.arange(64) % 2
    height = 1.2 * truth - 0.6 + 0.1 * rng.standard_normal(64)
    points = np.stack([rng.uniform(-0.6, 0.6, 64), height], axis=1).astype("f4")
    # At opposite ends, so that the line between the two is not the one between the clusters.
    known, label = np.array([[-0.5, -0.6], [0.5, 0.6]], "f4"), np.arange(8) % 2
    unlabelled = point_rows(points, np.zeros(64), task=task)
    batch = point_rows(known[label], label, task=task) | {"unlabelled": unlabelled}
    return {"points": points, "label": truth, "batch": batch}


def accuracies(model, objective, *, task="single_label", num_steps=300, num_runs=8):
    """Share of the points of `clusters` that are right after training, [num_runs].

    The runs differ in their initial values alone.
    """
    config = base().optim
    config.update({"name": "adam", "learning_rate": 3e-3})
    settings = {
        "objective": objective,
        "optimizer": optim.build(config, total_steps=num_steps),
        "ema_decay": 0.0,
    }
    problem, step = clusters(task=task), make_train_step(seed=0, **settings)

    @jax.jit
    @jax.vmap
    def run(seed):
        state = init_state(jax.random.key(seed), **settings)
        state, _ = jax.lax.scan(
            lambda state, _: step(state, problem["batch"]), state, length=num_steps
        )
        outputs = model.module.apply(state.variables(), problem["points"], train=False)
        return (outputs["logits"].argmax(axis=-1) == problem["label"]).mean()

    return np.asarray(run(np.arange(num_runs)))


@functools.cache
def labels_alone(task):
    """`accuracies` of supervised learning with the same augmentation."""
    model = point_model()
    objective = made(supervised, model, task=task, chains=jitter(0.15))
    return accuracies(model, objective, task=task)


def point_rows(points, label, *, task):
    """Rows of a batch; as tags, there is one for each of two labels."""
    label = np.asarray(label)
    if task == "multi_label":
        label = np.stack([1 - label, label], axis=-1)
    return {
        "audio": np.asarray(points, "f4"),
        "label": label.astype("i4" if task == "single_label" else "f4"),
        "valid": np.ones(len(points), "f4"),
    }
