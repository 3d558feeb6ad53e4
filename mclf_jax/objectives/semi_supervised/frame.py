"""What objectives share that learn from labelled and unlabelled songs: one batch, one loss."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mclf_jax.augment import Chains
from mclf_jax.common import checks
from mclf_jax.losses.targets import TASKS
from mclf_jax.models import Model
from mclf_jax.objectives import network, views
from mclf_jax.objectives.base import Loss
from mclf_jax.objectives.context import Context
from mclf_jax.objectives.supervised import task_loss

PyTree = Any
VIEWS = ("augmented", "clean")

_UNCHANGED = Chains()


class Rows(NamedTuple):
    """Something of the songs of a batch: `labelled` [B, ...] and `unlabelled` [U, ...]."""

    labelled: jax.Array
    unlabelled: jax.Array


def init(model: Model, key: jax.Array) -> dict[str, PyTree]:
    """Fresh {"params", "state"} of the network and of a counter of steps."""
    initial = network.init(model, key)
    initial["state"]["step"] = jnp.zeros((), jnp.int32)
    return initial


def inputs(
    model: Model,
    chains: Chains,
    batch: dict[str, Any],
    *,
    key: jax.Array,
    labelled_view: str = "augmented",
) -> jax.Array:
    """What the network takes of all songs, [B + U, F, M] or [B + U, T], for one forward pass.

    Labelled and unlabelled songs go through it together, so that batch normalisation cannot tell
    them apart: with batches of their own, the few labelled songs would be normalised by statistics
    that unlabelled ones, and later all others, never see. `apart` undoes the order, in which each
    labelled song has U / B unlabelled ones behind it: a batch that is split over devices stays so.

    Args:
        model: computes features from "audio", where the batch has no "features".
        chains: `waveform` and `spectrogram` are applied; each song has draws of its own.
        batch: with "unlabelled".
        key: of the augmentations.
        labelled_view: "augmented", or "clean" to leave labelled songs as they are.

    Raises:
        ValueError: U is not a multiple of B.
    """
    name = "features" if "features" in batch else "audio"
    labelled, unlabelled = batch[name], batch["unlabelled"][name]
    if not len(unlabelled) or len(unlabelled) % len(labelled):
        raise ValueError(
            f"the batch has {len(unlabelled)} unlabelled songs for {len(labelled)} labelled ones; "
            "unlabelled.ratio must be a whole number, at least 1"
        )
    columns = [labelled[:, None], unlabelled.reshape(len(labelled), -1, *unlabelled.shape[1:])]
    if labelled_view == "augmented":
        columns = [_augmented(model, chains, name, jnp.concatenate(columns, axis=1), key)]
    else:
        columns = [
            _augmented(model, _UNCHANGED, name, columns[0], key),
            _augmented(model, chains, name, columns[1], key),
        ]
    x = jnp.concatenate(columns, axis=1)
    return x.reshape(-1, *x.shape[2:])


def together(labelled: jax.Array, unlabelled: jax.Array) -> jax.Array:
    """Rows [B, ...] and [U, ...] in the order of `inputs`, [B + U, ...]; `apart` undoes it."""
    behind = unlabelled.reshape(len(labelled), -1, *unlabelled.shape[1:])
    rows = jnp.concatenate([labelled[:, None], behind], axis=1)
    return rows.reshape(-1, *rows.shape[2:])


def apart(rows: jax.Array, *, num_labelled: int) -> Rows:
    """What the network made of `inputs`, [B + U, ...], as it was in the batch."""
    columns = rows.reshape(num_labelled, -1, *rows.shape[1:])
    return Rows(columns[:, 0], columns[:, 1:].reshape(-1, *rows.shape[1:]))


def apply_train(
    context: Context,
    params: PyTree,
    state: PyTree,
    batch: dict[str, Any],
    *,
    augment_key: jax.Array,
    dropout_key: jax.Array,
    labelled_view: str = "augmented",
) -> tuple[Rows, PyTree]:
    """Logits of all songs, augmented, in training mode, and the network's new state.

    Arguments as of `inputs`; `params` and `state` are those of the objective.
    """
    x = inputs(context.model, context.chains, batch, key=augment_key, labelled_view=labelled_view)
    outputs, new_state = network.apply(
        context.model, params, state, x, mode="train", key=dropout_key
    )
    return apart(outputs["logits"], num_labelled=len(batch["label"])), new_state


def valid_mean(values: jax.Array, valid: jax.Array) -> jax.Array:
    """Mean of values [U] over the rows that are no padding; 0 if all are."""
    return (values * valid).sum() / jnp.maximum(valid.sum(), 1)


def ramp_up(step: jax.Array, num_steps: int) -> jax.Array:
    """exp(-5 (1 - t)^2) with t = step / num_steps up to 1 (Laine and Aila 2017); from e^-5 to 1.

    What a network believes of unlabelled songs means little before it has learned from the others.
    """
    progress = jnp.minimum(step / num_steps, 1) if num_steps else 1.0
    return jnp.exp(-5 * jnp.square(1.0 - progress))


def labelled_loss(context: Context, logits: jax.Array, label: jax.Array) -> dict[str, jax.Array]:
    """Metrics of the labelled songs, [B]: "labelled_loss", and "accuracy" for "single_label"."""
    settings = {"label_smoothing": context.label_smoothing, "pos_weight": context.pos_weight}
    metrics = {"labelled_loss": task_loss(context.task, logits, label, **settings)}
    if context.task == "single_label":
        metrics["accuracy"] = (logits.argmax(axis=-1) == label).astype(jnp.float32)
    return metrics


def combined(metrics: dict[str, jax.Array], *, weight: jax.Array | float, state: PyTree) -> Loss:
    """ "labelled_loss" [B] plus weight times "unlabelled_loss" [], as the step expects it.

    The step takes the mean over the valid labelled rows, so each of them has the whole of what the
    unlabelled songs say. Metrics that are one number become [B] too.
    """
    metrics = metrics | {"unlabelled_weight": jnp.asarray(weight, jnp.float32)}
    num_rows = len(metrics["labelled_loss"])
    metrics = {name: jnp.broadcast_to(value, num_rows) for name, value in metrics.items()}
    total = metrics["labelled_loss"] + weight * metrics["unlabelled_loss"]
    return Loss(total, state, metrics)


def check(
    name: str, context: Context, *, weight: float, ramp_up_steps: int = 0, **choices: Any
) -> None:
    """Refuse settings that are not allowed.

    Args:
        name: of the objective.
        context: of which the task is looked at.
        weight, ramp_up_steps: of the unlabelled songs.
        **choices: argument -> its value and those allowed.

    Raises:
        ValueError: naming what to change.
    """
    if context.task not in TASKS:
        raise ValueError(
            f"objective.name is {name!r}, for the tasks {', '.join(TASKS)}; that of the data set "
            f"is {context.task!r}"
        )
    for argument, (value, allowed) in choices.items():
        checks.choice(f"objective.args.{argument}", value, allowed)
    checks.at_least("objective.args.weight", weight, 0)
    checks.at_least("objective.args.ramp_up_steps", ramp_up_steps, 0)


def _augmented(model, chains, name, songs, key):
    return views.augmented(model, chains, {name: songs}, num_views=songs.shape[1], key=key)
