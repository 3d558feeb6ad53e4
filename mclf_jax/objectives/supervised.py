"""Supervised learning: single-label, multi-label, or numbers."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from mclf_jax import losses
from mclf_jax.common import checks
from mclf_jax.data.base.source import Info
from mclf_jax.losses import paths
from mclf_jax.losses.paths import Tree
from mclf_jax.models import architecture, frozen
from mclf_jax.objectives import network
from mclf_jax.objectives.base import Loss, Objective
from mclf_jax.objectives.context import Context

DISTANCES = ("squared_error", "cosine")
HIERARCHIES = ("none", "conditional")


def supervised(context: Context, *, hierarchy: str = "none") -> Objective:
    """Cross-entropy, binary cross-entropy or a distance, by `task`.

    With "cosine" or `num_sampled` the objective judges the validation split itself, by its loss
    over all labels: directions have no R2, and 50,000 scores a song no place to be kept.

    Where `context.chains` mix across the batch, labels are mixed with the inputs of the network;
    those of "single_label" are one-hot rows then.

    Args:
        context: of the run.
        hierarchy: of tags that have parents: "none", each on its own; or "conditional", each where
            the one above it is (`losses.paths`), and scores are products along the path, which
            never contradict the tree.

    Raises:
        ValueError: something is not for this task, or not for sampled labels.
    """
    model, chains, task = context.model, context.chains, context.task
    distance, num_sampled = context.distance, context.num_sampled
    _check_distance(distance, task)
    tree = tree_for(hierarchy, task=task, labels=context.label_names, parents=context.parents)
    if num_sampled:
        _check_sampling(context)
    settings = {"label_smoothing": context.label_smoothing, "pos_weight": context.pos_weight}

    def init(key):
        return network.init(model, key)

    def loss(params, state, batch, key):
        spectrogram_key, dropout_key, waveform_key, batch_key = jax.random.split(key, 4)
        x = network.augmented_inputs(
            model, chains, batch, waveform_key=waveform_key, spectrogram_key=spectrogram_key
        )
        label = batch["label"]
        if chains.batch is not None:
            if task == "single_label":
                label = jax.nn.one_hot(label, model.module.num_labels)
            mixed = chains.batch(batch_key, {"x": x, "label": label, "valid": batch["valid"]})
            x, label = mixed["x"], mixed["label"]
        outputs, new_state = network.apply(model, params, state, x, mode="train", key=dropout_key)
        new_state = {"model": new_state}
        if num_sampled:
            # Not by `split`: runs without sampling keep the keys that they have always had.
            draw_key = jax.random.fold_in(key, 4)
            # Nothing asks for the logits, so the compiler leaves out the product that makes them.
            return Loss(sampled(params["model"], outputs, label, draw_key), new_state, {})
        return judged(outputs["logits"], label, new_state)

    def sampled(params, outputs, label, key):
        # The last layer of every network is a dense one on its embedding (`blocks.outputs`).
        head = frozen.without_gradients(params, model.frozen)[architecture(model.name).head]
        return losses.sampled_softmax_cross_entropy(
            outputs["embedding"], label, **head, key=key, num_sampled=num_sampled
        )

    def judged(logits, label, state):
        per_example = task_loss(task, logits, label, distance=distance, tree=tree, **settings)
        metrics = {"accuracy": _accuracy(logits, label)} if task == "single_label" else {}
        return Loss(per_example, state, metrics)

    def evaluate(params, state, batch, key):
        outputs, _ = network.apply(model, params, state, model.inputs(batch), mode="evaluate")
        return judged(outputs["logits"], batch["label"], state)

    judges_itself = num_sampled or distance != "squared_error"
    return Objective(init, loss, evaluate if judges_itself else None)


def tree_for(
    hierarchy: str, *, task: str, labels: Sequence[str], parents: Mapping[str, str]
) -> Tree:
    """The tree that `objective.args.hierarchy` asks for, () without one.

    Raises:
        ValueError: an unknown choice, or the data have no tags with parents.
    """
    checks.choice("objective.args.hierarchy", hierarchy, HIERARCHIES)
    if hierarchy == "none":
        return ()
    tree = paths.tree_of(labels, parents)
    if task != "multi_label" or max(tree, default=-1) < 0:
        raise ValueError(
            f"objective.args.hierarchy is {hierarchy!r}, which needs tags with parents, but the "
            f"task is {task!r} and {sum(above >= 0 for above in tree)} labels have one: see "
            "data.taxonomy, or set it to 'none'"
        )
    return tree


def tree_of_run(config: ConfigDict, info: Info) -> Tree:
    """The tree along which a run scores the labels of its data set, () if each on its own."""
    if config.objective.name != "supervised":
        return ()
    hierarchy = config.objective.args.get("hierarchy", "none")
    return tree_for(hierarchy, task=info.task, labels=info.labels, parents=info.parents)


def _check_distance(distance: str, task: str) -> None:
    checks.choice("objective.distance", distance, DISTANCES)
    if distance != "squared_error" and task != "regression":
        raise ValueError(
            f"objective.distance is {distance!r}, which is for numbers, but the task is {task!r}; "
            "set it to 'squared_error'"
        )


def _check_sampling(context: Context) -> None:
    num_sampled, task, label_smoothing = context.num_sampled, context.task, context.label_smoothing
    if task != "single_label":
        raise ValueError(
            f"objective.num_sampled is {num_sampled}, which is for single-label tasks, but the "
            f"task is {task!r}; set it to 0"
        )
    num_labels = context.model.module.num_labels
    if not 1 <= num_sampled <= num_labels:
        raise ValueError(
            f"objective.num_sampled is {num_sampled}; with {num_labels} labels it must be from 1 "
            f"to {num_labels}, or 0 for the softmax over all"
        )
    if label_smoothing:
        raise ValueError(
            f"objective.label_smoothing is {label_smoothing} and objective.num_sampled "
            f"{num_sampled}: smoothing is over all labels, so one of them must be 0"
        )
    if context.chains.batch is not None:
        raise ValueError(
            "augment.mixup_alpha and augment.cutmix_alpha make mixtures of labels, and "
            f"objective.num_sampled ({num_sampled}) needs one for each song: set them to 0"
        )


def _accuracy(logits: jax.Array, label: jax.Array) -> jax.Array:
    """What the predicted label has of the target, [B]: 1 or 0 where that is one label."""
    predicted = logits.argmax(axis=-1)
    if label.ndim == 1:
        return (predicted == label).astype("float32")
    return jnp.take_along_axis(label, predicted[:, None], axis=-1)[:, 0]


def task_loss(
    task: str,
    logits: jax.Array,
    labels: jax.Array,
    *,
    label_smoothing: float = 0.0,
    pos_weight: np.ndarray | float = 1.0,
    distance: str = "squared_error",
    tree: Tree = (),
) -> jax.Array:
    """The loss of a task, [B, K] logits -> [B]; 0 where all labels of an example are NaN.

    With a `tree` (`losses.paths`) logits are of labels where the one above them is.
    """
    if tree:
        return paths.conditional_cross_entropy(logits, labels, tree, pos_weight=pos_weight)
    if task == "single_label":
        return losses.softmax_cross_entropy(logits, labels, label_smoothing=label_smoothing)
    if task == "multi_label":
        return losses.sigmoid_cross_entropy(logits, labels, pos_weight=pos_weight)
    if distance == "cosine":
        return losses.cosine_distance(logits, labels)
    return losses.squared_error(logits, labels)


def task_scores(task: str, logits: jax.Array, *, tree: Tree = ()) -> jax.Array:
    """Logits as what people read: probabilities, or the predicted numbers; [..., K]."""
    if tree:
        return paths.path_scores(logits, tree)
    if task == "single_label":
        return jax.nn.softmax(logits)
    if task == "multi_label":
        return jax.nn.sigmoid(logits)
    return logits
