"""From windows to songs: what is said of a song when each of its windows has been heard.

W windows, K labels. "mean" is the default. Where one window decides (a song is vocal if anyone
sings in it anywhere), a mean over mostly instrumental windows fails, and "max", "noisy_or" or a
learnt "attention" do not.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from mclf_jax.common import checks
from mclf_jax.evaluation.windows import Rows, average

AGGREGATIONS = ("mean", "max", "median", "vote", "noisy_or")
"""What a config can ask for."""
LEARNT = "attention"
"""What probes can learn beside: each window has a weight of its own, for each label."""
PRESENT = 0.5
"""The score from which on a window votes for a tag."""
STEEPEST = 20.0
"""Bound of the logarithm of a window's weight, either way."""


def check(how: str, *, task: str, field: str) -> None:
    """Raise a ValueError if scores of a task cannot be put together so."""
    checks.choice(field, how, AGGREGATIONS)
    reasons = {
        ("vote", "regression"): "numbers have no votes",
        ("noisy_or", "regression"): "numbers are no probabilities",
        ("noisy_or", "single_label"): "of the classes of a song exactly one is true",
    }
    if why := reasons.get((how, task)):
        allowed = ", ".join(name for name in AGGREGATIONS if (name, task) not in reasons)
        raise ValueError(f"{field} is {how!r}, but {why}; for task {task} allowed: {allowed}")


def combine(rows: Mapping[str, np.ndarray], how: str, *, task: str) -> np.ndarray:
    """Scores of a song, float64 [K], of those of its windows.

    Args:
        rows: "scores" [W, K]; and "attention" [W, K], or [W, 1] for all labels together, the
            logarithm of each window's weight, if it is learnt.
        how: of `AGGREGATIONS`, or `LEARNT`. "vote" is the share of windows that have the label,
            which of classes is the likeliest one; "noisy_or" is 1 - prod(1 - p), the probability
            that any window has it, if windows were independent.
        task: classes sum to one again after "max" and "median".
    """
    scores = np.asarray(rows["scores"], np.float64)
    if how == "mean":
        return scores.mean(axis=0)
    if how == LEARNT:
        weights = np.exp(np.clip(rows["attention"], -STEEPEST, STEEPEST).astype(np.float64))
        return (weights * scores).sum(axis=0) / weights.sum(axis=0)
    if how == "vote":
        if task == "single_label":
            return np.eye(scores.shape[1])[scores.argmax(axis=1)].mean(axis=0)
        return (scores >= PRESENT).mean(axis=0)
    if how == "noisy_or":
        return 1 - np.prod(1 - scores, axis=0)
    found = scores.max(axis=0) if how == "max" else np.median(scores, axis=0)
    return found / found.sum() if task == "single_label" and found.sum() > 0 else found


def song_scores(
    batches: Iterable[Rows], *, num_songs: int, how: str, task: str
) -> dict[str, np.ndarray]:
    """Scores of songs; arguments and result as of `windows.average`, "means" being the scores.

    All but "mean" hold the scores of all windows.
    """
    if how == "mean":
        return average(batches, "scores", num_songs=num_songs)
    kept = [
        {name: rows[name] for name in ("index", "scores", "attention") if name in rows}
        for rows in batches
    ]
    counts = np.zeros(num_songs, np.int64)
    if not kept:
        return {"means": np.zeros((num_songs, 0)), "counts": counts}
    whole = {name: np.concatenate([rows[name] for rows in kept]) for name in kept[0]}
    order = np.argsort(whole["index"], kind="stable")
    counts = np.bincount(whole["index"], minlength=num_songs)
    means = np.full((num_songs, whole["scores"].shape[1]), np.nan)
    for song, windows in enumerate(np.split(order, np.cumsum(counts)[:-1])):
        if len(windows):
            of_song = {name: values[windows] for name, values in whole.items()}
            means[song] = combine(of_song, how, task=task)
    return {"means": means, "counts": counts}
