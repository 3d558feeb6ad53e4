"""Training signal annealing (Xie et al. 2020, section 2.4), against overfitting to few labels."""

import jax
import jax.numpy as jnp
import numpy as np

from mclf_jax.objectives.semi_supervised import rows as semi_supervised
from mclf_jax.objectives.supervised import task_scores

SCHEDULES = ("none", "linear", "log", "exp")


def labelled_loss(
    task: str,
    logits: jax.Array,
    label: jax.Array,
    *,
    valid: jax.Array,
    schedule: str,
    progress: jax.Array | float,
    label_smoothing: float,
    pos_weight: np.ndarray | float,
) -> dict[str, jax.Array]:
    """`semi_supervised.labelled_loss` without what is predicted right too surely for the time.

    The loss is the mean over the songs that are left, or, of each song, over its tags that are.

    Args:
        task: "single_label" or "multi_label".
        logits: [B, K].
        label: int [B], or float [B, K], NaN where not observed.
        valid: [B].
        schedule: how the largest probability that still counts rises from chance to 1: "linear",
            "log", early, "exp", late, or "none", which leaves nothing out.
        progress: of the run, from 0 to 1.
        label_smoothing, pos_weight: see there.

    Returns:
        Its metrics and "labelled_kept", the share of what is left, [B].
    """
    settings = {"label_smoothing": label_smoothing, "pos_weight": pos_weight}
    if schedule == "none":
        return semi_supervised.labelled_loss(task, logits, label, **settings)
    rise = {
        "linear": lambda: progress,
        "log": lambda: 1 - jnp.exp(-5 * progress),
        "exp": lambda: jnp.exp(5 * (progress - 1)),
    }[schedule]()
    right = jax.lax.stop_gradient(task_scores(task, logits))
    if task == "multi_label":
        left = jnp.where(label > 0.5, right, 1 - right) <= (1 + rise) / 2
        label = jnp.where(left, label, jnp.nan)
        metrics = semi_supervised.labelled_loss(task, logits, label, **settings)
        return metrics | {"labelled_kept": left.mean(axis=-1)}
    chance = 1 / logits.shape[-1]
    right = jnp.take_along_axis(right, label[:, None], axis=-1)[:, 0]
    left = (right <= chance + rise * (1 - chance)).astype(logits.dtype)
    metrics = semi_supervised.labelled_loss(task, logits, label, **settings)
    # The step divides by the number of valid songs.
    share = semi_supervised.valid_mean(left, valid)
    metrics["labelled_loss"] *= left / jnp.where(share > 0, share, 1)
    return metrics | {"labelled_kept": left}
