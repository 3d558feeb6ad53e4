"""How far a run has come: what a checkpoint holds beside the state, and what evaluations change."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from mclf_jax import metrics
from mclf_jax.common import checks
from mclf_jax.common.text import documents
from mclf_jax.evaluation.evaluate import LAST


class TrainingError(ArithmeticError):
    """Training cannot go on; the message says where and what to change."""


STATUSES = ("running", "finished", "stopped_early")


@dataclasses.dataclass(frozen=True)
class Progress:
    """Saved as JSON under these names; what a checkpoint of an earlier version lacks is as here.

    Attributes:
        status: one of `STATUSES`.
        best_step, best_value: of the best checkpoint; None before the first evaluation, and no
            value where there is nothing to compare by.
        since_best: evaluations since then.
        trained_s, waited_s, compiled_s, evaluated_s, saved_s: see `spending.clock.Clock`.
        songs: that steps were taken on, each counted as often as it came.
    """

    status: str = "running"
    best_step: int | None = None
    best_value: float | None = None
    since_best: int = 0
    trained_s: float = 0.0
    waited_s: float = 0.0
    songs: int = 0
    compiled_s: float = 0.0
    evaluated_s: float = 0.0
    saved_s: float = 0.0


_LIKE = {
    "status": str,
    "best_step": (int, None),
    "best_value": (float, None),
    "since_best": int,
    **dict.fromkeys(("trained_s", "waited_s", "compiled_s", "evaluated_s", "saved_s"), float),
    "songs": int,
}


def from_json(content: Mapping[str, Any], *, name: str) -> Progress:
    """The progress that was saved in a file of this name.

    Raises:
        ValueError: it holds something else; names the field.
    """
    checks.only_known(name, content, _LIKE, of="the progress of a run")
    documents.check(content, {field: _LIKE[field] for field in content}, name=name)
    checks.choice(f"{name}: status", content.get("status", "running"), STATUSES)
    return Progress(**content)


def judge(
    progress: Progress,
    values: Mapping[str, float],
    *,
    step: int,
    metric: str,
    patience: int,
    direction: str | None = None,
) -> Progress:
    """Progress after an evaluation at `step`, which is the `best_step` then if it is the best.

    Args:
        progress: before.
        values: metrics of the valid split; empty where there is none.
        step: steps taken.
        metric: `eval.metric`, by which to compare; without one the newest is the best.
        patience: `eval.patience`: evaluations without a better one before the run stops; 0: never.
        direction: "max" or "min"; that of `metrics.direction` when not given.

    Raises:
        TrainingError: the metric is not finite.
    """
    if not values or metric == LAST:
        return dataclasses.replace(progress, best_step=step)
    value, best = values[metric], progress.best_value
    if not math.isfinite(value):
        raise TrainingError(
            f"{metric} of the valid split is {value} at step {step}, so no checkpoint can "
            "be the best; choose another eval.metric, or give the split songs of every label"
        )
    sign = _sign(metric, direction)
    if best is None or sign * value > sign * best:
        return dataclasses.replace(progress, best_step=step, best_value=value, since_best=0)
    since_best = progress.since_best + 1
    status = "stopped_early" if patience and since_best >= patience else progress.status
    return dataclasses.replace(progress, since_best=since_best, status=status)


def score_of(value: float | None, *, metric: str, direction: str | None = None) -> float | None:
    """The more, the better: a value of `eval.metric`; None where nothing is compared."""
    if value is None or metric == LAST:
        return None
    return _sign(metric, direction) * value


def _sign(metric: str, direction: str | None) -> int:
    return 1 if (direction or metrics.direction(metric)) == "max" else -1
