"""Supervised learning: one label of many, tags, or numbers."""

import jax
import numpy as np

from mclf_jax import losses
from mclf_jax.augment import Augmentation
from mclf_jax.models import Model
from mclf_jax.objectives.objective import Loss, Objective


def supervised(
    model: Model,
    *,
    task: str,
    augment: Augmentation | None = None,
    label_smoothing: float = 0.0,
    pos_weight: np.ndarray | float = 1.0,
) -> Objective:
    """Cross-entropy, binary cross-entropy or squared error, by `task`.

    Args:
        model: what is trained.
        task: one of `data.source.TASKS`.
        augment: of the features, in training only.
        label_smoothing: for "single_label".
        pos_weight: [K] or a number, for "multi_label".
    """

    def init(key):
        variables = model.init(key)
        return {
            "params": {"model": variables["params"]},
            "state": {"model": {k: v for k, v in variables.items() if k != "params"}},
        }

    def loss(params, state, batch, key):
        augment_key, dropout_key = jax.random.split(key)
        x = model.inputs(batch)
        if augment is not None:
            x = augment(augment_key, x)
        outputs, new_state = model.apply_train(params["model"], state["model"], x, key=dropout_key)
        per_example = task_loss(
            task,
            outputs["logits"],
            batch["label"],
            label_smoothing=label_smoothing,
            pos_weight=pos_weight,
        )
        metrics = {}
        if task == "single_label":
            metrics["accuracy"] = (outputs["logits"].argmax(-1) == batch["label"]).astype("float32")
        return Loss(per_example, {"model": new_state}, metrics)

    return Objective(init, loss)


def task_loss(
    task: str,
    logits: jax.Array,
    labels: jax.Array,
    *,
    label_smoothing: float = 0.0,
    pos_weight: np.ndarray | float = 1.0,
) -> jax.Array:
    """The loss of a task, [B, K] logits -> [B]."""
    if task == "single_label":
        return losses.softmax_cross_entropy(logits, labels, label_smoothing=label_smoothing)
    if task == "multi_label":
        return losses.sigmoid_cross_entropy(logits, labels, pos_weight=pos_weight)
    return losses.squared_error(logits, labels)


def task_scores(task: str, logits: jax.Array) -> jax.Array:
    """Logits as what people read: probabilities, or the predicted numbers; [..., K]."""
    if task == "single_label":
        return jax.nn.softmax(logits)
    if task == "multi_label":
        return jax.nn.sigmoid(logits)
    return logits


def balanced_pos_weight(labels: np.ndarray, *, largest: float = 20.0) -> np.ndarray:
    """Negatives over positives of each tag, [N, K] -> [K], clipped to [1, largest]."""
    positives = labels.sum(axis=0)
    return np.clip((len(labels) - positives) / np.maximum(positives, 1), 1.0, largest).astype("f4")
