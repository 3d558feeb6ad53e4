"""Small networks on frozen embeddings, learnt by gradient descent: a mix of layers, attention.

Songs are bags of windows. A mix is the sum of a network's layers under a learnt softmax, as in
SUPERB (Yang et al. 2021, https://arxiv.org/abs/2105.01051) and MARBLE (Yuan et al. 2023,
https://arxiv.org/abs/2306.10548); where layers have different widths each is projected by weights
of its own. Attention weighs the scores of windows, for each label, as Kong et al. 2018
(https://arxiv.org/abs/1711.00927): labels are of songs, and which window shows them is learnt.

Shapes: N songs, W windows, D embedding, K labels, A columns of attention (K, or 1 for classes).
"""

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.special import expit, softmax

from mclf_jax.evaluation.aggregation import LEARNT, STEEPEST, song_scores
from mclf_jax.objectives.supervised import task_scores

HIDDEN_UNITS = 512
DROPOUT_RATE = 0.2
LEARNING_RATE = 1e-3
BATCH_SIZE = 16
"""Songs."""
MAX_EPOCHS = 200
_MANY_SONGS, _MANY_WINDOWS = 128, 1024
PATIENCE = 10
"""Epochs without a better one on the valid songs after which no more are tried."""

Params = Mapping[str, Any]
DenseLayers = list[dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Design:
    """What is to be learnt.

    Attributes:
        task: one of `data.base.source.TASKS`.
        num_labels: K.
        widths: of the layers that are mixed, which stand one after the other in D; one: no mix.
        num_hidden: units of the hidden layer; 0: there is none.
        aggregation: "mean", each window being learnt with the labels of its song; or "attention".
    """

    task: str
    num_labels: int
    widths: tuple[int, ...]
    num_hidden: int = HIDDEN_UNITS
    aggregation: str = "mean"

    @property
    def num_outputs(self) -> int:
        if self.aggregation != LEARNT:
            return self.num_labels
        return self.num_labels + (1 if self.task == "single_label" else self.num_labels)


@dataclasses.dataclass(frozen=True, eq=False)
class Learnt:
    """What was learnt, as plain layers.

    Attributes:
        design: of it.
        layers: {"kernel" [D, ...], "bias"} each, ReLU between them, of K and A outputs.
        mix: [L], weights of the layers that were mixed; none without a mix.
    """

    design: Design
    layers: tuple[Mapping[str, np.ndarray], ...]
    mix: tuple[float, ...]

    def of_songs(self, z: np.ndarray, position: np.ndarray, *, num_songs: int) -> np.ndarray:
        """Scores [N, K] of songs, of their windows [W, D], each of which is of song `position`."""
        for number, layer in enumerate(self.layers):
            z = np.maximum(z, 0) if number else z
            z = z @ layer["kernel"] + layer["bias"]
        design = self.design
        logits, attention = np.split(z, [design.num_labels], axis=1)
        scores = logits
        if design.task != "regression":
            scores = softmax(logits, axis=1) if design.task == "single_label" else expit(logits)
        rows = {"index": position, "scores": scores, "attention": attention}
        how = {"how": design.aggregation, "task": design.task}
        return song_scores([rows], num_songs=num_songs, **how)["means"]


def candidates(
    design: Design, x: np.ndarray, position: np.ndarray, y: np.ndarray, *, seed: int
) -> Iterator[tuple[dict[str, Any], Learnt]]:
    """What has been learnt after each epoch; Adam, batches of songs, dropout on hidden units.

    Args:
        design: see there.
        x: standardised [W, D].
        position: int [W], the song of each window, ascending.
        y: int [N] of classes, or [N, K], NaN where not observed.
        seed: of weights, batches and dropout.
    """
    y, mean, scale = _scaled(design.task, y)
    counts = np.bincount(position, minlength=len(y))
    starts = np.cumsum(counts) - counts
    place = np.arange(counts.max(initial=1))
    mask = place < counts[:, None]
    windows = np.where(mask, starts[:, None] + place, 0)
    songs = {"windows": windows, "mask": mask, "y": y}
    songs = {name: _filled_up(each, _MANY_SONGS) for name, each in songs.items()}
    key, first = jax.random.split(jax.random.key(seed))
    params, x = init(design, first), _filled_up(x.astype(np.float32), _MANY_WINDOWS)
    state = optax.adam(LEARNING_RATE).init(params)
    for number in range(1, MAX_EPOCHS + 1):
        key, of_epoch = jax.random.split(key)
        of_steps, of_order = jax.random.split(of_epoch)
        order = _order(of_order, len(y))
        params, state = _epoch(design, params, state, x, songs, order, of_steps)
        layers = [{k: np.asarray(a) for k, a in each.items()} for each in dense(design, params)]
        learnt = design.num_labels
        kernel, bias = layers[-1]["kernel"].copy(), layers[-1]["bias"].copy()
        kernel[:, :learnt] *= scale
        bias[:learnt] = bias[:learnt] * scale + mean
        layers[-1] = {"kernel": kernel, "bias": bias}
        mix = tuple(np.asarray(jax.nn.softmax(params["mix"])).tolist()) if "mix" in params else ()
        yield {"epoch": number}, Learnt(design, tuple(layers), mix)


def init(design: Design, key: jax.Array) -> dict[str, Any]:
    """Fresh parameters; all layers of a mix weigh the same."""
    widths, made = design.widths, {}
    if len(widths) > 1:
        made["mix"] = jnp.zeros(len(widths))
    size = widths[0] if len(set(widths)) == 1 else sum(widths)
    sizes = [size, *([design.num_hidden] if design.num_hidden else []), design.num_outputs]
    draw = jax.nn.initializers.lecun_normal()
    for number, (wide, units) in enumerate(zip(sizes, sizes[1:], strict=False)):
        key, of_layer = jax.random.split(key)
        made[str(number)] = {"kernel": draw(of_layer, (wide, units)), "bias": jnp.zeros(units)}
    return made


def dense(design: Design, params: Params) -> DenseLayers:
    """The same as plain layers, the mix folded into the first one."""
    layers = [dict(params[str(number)]) for number in range(len(params) - ("mix" in params))]
    if "mix" in params:
        widths, kernel = np.array(design.widths), layers[0]["kernel"]
        if len(set(design.widths)) == 1:
            kernel = jnp.tile(kernel, (len(widths), 1))
        weights = jnp.repeat(jax.nn.softmax(params["mix"]), widths, total_repeat_length=len(kernel))
        layers[0]["kernel"] = weights[:, None] * kernel
    return layers


def loss(
    design: Design, params: Params, batch: Mapping[str, jax.Array], *, key: jax.Array
) -> jax.Array:
    """Of a batch of songs in training: mean over observed labels of windows, or of songs.

    Args:
        design: see there.
        params: of `init`.
        batch: {"x": [B, W, D], "mask": bool [B, W], "y": [B] or [B, K]}.
        key: of dropout.
    """
    x, mask, y = batch["x"], batch["mask"], batch["y"]
    for number, layer in enumerate(dense(design, params)):
        if number:
            key, of_layer = jax.random.split(key)
            kept = jax.random.bernoulli(of_layer, 1 - DROPOUT_RATE, x.shape)
            x = jnp.where(kept, jax.nn.relu(x) / (1 - DROPOUT_RATE), 0)
        x = x @ layer["kernel"] + layer["bias"]
    logits, attention = x[..., : design.num_labels], x[..., design.num_labels :]
    if design.task == "single_label":
        y = jax.nn.one_hot(y, design.num_labels)
    if design.aggregation == LEARNT:
        weights = jnp.exp(jnp.clip(attention, -STEEPEST, STEEPEST)) * mask[..., None]
        scores = (weights * task_scores(design.task, logits)).sum(1) / weights.sum(1)
        return _mean_loss(design.task, scores, y, mask=jnp.ones(len(y), bool))
    scores = task_scores(design.task, logits)
    y = jnp.broadcast_to(y[:, None], scores.shape)
    return _mean_loss(design.task, scores, y, mask=mask)


def _mean_loss(task: str, scores: jax.Array, y: jax.Array, *, mask: jax.Array) -> jax.Array:
    """Cross-entropies of probabilities, or squared errors, [..., K], where observed."""
    observed = ~jnp.isnan(y) & mask[..., None]
    y = jnp.where(observed, y, 0)
    if task == "regression":
        losses = (scores - y) ** 2
    else:
        scores = jnp.clip(scores, 1e-6, 1 - 1e-6)
        losses = -y * jnp.log(scores)
        losses -= (1 - y) * jnp.log1p(-scores) if task == "multi_label" else 0
    total = jnp.where(observed, losses, 0).sum()
    count = observed.sum() / (y.shape[-1] if task == "single_label" else 1)
    return total / jnp.maximum(count, 1)


def _filled_up(array: np.ndarray, many: int) -> jax.Array:
    """With rows of zeros, which nothing asks for, up to a multiple of `many`: the folds of a data
    set have nearly as many songs, and are compiled once."""
    more = -len(array) % many
    return jnp.asarray(np.pad(array, [(0, more)] + [(0, 0)] * (array.ndim - 1)))


@functools.partial(jax.jit, static_argnums=1)
def _order(key, count):
    """The songs of each batch of an epoch, [steps, songs]."""
    size = min(BATCH_SIZE, count)
    return jax.random.permutation(key, count)[: count // size * size].reshape(-1, size)


@functools.partial(jax.jit, static_argnums=0)
def _epoch(design, params, state, x, songs, order, key):
    optimizer = optax.adam(LEARNING_RATE)

    def step(carry, numbered):
        params, state = carry
        number, drawn = numbered
        batch = {name: values[drawn] for name, values in songs.items()}
        batch["x"] = x[batch.pop("windows")]
        of_step = jax.random.fold_in(key, number)
        gradient = jax.grad(lambda p: loss(design, p, batch, key=of_step))(params)
        updates, state = optimizer.update(gradient, state)
        return (optax.apply_updates(params, updates), state), None

    return jax.lax.scan(step, (params, state), (jnp.arange(len(order)), order))[0]


def _scaled(task: str, y: np.ndarray) -> tuple[np.ndarray, Any, Any]:
    """Targets to learn, and mean and scale [K] that turn them back."""
    if task != "regression":
        return y, 0.0, 1.0
    mean, scale = np.nanmean(y, axis=0), np.maximum(np.nanstd(y, axis=0), 1e-6)
    return ((y - mean) / scale).astype(np.float32), mean, scale
