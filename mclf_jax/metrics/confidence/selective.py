"""Which songs can be left to a model: its error on those that it is surest of."""

from typing import Any

import numpy as np

from mclf_jax.common import checks
from mclf_jax.metrics.inputs import validate


def risk_coverage(task: str, scores, targets) -> dict[str, np.ndarray]:
    """The share of wrong decisions among the surest ones, for every share of them.

    Of `single_label` a decision is the label of a song, as sure as its score. Of `multi_label` it
    is every score of a song and a label that was observed, yes from 0.5 on, as sure as it is far
    from 0.5; most of these are easy noes, so that shares are high.

    Args:
        task: "single_label" or "multi_label".
        scores: float [N, K], probabilities.
        targets: int [N], or [N, K] of zeros and ones, NaN where not observed.

    Returns:
        "coverage", shares in (0, 1], rising; "risk", the share of those that is wrong; "score",
        how sure they are at least (single labels: their score; tags: that or one minus that).
        Decisions that are equally sure are taken together.

    Raises:
        ValueError: a task without probabilities, what does not fit it, or nothing was observed.
    """
    checks.choice("task", task, ("single_label", "multi_label"))
    scores = np.asarray(scores)
    scores, targets = validate(task, scores, targets, list(map(str, range(scores.shape[-1]))))
    if task == "single_label":
        sure, wrong = scores.max(axis=1), scores.argmax(axis=1) != targets
    else:
        seen = ~np.isnan(targets)
        scores, targets = scores[seen], targets[seen] > 0.5
        sure, wrong = np.maximum(scores, 1 - scores), (scores >= 0.5) != targets
        del scores, targets  # of all pairs of songs and labels these are the largest arrays
    if not len(sure):
        raise ValueError("no label was observed in any song, so there are no decisions")
    order = np.argsort(-sure, kind="stable")
    sure, wrong = sure[order], np.cumsum(wrong[order], dtype=np.int64)
    del order
    last = np.flatnonzero(np.append(sure[1:] < sure[:-1], True))
    count = last + 1
    return {"coverage": count / len(sure), "risk": wrong[last] / count, "score": sure[last]}


def area(curve: dict[str, np.ndarray]) -> float:
    """Area under risk over coverage (AURC of Geifman, Uziel and El-Yaniv 2019): lower is better.

    The mean risk over all coverages, each risk held over the decisions that it takes in.
    """
    return float(np.diff(curve["coverage"], prepend=0.0) @ curve["risk"])


def coverage_at(curve: dict[str, np.ndarray], *, risk: float) -> dict[str, Any]:
    """The largest share that can be decided at an error of at most `risk`.

    Returns:
        "coverage", 0 where there is none; "score", how sure a decision must be (NaN for none).
    """
    checks.within("risk", risk, 0, 1)
    good = np.flatnonzero(curve["risk"] <= risk)
    if not len(good):
        return {"coverage": 0.0, "score": float("nan")}
    return {
        "coverage": float(curve["coverage"][good[-1]]),
        "score": float(curve["score"][good[-1]]),
    }
