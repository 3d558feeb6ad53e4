"""Training signal annealing (Xie et al. 2020, section 2.4), against overfitting to few labels."""

import jax
import jax.numpy as jnp

from mclf_jax.objectives.context import Context
from mclf_jax.objectives.semi_supervised import frame
from mclf_jax.objectives.supervised import task_scores

SCHEDULES = ("none", "linear", "log", "exp")


def labelled_loss(
    context: Context,
    logits: jax.Array,
    label: jax.Array,
    *,
    valid: jax.Array,
    schedule: str,
    progress: jax.Array | float,
) -> dict[str, jax.Array]:
    """`frame.labelled_loss` without what is predicted right too surely for the time.

    The loss is the mean over the songs that are left, or, of each song, over its tags that are.

    Args:
        context: whose task is "single_label" or "multi_label".
        logits: [B, K].
        label: int [B], or float [B, K], NaN where not observed.
        valid: [B].
        schedule: how the largest probability that still counts rises from chance to 1: "linear",
            "log", early, "exp", late, or "none", which leaves nothing out.
        progress: of the run, from 0 to 1.

    Returns:
        Its metrics and "labelled_kept", the share of what is left, [B].
    """
    if schedule == "none":
        return frame.labelled_loss(context, logits, label)
    rise = {
        "linear": lambda: progress,
        "log": lambda: 1 - jnp.exp(-5 * progress),
        "exp": lambda: jnp.exp(5 * (progress - 1)),
    }[schedule]()
    right = jax.lax.stop_gradient(task_scores(context.task, logits))
    if context.task == "multi_label":
        left = jnp.where(label > 0.5, right, 1 - right) <= (1 + rise) / 2
        label = jnp.where(left, label, jnp.nan)
        metrics = frame.labelled_loss(context, logits, label)
        return metrics | {"labelled_kept": left.mean(axis=-1)}
    chance = 1 / logits.shape[-1]
    right = jnp.take_along_axis(right, label[:, None], axis=-1)[:, 0]
    left = (right <= chance + rise * (1 - chance)).astype(logits.dtype)
    metrics = frame.labelled_loss(context, logits, label)
    # The step divides by the number of valid songs.
    share = frame.valid_mean(left, valid)
    metrics["labelled_loss"] *= left / jnp.where(share > 0, share, 1)
    return metrics | {"labelled_kept": left}
