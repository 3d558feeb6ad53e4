"""Noisy student (Xie et al. 2020; Won et al. 2021 for music): learn what a teacher hears in songs
without labels, from audio that is harder to hear."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mclf_jax import losses
from mclf_jax.common import checks
from mclf_jax.losses import targets as pseudo_labels
from mclf_jax.models import Model
from mclf_jax.objectives import network
from mclf_jax.objectives.base import Objective
from mclf_jax.objectives.context import Context, Teacher
from mclf_jax.objectives.semi_supervised import frame
from mclf_jax.objectives.supervised import task_scores

PyTree = Any
PREDICTIONS = ("online", "cached")
TARGETS = ("soft", "hard")
LABELLED_LOSSES = ("labels", "skeptical")


class _Taught(NamedTuple):
    """What the teacher says of unlabelled rows.

    Attributes:
        probabilities, logits: [U, K].
        known: bool, whether it says anything: [U], or [U, K] for tags.
    """

    probabilities: jax.Array
    logits: jax.Array
    known: jax.Array


def noisy_student(
    context: Context,
    *,
    teacher: str = "",
    predictions: str = "online",
    targets: str = "soft",
    temperature: float = 1.0,
    threshold: float = 0.0,
    per_class: int = 0,
    weight: float = 1.0,
    labelled_loss: str = "labels",
    skeptical_threshold: float = 0.5,
) -> Objective:
    """The labels of labelled songs, and a teacher's predictions of others as if they were labels.

    The teacher, a network that was trained before, hears clean audio in evaluation mode; its
    predictions are given and no gradient reaches it. The student hears augmented audio, with its
    dropout and its stochastic depth. A student as large as its teacher or larger is "knowledge
    expansion"; with a smaller one, the same is distillation. To teach on labelled songs too, have
    "train" among `unlabelled.splits`.

    Labelled and unlabelled songs go through the student in one pass, see
    `frame.inputs`.

    The published music tagging code calls a `skeptical_loss(outputs, labels, teacher's outputs)`
    on labelled songs that is defined nowhere, so nobody can know what it was. Our reading is
    `labelled_loss="skeptical"`: a tag that nobody gave a song may be a tag that nobody thought of,
    so if the teacher hears it, it counts as not observed (`losses.skeptical_cross_entropy`).

    Args:
        context: of the student, and the opened teacher, which predictions "online" need; for the
            tasks "single_label" and "multi_label".
        teacher: its run directory, which whoever makes the context opens.
        predictions: "online", of each window as it comes. Or "cached": of each song, the mean over
            its windows, computed once before training (`evaluation.predictions`), which is faster
            and allows a teacher with another sample rate.
        targets: "soft", the teacher's probabilities, or "hard", its most probable answer. Xie et
            al. find soft ones better for songs unlike the labelled ones.
        temperature: above 1, both learn and teach softened predictions, as in distillation
            (Hinton et al. 2015). At 1, the loss is the cross-entropy with the targets.
        threshold: predictions of less confidence count as a loss of 0, of tags one by one
            (`losses.targets.confidence`). 0.3 in the image experiments, none in those on music.
        per_class: cached predictions only: so many songs of each predicted class, see
            `data.views.pseudo_labelled`; 0: as they come.
        weight: of the unlabelled loss, which is a mean, as the labelled one is. 1 for music; in the
            code for images all rows count the same, which is a weight of `unlabelled.ratio`.
        labelled_loss: "labels", or "skeptical" for tags, with predictions "online".
        skeptical_threshold: probability from which a tag that is not given is doubted.

    Raises:
        ValueError: an argument is not allowed, or the teacher is not one for this student.
    """
    model, task = context.model, context.task
    frame.check(
        "noisy_student",
        context,
        weight=weight,
        predictions=(predictions, PREDICTIONS),
        targets=(targets, TARGETS),
        labelled_loss=(labelled_loss, LABELLED_LOSSES),
    )
    _check_targets(targets, temperature, threshold, per_class, predictions)
    _check_labelled_loss(labelled_loss, skeptical_threshold, predictions, task)
    guide, same_features = None, True
    if predictions == "online":
        if (guide := context.teacher) is None:
            raise ValueError(f"objective.args.teacher is {teacher!r}, and nobody has opened it")
        _check_hears_the_same(guide, model)
        same_features = guide.model.features == model.features

    def init(key):
        initial = network.init(model, key)
        if guide is not None:
            # Not trained, but a part of the state, which lies on the devices.
            initial["state"]["teacher"] = jax.tree.map(jnp.array, guide.variables)
        return initial

    def predict(variables, batch):
        x = model.inputs(batch) if same_features else guide.model.features(_audio(batch))
        logits = guide.model.module.apply(variables, x, train=False)["logits"]
        return jax.lax.stop_gradient(logits)

    def loss(params, state, batch, key):
        augment_key, dropout_key = jax.random.split(key)
        label, others = batch["label"], batch["unlabelled"]
        if guide is None:
            taught = _cached(others["label"], task)
        else:
            taught = _online(predict(state["teacher"], others), task)
        logits, new_state = frame.apply_train(
            context, params, state, batch, augment_key=augment_key, dropout_key=dropout_key
        )
        metrics = frame.labelled_loss(context, logits.labelled, label)
        if labelled_loss == "skeptical":
            metrics["labelled_loss"] = losses.skeptical_cross_entropy(
                logits.labelled,
                label,
                task_scores(task, predict(state["teacher"], batch)),
                threshold=skeptical_threshold,
                pos_weight=context.pos_weight,
            )
        confident = pseudo_labels.confidence(taught.probabilities, task=task) >= threshold
        kept = taught.known & confident
        unlabelled_loss = _unlabelled_loss(
            logits.unlabelled, taught, kept, task=task, targets=targets, temperature=temperature
        )
        share_kept = kept.reshape(len(kept), -1).mean(axis=1)
        metrics |= {
            "unlabelled_loss": frame.valid_mean(unlabelled_loss, others["valid"]),
            "pseudo_labels_kept": frame.valid_mean(share_kept, others["valid"]),
        }
        return frame.combined(metrics, weight=weight, state=state | {"model": new_state})

    return Objective(init, loss)


def _audio(batch: dict[str, jax.Array]) -> jax.Array:
    if "audio" in batch:
        return batch["audio"]
    raise ValueError(
        "features.on is 'pipeline', but the teacher takes other features than the student; set "
        "features.on to 'device', or objective.args.predictions to 'cached'"
    )


def _online(logits: jax.Array, task: str) -> _Taught:
    shape = logits.shape[:1] if task == "single_label" else logits.shape
    return _Taught(task_scores(task, logits), logits, jnp.ones(shape, bool))


def _cached(label: jax.Array, task: str) -> _Taught:
    """Of probabilities, NaN where there are none; logits as far as probabilities tell."""
    if label.ndim != 2:
        raise ValueError(
            f"labels of unlabelled rows are of shape {label.shape}; with predictions='cached' they "
            "must be the teacher's probabilities [U, K]"
        )
    missing = jnp.isnan(label)
    probabilities = jnp.where(missing, 0.5, label)
    # What was rounded to 0 or to 1 is not impossible.
    least = jnp.finfo(label.dtype).epsneg
    logits = jnp.log(jnp.maximum(probabilities, least))
    if task == "single_label":
        return _Taught(probabilities, logits, ~missing.any(axis=-1))
    logits -= jnp.log(jnp.maximum(1 - probabilities, least))
    return _Taught(probabilities, logits, ~missing)


def _unlabelled_loss(
    logits: jax.Array,
    taught: _Taught,
    kept: jax.Array,
    *,
    task: str,
    targets: str,
    temperature: float,
) -> jax.Array:
    """[U], 0 for what is not kept, [U] or [U, K] of booleans."""
    if temperature != 1:
        # What learns from itself has loss 0 and gradient 0.
        own = jax.lax.stop_gradient(logits)
        teacher_logits = jnp.where(kept.reshape(len(kept), -1), taught.logits, own)
        return losses.distillation(logits, teacher_logits, task=task, temperature=temperature)
    target = taught.probabilities
    if targets == "hard":
        target = pseudo_labels.harden(target, task=task)
    return losses.pseudo_label_cross_entropy(logits, target, task=task, mask=kept)


def _check_hears_the_same(guide: Teacher, student: Model) -> None:
    """Raise a ValueError if the teacher cannot predict the windows of the student."""
    teacher, cached = guide.model, "set objective.args.predictions to 'cached'"
    rates = [model.features.sample_rate_hz for model in (teacher, student)]
    if rates[0] != rates[1]:
        raise ValueError(
            f"objective.args.teacher hears audio at {rates[0]} Hz and the student at {rates[1]} Hz "
            f"(features.sample_rate_hz); {cached}"
        )
    window = student.window_samples
    if teacher.window_samples == window:
        return
    lengths = f"windows of {teacher.window_s:.4g} s and the student of {student.window_s:.4g} s"
    why = f"objective.args.teacher hears {lengths} (model.window_s)"
    if teacher.length == "fixed":
        raise ValueError(f"{why}, and a {teacher.name} takes one length only; {cached}")
    x = jax.ShapeDtypeStruct((1, *teacher.features.shape(window)), "float32")
    try:
        jax.eval_shape(lambda v, x: teacher.module.apply(v, x, train=False), guide.variables, x)
    except ValueError as error:
        raise ValueError(f"{why}, which do not suit it: {error}; {cached}") from error


def _check_targets(
    targets: str, temperature: float, threshold: float, per_class: int, predictions: str
) -> None:
    checks.within("objective.args.threshold", threshold, 0, 1, ends="[)")
    checks.positive("objective.args.temperature", temperature)
    if temperature != 1 and targets == "hard":
        raise ValueError(
            f"objective.args.temperature is {temperature}, which softens predictions, and "
            "objective.args.targets is 'hard'; leave the temperature at 1, or take 'soft'"
        )
    checks.at_least("objective.args.per_class", per_class, 0)
    if per_class and predictions == "online":
        raise ValueError(
            f"objective.args.per_class is {per_class}, which takes predictions of all songs before "
            "training; set objective.args.predictions to 'cached', or per_class to 0"
        )


def _check_labelled_loss(
    labelled_loss: str, skeptical_threshold: float, predictions: str, task: str
) -> None:
    checks.positive("objective.args.skeptical_threshold", skeptical_threshold)
    if labelled_loss == "labels":
        return
    if task != "multi_label":
        raise ValueError(
            "objective.args.labelled_loss is 'skeptical', of tags that may have been forgotten, "
            f"but the task is {task!r}; set it to 'labels'"
        )
    if predictions == "cached":
        raise ValueError(
            "objective.args.labelled_loss is 'skeptical', which asks the teacher about labelled "
            "windows, too; set objective.args.predictions to 'online'"
        )
