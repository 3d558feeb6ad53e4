"""Supervised learning: one label of many, tags, or numbers."""

import jax
import jax.numpy as jnp
import numpy as np

from mclf_jax import losses
from mclf_jax.augment import Chains
from mclf_jax.models import Model
from mclf_jax.objectives.objective import Loss, Objective

_UNCHANGED = Chains()


def supervised(
    model: Model,
    *,
    task: str,
    chains: Chains = _UNCHANGED,
    label_smoothing: float = 0.0,
    pos_weight: np.ndarray | float = 1.0,
) -> Objective:
    """Cross-entropy, binary cross-entropy or squared error, by `task`.

    Args:
        model: what is trained.
        task: one of `data.source.TASKS`.
        chains: augmentations on the device. Across the batch, the inputs of the network are
            mixed, and with them the labels, of which "single_label" has one-hot rows then.
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
        spectrogram_key, dropout_key, waveform_key, batch_key = jax.random.split(key, 4)
        if chains.waveform is not None:
            batch = batch | {"audio": chains.waveform(waveform_key, batch["audio"])}
        x, label = model.inputs(batch), batch["label"]
        if chains.spectrogram is not None:
            x = chains.spectrogram(spectrogram_key, x)
        if chains.batch is not None:
            if task == "single_label":
                label = jax.nn.one_hot(label, model.module.num_labels)
            mixed = chains.batch(batch_key, {"x": x, "label": label, "valid": batch["valid"]})
            x, label = mixed["x"], mixed["label"]
        outputs, new_state = model.apply_train(params["model"], state["model"], x, key=dropout_key)
        per_example = task_loss(
            task,
            outputs["logits"],
            label,
            label_smoothing=label_smoothing,
            pos_weight=pos_weight,
        )
        metrics = {}
        if task == "single_label":
            metrics["accuracy"] = _accuracy(outputs["logits"], label)
        return Loss(per_example, {"model": new_state}, metrics)

    return Objective(init, loss)


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
) -> jax.Array:
    """The loss of a task, [B, K] logits -> [B]; 0 where all labels of an example are NaN."""
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
    """Negatives over positives of each tag, [N, K] -> [K], clipped to [1, largest].

    Songs for which a tag is NaN, not observed, are neither.
    """
    positives, negatives = np.nansum(labels, axis=0), np.nansum(1 - labels, axis=0)
    return np.clip(negatives / np.maximum(positives, 1), 1.0, largest).astype("f4")
