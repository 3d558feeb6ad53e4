"""Entropy minimisation (Grandvalet and Bengio 2005): decide, also where nobody said what it is."""

import jax

from mclf_jax import losses
from mclf_jax.objectives.base import Objective
from mclf_jax.objectives.context import Context
from mclf_jax.objectives.semi_supervised import frame


def entropy_minimization(
    context: Context, *, weight: float = 0.1, ramp_up_steps: int = 0
) -> Objective:
    """The loss of supervised learning, and the entropy of what is predicted for other songs.

    It moves the boundary between labels to where there are few songs. Nothing keeps it from
    deciding for the same label everywhere, so the weight must be small enough for the labelled
    songs to prevent that.

    Args:
        context: for the tasks "single_label" and "multi_label"; `chains` are of labelled and
            unlabelled songs.
        weight: of the entropy in nats, the mean over the unlabelled songs (and their tags);
            lambda in the paper, where cross-validation chooses it.
        ramp_up_steps: over which it rises to `weight`, see `frame.ramp_up`; 0: at once.

    Raises:
        ValueError: an argument is not allowed.
    """
    frame.check("entropy_minimization", context, weight=weight, ramp_up_steps=ramp_up_steps)

    def init(key):
        return frame.init(context.model, key)

    def loss(params, state, batch, key):
        augment_key, dropout_key = jax.random.split(key)
        logits, model_state = frame.apply_train(
            context, params, state, batch, augment_key=augment_key, dropout_key=dropout_key
        )
        metrics = frame.labelled_loss(context, logits.labelled, batch["label"])
        entropy = losses.prediction_entropy(logits.unlabelled, task=context.task)
        metrics["unlabelled_loss"] = frame.valid_mean(entropy, batch["unlabelled"]["valid"])
        return frame.combined(
            metrics,
            weight=weight * frame.ramp_up(state["step"], ramp_up_steps),
            state={"model": model_state, "step": state["step"] + 1},
        )

    return Objective(init, loss)
