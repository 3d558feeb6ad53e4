"""Entropy minimisation (Grandvalet and Bengio 2005): decide, also where nobody said what it is."""

import jax
import numpy as np

from mclf_jax import losses
from mclf_jax.augment import Chains
from mclf_jax.models import Model
from mclf_jax.objectives.base import Objective
from mclf_jax.objectives.semi_supervised import rows as semi_supervised

_UNCHANGED = Chains()


def entropy_minimization(
    model: Model,
    *,
    task: str,
    chains: Chains = _UNCHANGED,
    label_smoothing: float = 0.0,
    pos_weight: np.ndarray | float = 1.0,
    weight: float = 0.1,
    ramp_up_steps: int = 0,
) -> Objective:
    """The loss of supervised learning, and the entropy of what is predicted for other songs.

    It moves the boundary between labels to where there are few songs. Nothing keeps it from
    deciding for the same label everywhere, so the weight must be small enough for the labelled
    songs to prevent that.

    Args:
        model: what is trained.
        task: "single_label" or "multi_label".
        chains: augmentations on the device, of labelled and unlabelled songs.
        label_smoothing: of labelled songs, for "single_label".
        pos_weight: [K] or a number, of labelled songs, for "multi_label".
        weight: of the entropy in nats, the mean over the unlabelled songs (and their tags);
            lambda in the paper, where cross-validation chooses it.
        ramp_up_steps: over which it rises to `weight`, see `semi_supervised.ramp_up`; 0: at once.

    Raises:
        ValueError: an argument is not allowed.
    """
    semi_supervised.check(
        "entropy_minimization", task=task, choices={}, weight=weight, ramp_up_steps=ramp_up_steps
    )

    def init(key):
        return semi_supervised.init(model, key)

    def loss(params, state, batch, key):
        augment_key, dropout_key = jax.random.split(key)
        x = semi_supervised.inputs(model, chains, batch, key=augment_key)
        outputs, model_state = model.apply_train(
            params["model"], state["model"], x, key=dropout_key
        )
        label, unlabelled = batch["label"], batch["unlabelled"]
        logits = semi_supervised.apart(outputs["logits"], num_labelled=len(label))
        metrics = semi_supervised.labelled_loss(
            task,
            logits.labelled,
            label,
            label_smoothing=label_smoothing,
            pos_weight=pos_weight,
        )
        entropy = losses.prediction_entropy(logits.unlabelled, task=task)
        metrics["unlabelled_loss"] = semi_supervised.valid_mean(entropy, unlabelled["valid"])
        return semi_supervised.combined(
            metrics,
            weight=weight * semi_supervised.ramp_up(state["step"], ramp_up_steps),
            state={"model": model_state, "step": state["step"] + 1},
        )

    return Objective(init, loss)
