"""What is fitted on the valid split after training: how far scores are believed, and from where on.

`report/calibration.json` of a run holds it. It says of which checkpoint it is, and tells nothing of
any test song: those cannot touch it.
"""

import dataclasses
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from mclf_jax.common import checks, files
from mclf_jax.common.storage.working import on_storage
from mclf_jax.common.text import documents
from mclf_jax.evaluation.evaluate import evaluate_once
from mclf_jax.evaluation.result import Report
from mclf_jax.metrics.calibration import expected_error, reliability
from mclf_jax.metrics.confidence.scaling import KINDS, Scaling, fit
from mclf_jax.metrics.confidence.selective import area, risk_coverage
from mclf_jax.metrics.thresholds import choose_thresholds, parse_target
from mclf_jax.run.directory import read_config, read_meta

FILE = "calibration.json"
NONE = "none"
_LIKE = {
    "step": int,
    "labels": [str],
    "num_songs": int,
    "scaling": str,
    "scale": [float],
    "bias": [float],
    "target": str,
    "thresholds": {str: float},
    "unreached": [str],
}


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What `calibrate` found; songs are those of the valid split.

    Attributes:
        step: of the checkpoint whose scores these are.
        labels: K names.
        num_songs: that it was fitted on.
        scaling: "temperature", "platt" or "none".
        scale, bias: of `metrics.confidence.scaling.Scaling`; () for none.
        target: what thresholds were chosen for, or "none".
        thresholds: {label: score from which on a song is said to have it}, of scores put right.
        unreached: labels that reach the target at no threshold.
    """

    step: int
    labels: tuple[str, ...]
    num_songs: int
    scaling: str
    scale: tuple[float, ...]
    bias: tuple[float, ...]
    target: str
    thresholds: dict[str, float]
    unreached: tuple[str, ...]

    @property
    def fitted(self) -> Scaling | None:
        """What puts scores right; None where they stay as they are."""
        return Scaling(self.scale, self.bias) if self.scale else None

    def apply(self, task: str, scores: np.ndarray) -> np.ndarray:
        """Scores [..., K] put right."""
        return scores if self.fitted is None else self.fitted.apply(task, scores)


@on_storage("run")
def calibrate(
    run: str | Path,
    *,
    scaling: str = "",
    thresholds: str = "",
    config: ConfigDict | None = None,
) -> Calibration:
    """Fit on the valid split what puts the scores of a run right, choose thresholds, and keep both.

    From then on `load`, `mclf predict` and every export use them; to go back, delete
    RUN/report/calibration.json. Reports go on scoring what the network itself says, at 0.5. The
    valid split is evaluated if that has not been done for the best checkpoint.

    Args:
        run: a run directory.
        scaling: "temperature", one number; "platt", a scale and a bias for each tag; "none". When
            not given, "temperature" for single labels and "platt" for tags.
        thresholds: of tags, "f1" (when not given), "f_beta:0.5", "precision:0.9", "recall:0.9" and
            the like, see `metrics.thresholds`; or "none".
        config: that of the run with other fields of `data` and `eval`, as in `evaluate`.

    Raises:
        FileNotFoundError: not a run directory, or nothing was trained in it yet.
        ValueError: there is no valid split, the run predicts numbers, or there is no such choice.
    """
    run = Path(run)
    if thresholds not in ("", NONE):
        parse_target(thresholds)
    if read_meta(run).get("tree"):
        # One number for all labels keeps their order, and so the tree; one for each does not.
        if scaling == "platt":
            raise ValueError(
                "scaling is 'platt', which may put a label above its parent, and this run scores "
                "along a tree (objective.args.hierarchy): take temperature or none"
            )
        scaling = scaling or "temperature"
    used = read_config(run).eval.aggregation
    if config is not None and config.eval.aggregation != used:
        raise ValueError(
            f"eval.aggregation is {config.eval.aggregation!r}, but the scores of {run} are used by "
            f"{used!r}: what is fitted to the one is wrong for the other"
        )
    report = evaluate_once(run, split="valid", config=config)
    found = calibration_of(report, scaling=scaling, thresholds=thresholds)
    files.write_json(run / "report" / FILE, dataclasses.asdict(found))
    return found


def calibration_of(report: Report, *, scaling: str = "", thresholds: str = "") -> Calibration:
    """The same of the report of a valid split; nothing is written."""
    task = report.task
    checks.choice("task", task, tuple(KINDS))
    kinds = KINDS[task]
    kind = scaling or kinds[0]
    checks.choice(f"scaling of {task}", kind, (*kinds, NONE))
    if task == "single_label" and thresholds not in ("", NONE):
        raise ValueError(
            f"thresholds is {thresholds!r}, but a song has one label here, that of the highest "
            "score; thresholds are for tags"
        )
    target = thresholds or ("f1" if task == "multi_label" else NONE)
    how = None if kind == NONE else fit(task, report.scores, report.targets, kind=kind)
    chosen, unreached = {}, ()
    if target != NONE:
        scores = report.scores if how is None else how.apply(task, report.scores)
        found = choose_thresholds(scores, report.targets, target=target)
        pairs = zip(report.labels, found.thresholds.tolist(), found.reached, strict=True)
        unreached = tuple(name for name, _, reached in pairs if not reached)
        named = zip(report.labels, found.thresholds.tolist(), strict=True)
        chosen = {name: each for name, each in named if each == each}
    return Calibration(
        step=int(report.meta.get("step") or 0),
        labels=report.labels,
        num_songs=len(report.items),
        scaling=kind,
        scale=() if how is None else how.scale,
        bias=() if how is None else how.bias,
        target=target,
        thresholds=chosen,
        unreached=unreached,
    )


def read_calibration(run: str | Path, *, step: int, labels: tuple[str, ...]) -> Calibration | None:
    """What `calibrate` kept in a run; None where it was not asked for.

    Raises:
        ValueError: the file is damaged.

    Warns:
        UserWarning: it is of another checkpoint, and so not used.
    """
    path = Path(run) / "report" / FILE
    if not path.is_file():
        return None
    try:
        known = documents.read(path, _LIKE)
    except ValueError as error:
        raise ValueError(f"{error}; `mclf calibrate` the run again, or delete the file") from error
    fields = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in known.items()
        if name in _LIKE
    }
    found = Calibration(**fields)
    if (found.step, found.labels) != (step, labels):
        warnings.warn(
            f"{path} is of step {found.step}, and the best checkpoint is of step {step}: scores "
            "are those of the network itself; `mclf calibrate` the run again",
            stacklevel=2,
        )
        return None
    sizes = {len(found.scale), len(found.bias)}
    if len(sizes) > 1 or not sizes <= {0, 1, len(labels)}:
        raise ValueError(f"{path}: scale and bias are not those of its labels; calibrate again")
    return found


def effect(report: Report, calibration: Calibration) -> dict[str, dict[str, Any]]:
    """How far scores of a split can be believed, "before" and "after" they are put right.

    Returns:
        For each "calibration_error", "log_loss", "aurc" (`metrics.confidence.selective: area`), the
        "bins" of `reliability`, and the "curve" of risk over coverage.
    """
    after = calibration.apply(report.task, report.scores)
    found = {}
    for name, scores in (("before", report.scores), ("after", after)):
        if found and calibration.fitted is None:  # of millions of decisions it takes seconds
            found["after"] = found["before"]
            break
        bins = reliability(report.task, scores, report.targets)
        curve = risk_coverage(report.task, scores, report.targets)
        found[name] = {
            "calibration_error": expected_error(bins),
            "log_loss": _log_loss(report.task, scores, report.targets),
            "aurc": area(curve),
            "bins": bins,
            "curve": curve,
        }
    return found


def _log_loss(task: str, scores: np.ndarray, targets: np.ndarray) -> float:
    p = np.clip(np.asarray(scores, np.float64), 1e-12, 1 - 1e-12)
    if task == "single_label":
        return float(-np.log(p[np.arange(len(p)), targets]).mean())
    seen = ~np.isnan(targets)
    true = np.where(targets > 0.5, p, 1 - p)[seen]
    return float(-np.log(true).mean()) if len(true) else float("nan")
