"""Scores that say more or less than comes true, put right after training by a few numbers.

N songs, K labels. The numbers are fitted on songs that are neither trained nor tested on, by the
likelihood of their labels, which is convex in them: the same songs give the same numbers.
"""

import dataclasses
from types import ModuleType

import numpy as np

from mclf_jax.common import checks
from mclf_jax.metrics.inputs import validate

KINDS = {"single_label": ("temperature",), "multi_label": ("platt", "temperature")}
"""How scores of each task are put right; the usual one first."""
# Scores of a network may be rounded to 0 and 1.
_LEAST = {"single_label": 1e-12, "multi_label": 1e-7}
_SCALES, _BIASES = (1e-2, 1e2), (-50.0, 50.0)


@dataclasses.dataclass(frozen=True)
class Scaling:
    """sigmoid(scale logit(p) + bias) of tags, softmax(scale log(p)) of single labels.

    A scale is positive, so the order of songs by a label stays. 1 / scale is the temperature.

    Attributes:
        scale: of all labels (one number), or of each (K).
        bias: as many.
    """

    scale: tuple[float, ...]
    bias: tuple[float, ...]

    def __post_init__(self):
        good = (
            len(self.scale) == len(self.bias) > 0 and np.isfinite([*self.scale, *self.bias]).all()
        )
        if not good or min(self.scale) <= 0:
            raise ValueError(
                f"scale must be positive and bias finite, one of each or K, got {self.scale} and "
                f"{self.bias}"
            )

    def apply(self, task: str, scores: np.ndarray) -> np.ndarray:
        """Scores [..., K] put right, in their type."""
        logits = _logits(task, np.asarray(scores, np.float64))
        changed = np.array(self.scale) * logits + np.array(self.bias)
        right = (
            _special().softmax(changed, axis=-1) if task == "single_label" else _sigmoid(changed)
        )
        return right.astype(np.asarray(scores).dtype)


def fit(task: str, scores, targets, *, kind: str) -> Scaling:
    """The numbers under which the labels of some songs are likeliest.

    "temperature" is one number for all (Guo, Pleiss, Sun and Weinberger 2017). "platt" is a scale
    and a bias for each tag, with targets a little within 0 and 1 by their counts, against fitting
    the few songs of a rare tag too well (Platt 1999); a tag that no song has, or every song, stays
    as it is.

    Args:
        task: "single_label" or "multi_label".
        scores: float [N, K], probabilities.
        targets: int [N], or [N, K] of zeros and ones, NaN where not observed.
        kind: of `KINDS` of the task.

    Raises:
        ValueError: no such task or kind, no label was observed, or scores and targets do not fit.
    """
    checks.choice("task", task, tuple(KINDS))
    checks.choice(f"scaling of {task}", kind, KINDS[task])
    scores = np.asarray(scores)
    scores, targets = validate(task, scores, targets, list(map(str, range(scores.shape[-1]))))
    logits = _logits(task, scores)
    if task == "single_label":

        def loss(x):
            log_p = _special().log_softmax(x[0] * logits, axis=1)
            of_true = np.take_along_axis(logits, targets[:, None], axis=1)[:, 0]
            mean = (np.exp(log_p) * logits).sum(1)
            rows = np.arange(len(targets))
            return -log_p[rows, targets].mean(), np.array([(mean - of_true).mean()])

        return Scaling(scale=(float(_least(loss, [_SCALES])[0]),), bias=(0.0,))
    seen = ~np.isnan(targets)
    if not seen.any():
        raise ValueError("no label was observed in any song, so there is nothing to fit on")
    if kind == "temperature":
        scale = _least(_of_tags(logits[seen], targets[seen]), [_SCALES])[0]
        return Scaling(scale=(float(scale),), bias=(0.0,))
    found = [_platt(logits[s, k], targets[s, k]) for k, s in enumerate(seen.T)]
    return Scaling(scale=tuple(x[0] for x in found), bias=tuple(x[1] for x in found))


def _platt(logits: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
    positives = targets.sum()
    negatives = len(targets) - positives
    if not positives or not negatives:
        return 1.0, 0.0
    high, low = (positives + 1) / (positives + 2), 1 / (negatives + 2)
    scale, bias = _least(_of_tags(logits, np.where(targets > 0.5, high, low)), [_SCALES, _BIASES])
    return float(scale), float(bias)


def _of_tags(logits: np.ndarray, targets: np.ndarray):
    """Mean cross-entropy and its gradient, by (scale,) or (scale, bias)."""

    def loss(x):
        changed = x[0] * logits + (x[1] if len(x) > 1 else 0.0)
        wrong = _sigmoid(changed) - targets
        gradient = [(wrong * logits).mean(), wrong.mean()][: len(x)]
        return (np.logaddexp(0, changed) - targets * changed).mean(), np.array(gradient)

    return loss


def _least(loss, bounds) -> np.ndarray:
    start = [1.0, 0.0][: len(bounds)]
    how = {"ftol": 1e-14, "gtol": 1e-10, "maxiter": 500}
    from scipy import optimize  # who only opens a model does not wait for it

    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=how)
    return found.x


def _logits(task: str, scores: np.ndarray) -> np.ndarray:
    least = _LEAST[task]
    if task == "single_label":
        return np.log(np.maximum(scores, least))
    return _special().logit(np.clip(scores, least, 1 - least))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return _special().expit(x)


def _special() -> ModuleType:
    from scipy import special  # which takes long to import, and is of calibrated runs alone

    return special
