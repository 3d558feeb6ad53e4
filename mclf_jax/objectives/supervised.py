"""Supervised learning: one label of many, tags, or numbers."""

import jax
import jax.numpy as jnp
import numpy as np

from mclf_jax import losses
from mclf_jax.augment import Chains
from mclf_jax.models import ARCHITECTURES, Model, frozen
from mclf_jax.objectives.base import Loss, Objective

_UNCHANGED = Chains()
DISTANCES = ("squared_error", "cosine")


def supervised(
    model: Model,
    *,
    task: str,
    chains: Chains = _UNCHANGED,
    label_smoothing: float = 0.0,
    pos_weight: np.ndarray | float = 1.0,
    distance: str = "squared_error",
    num_sampled: int = 0,
) -> Objective:
    """Cross-entropy, binary cross-entropy or a distance, by `task`.

    With "cosine" or `num_sampled` the objective judges the validation split itself, by its loss
    over all labels: directions have no R2, and 50,000 scores a song no place to be kept.

    Args:
        model: what is trained.
        task: one of `data.source.TASKS`.
        chains: augmentations on the device. Across the batch, the inputs of the network are
            mixed, and with them the labels, of which "single_label" has one-hot rows then.
        label_smoothing: for "single_label".
        pos_weight: [K] or a number, for "multi_label".
        distance: for "regression", one of `DISTANCES`; "cosine" is of whole vectors, such as
            those of collaborative filtering, and asks nothing of their length.
        num_sampled: for "single_label" with very many labels, how many are drawn for each step
            (`losses.sampled_softmax_cross_entropy`); 0 for the softmax over all.

    Raises:
        ValueError: something is not for this task, or not for sampled labels.
    """
    _check_distance(distance, task)
    if num_sampled:
        _check_sampling(num_sampled, task, model, chains, label_smoothing)

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
        new_state = {"model": new_state}
        if num_sampled:
            # Not by `split`: runs without sampling keep the keys that they have always had.
            draw_key = jax.random.fold_in(key, 4)
            # Nothing asks for the logits, so the compiler leaves out the product that makes them.
            return Loss(sampled(params["model"], outputs, label, draw_key), new_state, {})
        return judged(outputs["logits"], label, new_state)

    def sampled(params, outputs, label, key):
        # The last layer of every network is a dense one on its embedding (`blocks.outputs`).
        head = frozen.without_gradients(params, model.frozen)[ARCHITECTURES[model.name].head]
        return losses.sampled_softmax_cross_entropy(
            outputs["embedding"], label, **head, key=key, num_sampled=num_sampled
        )

    def judged(logits, label, state):
        per_example = task_loss(
            task,
            logits,
            label,
            label_smoothing=label_smoothing,
            pos_weight=pos_weight,
            distance=distance,
        )
        metrics = {"accuracy": _accuracy(logits, label)} if task == "single_label" else {}
        return Loss(per_example, state, metrics)

    def evaluate(params, state, batch, key):
        variables = {"params": params["model"], **state["model"]}
        outputs = model.module.apply(variables, model.inputs(batch), train=False)
        return judged(outputs["logits"], batch["label"], state)

    judges_itself = num_sampled or distance != "squared_error"
    return Objective(init, loss, evaluate if judges_itself else None)


def _check_distance(distance: str, task: str) -> None:
    if distance not in DISTANCES:
        raise ValueError(f"objective.distance is {distance!r}; allowed: {', '.join(DISTANCES)}")
    if distance != "squared_error" and task != "regression":
        raise ValueError(
            f"objective.distance is {distance!r}, which is for numbers, but the task is {task!r}; "
            "set it to 'squared_error'"
        )


def _check_sampling(
    num_sampled: int, task: str, model: Model, chains: Chains, label_smoothing: float
) -> None:
    if task != "single_label":
        raise ValueError(
            f"objective.num_sampled is {num_sampled}, which is for one label of many, but the "
            f"task is {task!r}; set it to 0"
        )
    num_labels = model.module.num_labels
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
    if chains.batch is not None:
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
) -> jax.Array:
    """The loss of a task, [B, K] logits -> [B]; 0 where all labels of an example are NaN."""
    if task == "single_label":
        return losses.softmax_cross_entropy(logits, labels, label_smoothing=label_smoothing)
    if task == "multi_label":
        return losses.sigmoid_cross_entropy(logits, labels, pos_weight=pos_weight)
    if distance == "cosine":
        return losses.cosine_distance(logits, labels)
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
