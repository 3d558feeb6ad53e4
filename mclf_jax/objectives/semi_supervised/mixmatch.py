"""MixMatch (Berthelot et al. 2019): guess labels, sharpen them, mix everything with everything."""

import jax
import jax.numpy as jnp

from mclf_jax import losses
from mclf_jax.common import checks
from mclf_jax.losses.targets import confidence, sharpen
from mclf_jax.objectives import network
from mclf_jax.objectives.base import Objective
from mclf_jax.objectives.context import Context
from mclf_jax.objectives.semi_supervised import frame
from mclf_jax.objectives.supervised import task_loss, task_scores

# Of the million that the paper trains for.
_PUBLISHED_RAMP_UP_STEPS = 16_000


def mixmatch(
    context: Context,
    *,
    num_augmentations: int = 2,
    temperature: float = 0.5,
    alpha: float = 0.75,
    weight: float = 100.0,
    ramp_up_steps: int | None = None,
) -> Objective:
    """Cross-entropy of labelled and squared error of unlabelled songs, all of them mixed.

    Algorithm 1 of the paper. The label of an unlabelled song is guessed: the mean prediction of
    `num_augmentations` augmentations, sharpened. Then each of those, and each labelled song once
    augmented, is mixed with a row drawn from all of them, inputs of the network and labels alike,
    keeping half of itself or more. Tags are guessed and sharpened each by itself.

    All mixed rows go through one training-mode forward pass, with batch statistics of all of them.
    The published code has a pass for each group, and swaps rows between the groups beforehand so
    that labelled and unlabelled ones are normalised alike; in one pass they are. Guesses are of
    training mode too, as published, but leave the running statistics as they are.

    A tag that nobody looked for in one of two mixed songs is not observed in the mixture, be it of
    a labelled or of an unlabelled one. Rows that are only padding are mixed into no other.

    Args:
        context: for the tasks "single_label" and "multi_label"; `chains` have draws of their own
            for each augmentation.
        num_augmentations: of each unlabelled song, K in the paper.
        temperature: of sharpening, in (0, 1].
        alpha: shares are drawn from Beta(alpha, alpha), for each pair; 0 mixes nothing.
        weight: of the unlabelled loss at last. 100 is where the paper starts from, with 75 for
            CIFAR-10 and 250 for SVHN; for short runs, which act on their first guesses, less.
        ramp_up_steps: in which the weight grows linearly from 0; when not given, 16,000 as
            published, or the whole run if that is shorter.

    Raises:
        ValueError: an argument is not allowed.
    """
    model, task = context.model, context.task
    if ramp_up_steps is None:
        ramp_up_steps = min(_PUBLISHED_RAMP_UP_STEPS, context.total_steps)
    frame.check("mixmatch", context, weight=weight, ramp_up_steps=ramp_up_steps)
    checks.whole("objective.args.num_augmentations", num_augmentations, lowest=1)
    checks.within("objective.args.temperature", temperature, 0, 1, ends="(]")
    checks.at_least("objective.args.alpha", alpha, 0)

    def init(key):
        return frame.init(model, key)

    def loss(params, state, batch, key):
        augment_key, guess_key, mix_key, dropout_key = jax.random.split(key, 4)
        label, num_labelled = batch["label"], len(batch["valid"])
        name = "features" if "features" in batch else "audio"
        # Each song as often as it is augmented, so that the copies follow each other.
        unlabelled = {
            field: jnp.repeat(batch["unlabelled"][field], num_augmentations, axis=0)
            for field in (name, "valid")
        }
        given = {name: batch[name], "unlabelled": unlabelled}
        x = frame.inputs(model, context.chains, given, key=augment_key)

        augmented = frame.apart(x, num_labelled=num_labelled).unlabelled
        outputs, _ = network.apply(model, params, state, augmented, mode="train", key=guess_key)
        predicted = task_scores(task, outputs["logits"])
        averaged = predicted.reshape(-1, num_augmentations, predicted.shape[-1]).mean(axis=1)
        guess = sharpen(averaged, temperature=temperature, task=task)
        # A target is not trained: only the predictions of the mixed rows are.
        guess = jax.lax.stop_gradient(jnp.repeat(guess, num_augmentations, axis=0))

        if task == "single_label":
            label = jax.nn.one_hot(label, guess.shape[-1], dtype=guess.dtype)
        target, valid = (
            frame.together(label, guess),
            frame.together(batch["valid"], unlabelled["valid"]),
        )
        x, target = _mixed(mix_key, x, target, valid, alpha=alpha)

        outputs, model_state = network.apply(model, params, state, x, mode="train", key=dropout_key)
        logits = frame.apart(outputs["logits"], num_labelled=num_labelled)
        target = frame.apart(target, num_labelled=num_labelled)
        settings = {"label_smoothing": context.label_smoothing, "pos_weight": context.pos_weight}
        metrics = {"labelled_loss": task_loss(task, logits.labelled, target.labelled, **settings)}
        if task == "single_label":
            # As of mixtures in supervised learning: what the predicted label has of the target.
            answer = logits.labelled.argmax(axis=-1, keepdims=True)
            metrics["accuracy"] = jnp.take_along_axis(target.labelled, answer, axis=-1)[:, 0]
        # Of probabilities, over what is observed in the mixture.
        distance = losses.squared_error(task_scores(task, logits.unlabelled), target.unlabelled)
        metrics["unlabelled_loss"] = frame.valid_mean(distance, unlabelled["valid"])
        sure = confidence(averaged, task=task).reshape(len(averaged), -1).mean(axis=-1)
        metrics["guess_confidence"] = frame.valid_mean(sure, batch["unlabelled"]["valid"])
        ramp = jnp.minimum(state["step"] / ramp_up_steps, 1.0) if ramp_up_steps else 1.0
        return frame.combined(
            metrics,
            weight=weight * ramp,
            state={"model": model_state, "step": state["step"] + 1},
        )

    return Objective(init, loss)


def _mixed(
    key: jax.Array, x: jax.Array, target: jax.Array, valid: jax.Array, *, alpha: float
) -> tuple[jax.Array, jax.Array]:
    """Each row with another one: of itself it keeps max(share, 1 - share), so it stays what it is.

    Args:
        key: of partners and shares.
        x: [N, ...].
        target: [N, K], NaN where not observed.
        valid: [N]; rows of 0 are no other's partner.
        alpha: of Beta(alpha, alpha), or 0.
    """
    if not alpha:
        return x, target
    partner_key, share_key = jax.random.split(key)
    partner = jax.random.permutation(partner_key, len(x))
    partner = jnp.where(valid[partner] > 0, partner, jnp.arange(len(x)))
    share = jax.random.beta(share_key, alpha, alpha, (len(x),))
    share = jnp.maximum(share, 1 - share)
    column = share.reshape(-1, *[1] * (x.ndim - 1)).astype(x.dtype)
    mixed = column * x + (1 - column) * x[partner]
    # 0 * NaN is NaN: who has no part in the mixture must not hide its labels either.
    share = share[:, None].astype(target.dtype)
    other = jnp.where(share < 1, target[partner], 0)
    return mixed, share * target + (1 - share) * other
