"""Consistency of predictions: what a song is does not depend on how it is augmented.

Pi-model (Laine and Aila 2017), mean teacher (Tarvainen and Valpola 2017), UDA (Xie et al. 2020),
FixMatch (Sohn et al. 2020) and pseudo-labels (Lee 2013) are settings of one objective. They differ
in who predicts the targets of unlabelled songs, from what, and how far the targets are believed.
"""

from typing import Any

import jax
import jax.numpy as jnp

from mclf_jax import losses
from mclf_jax.losses import targets as pseudo_labels
from mclf_jax.objectives import network
from mclf_jax.objectives.base import Objective
from mclf_jax.objectives.context import Context
from mclf_jax.objectives.momentum import moving_average
from mclf_jax.objectives.semi_supervised import frame, signal_annealing
from mclf_jax.objectives.supervised import task_scores

METHODS: dict[str, dict[str, Any]] = {
    # Their weight of 100 * M / N, for M labelled of N images, is against a sum of the labelled
    # losses over all N: it is 100 against a mean over the M, and twice that of one gradient, see
    # `consistency`. 40,000 steps are their 80 epochs.
    "pi_model": {
        "teacher": "self",
        "teacher_view": "augmented",
        "targets": "soft",
        "threshold": 0.0,
        "unlabelled_loss": "squared_error",
        "weight": 200.0,
        "ramp_up_steps": 40_000,
    },
    "mean_teacher": {
        "teacher": "ema",
        "momentum": 0.999,
        "teacher_view": "augmented",
        "targets": "soft",
        "threshold": 0.0,
        "unlabelled_loss": "squared_error",
        "weight": 100.0,
        "ramp_up_steps": 40_000,
    },
    "uda": {
        "teacher": "self",
        "teacher_view": "clean",
        "labelled_view": "clean",
        "targets": "sharpened",
        "temperature": 0.4,
        "threshold": 0.8,
        "unlabelled_loss": "kl",
        "weight": 1.0,
    },
    "fixmatch": {
        "teacher": "self",
        "teacher_view": "clean",
        "labelled_view": "clean",
        "targets": "hard",
        "threshold": 0.95,
        "unlabelled_loss": "cross_entropy",
        "weight": 1.0,
    },
    # There the weight is 0 for 100 epochs and then rises linearly to 3 within 500.
    "pseudo_label": {
        "teacher": "self",
        "teacher_view": "clean",
        "targets": "hard",
        "threshold": 0.0,
        "unlabelled_loss": "cross_entropy",
        "weight": 3.0,
        "ramp_up_steps": 100_000,
    },
}
"""Published settings by name, as `objective.args`; the lengths suit published runs, not short ones.

Most of them count labelled songs among the unlabelled ones too, which is
`unlabelled.splits = ("unlabelled", "train")`.
"""

TEACHERS = ("self", "ema")
TARGETS = ("soft", "sharpened", "hard")
UNLABELLED_LOSSES = ("cross_entropy", "kl", "squared_error")


def consistency(
    context: Context,
    *,
    teacher: str = "self",
    momentum: float = 0.0,
    teacher_view: str = "clean",
    labelled_view: str = "augmented",
    targets: str = "hard",
    temperature: float = 1.0,
    threshold: float = 0.95,
    unlabelled_loss: str = "cross_entropy",
    weight: float = 1.0,
    ramp_up_steps: int = 0,
    annealing: str = "none",
) -> Objective:
    """The loss of supervised learning, and that of a student against its teacher on other songs.

    The student hears augmented songs, with dropout. No gradient flows into the targets. The
    published Pi-model has gradients through both of its predictions, which is the same in the
    mean of many steps with twice the weight.

    Args:
        context: for the tasks "single_label", and "multi_label", where each tag has targets of its
            own; `total_steps` are for `annealing`.
        teacher: who predicts the targets: "self", the network as it is, or "ema", the moving
            average of its parameters and statistics. It is the student that is evaluated;
            `optim.ema_decay` evaluates such an average, with any teacher.
        momentum: of the average, after a start in which it is 1 - 1 / (step + 1).
        teacher_view: what the teacher hears. "clean": the song as it is, in evaluation mode, as
            it will be used. "augmented": another draw of the augmentation, in training mode, with
            statistics of the whole batch, labelled songs included, as the student has them.
        labelled_view: "augmented", or "clean" where `chains` are too strong for the few labelled
            songs (FixMatch augments them weakly, for which here stand random windows).
        targets: "soft" probabilities; "sharpened" by `temperature`; or "hard".
        temperature: of sharpened targets, see `losses.targets.sharpen`.
        threshold: how sure a teacher must be of a song, or of a tag of it; what it is less sure of
            counts as 0 in the mean. 0: everything is kept.
        unlabelled_loss: of the student against the targets: "cross_entropy", "kl", or
            "squared_error" of probabilities, see `losses.prediction_distance`.
        weight: of it; it is the mean over the unlabelled songs (and their tags).
        ramp_up_steps: over which it rises to `weight`, see `frame.ramp_up`; 0: at once.
        annealing: of the training signal, "none", "linear", "log" or "exp": leaves out labelled
            songs that are already right, see `signal_annealing`.

    Raises:
        ValueError: an argument is not allowed, or does nothing beside the others.
    """
    model, task = context.model, context.task
    frame.check(
        "consistency",
        context,
        weight=weight,
        ramp_up_steps=ramp_up_steps,
        teacher=(teacher, TEACHERS),
        teacher_view=(teacher_view, frame.VIEWS),
        labelled_view=(labelled_view, frame.VIEWS),
        targets=(targets, TARGETS),
        unlabelled_loss=(unlabelled_loss, UNLABELLED_LOSSES),
        annealing=(annealing, signal_annealing.SCHEDULES),
    )
    num_outcomes = model.module.num_labels if task == "single_label" else 2
    _check_targets(targets, temperature, threshold, chance=1 / num_outcomes)
    _check_momentum(teacher, momentum)

    def init(key):
        initial = frame.init(model, key)
        if teacher == "ema":
            # Copies, because the step donates its state and a buffer can be donated only once.
            initial["state"]["teacher"] = jax.tree.map(jnp.copy, network.variables_of(**initial))
        return initial

    def predict(variables, batch, key):
        """The teacher's probabilities of the unlabelled songs, [U, K]."""
        if teacher_view == "clean":
            x = model.inputs(batch["unlabelled"])
            logits = model.module.apply(variables, x, train=False)["logits"]
        else:
            augment_key, dropout_key = jax.random.split(key)
            statistics = {name: tree for name, tree in variables.items() if name != "params"}
            both, _ = frame.apply_train(
                context,
                {"model": variables["params"]},
                {"model": statistics},
                batch,
                augment_key=augment_key,
                dropout_key=dropout_key,
                labelled_view=labelled_view,
            )
            logits = both.unlabelled
        return task_scores(task, logits)

    def believed(predicted):
        if targets == "sharpened":
            return pseudo_labels.sharpen(predicted, temperature=temperature, task=task)
        return pseudo_labels.harden(predicted, task=task) if targets == "hard" else predicted

    def loss(params, state, batch, key):
        augment_key, dropout_key, teacher_key = jax.random.split(key, 3)
        step, label = state["step"], batch["label"]
        new_state, metrics = {"step": step + 1}, {}

        variables = network.variables_of(params, state)
        if teacher == "ema":
            # At the start of a step, which is after the optimiser's update of the one before.
            current = jnp.minimum(1 - 1 / (step + 1), momentum)
            variables = moving_average(state["teacher"], variables, momentum=current)
            new_state["teacher"] = variables
            metrics["teacher_momentum"] = current
        predicted = predict(jax.lax.stop_gradient(variables), batch, teacher_key)
        sure = pseudo_labels.confidence(predicted, task=task)
        kept = (sure >= threshold).astype(predicted.dtype)

        logits, new_state["model"] = frame.apply_train(
            context,
            params,
            state,
            batch,
            augment_key=augment_key,
            dropout_key=dropout_key,
            labelled_view=labelled_view,
        )
        valid = batch["unlabelled"]["valid"]
        difference = _difference(
            unlabelled_loss, logits.unlabelled, believed(predicted), task=task, mask=kept
        )
        metrics["unlabelled_loss"] = frame.valid_mean(difference, valid)
        kept_of_each = kept.reshape(len(valid), -1).mean(axis=-1)
        metrics["pseudo_labels_kept"] = frame.valid_mean(kept_of_each, valid)

        metrics |= signal_annealing.labelled_loss(
            context,
            logits.labelled,
            label,
            valid=batch["valid"],
            schedule=annealing,
            progress=step / context.total_steps,
        )
        return frame.combined(
            metrics, weight=weight * frame.ramp_up(step, ramp_up_steps), state=new_state
        )

    return Objective(init, loss)


def _difference(
    name: str, logits: jax.Array, target: jax.Array, *, task: str, mask: jax.Array
) -> jax.Array:
    """One of `UNLABELLED_LOSSES`, [U]."""
    if name == "cross_entropy":
        return losses.pseudo_label_cross_entropy(logits, target, task=task, mask=mask)
    return losses.prediction_distance(logits, target, task=task, distance=name, mask=mask)


def _check_targets(targets: str, temperature: float, threshold: float, *, chance: float) -> None:
    if targets == "sharpened" and not 0 < temperature < 1:
        raise ValueError(
            f"objective.args.temperature is {temperature}; it must be between 0 and 1 for "
            "objective.args.targets 'sharpened' (1 is 'soft')"
        )
    if targets != "sharpened" and temperature != 1:
        raise ValueError(
            f"objective.args.temperature is {temperature}, which does nothing to "
            f"objective.args.targets {targets!r}; leave it at 1, or take 'sharpened'"
        )
    if threshold != 0 and not chance < threshold < 1:
        raise ValueError(
            f"objective.args.threshold is {threshold}; it must be 0, which keeps everything, or "
            f"between {chance:.3g}, which every prediction reaches, and 1"
        )


def _check_momentum(teacher: str, momentum: float) -> None:
    if teacher == "ema" and not 0 < momentum < 1:
        raise ValueError(
            f"objective.args.momentum is {momentum}; for objective.args.teacher 'ema' it must be "
            "between 0 and 1, such as 0.999"
        )
    if teacher == "self" and momentum != 0:
        raise ValueError(
            f"objective.args.momentum is {momentum}, which does nothing for "
            "objective.args.teacher 'self'; leave it at 0, or take 'ema'"
        )
