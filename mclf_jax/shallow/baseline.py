"""What a network must not be below: MFCC statistics and an SVM, fitted on the same songs."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mclf_jax.data.base import targets as target_lib
from mclf_jax.evaluation.evaluate import fields_of_report, metrics_of
from mclf_jax.evaluation.result import Report, load_report
from mclf_jax.objectives import Objective
from mclf_jax.run.experiment import Experiment
from mclf_jax.shallow.embeddings import Rows, keep_labelled, rows_of
from mclf_jax.shallow.mfcc import make_mfcc

FOLDER = "baseline"
"""Below a run, with a report of each split."""
NAME = "MFCC and SVM"
MOST_SONGS = 1000
"""To fit on, drawn of more: what an SVM costs grows with their square."""
_MOST_S = 60.0


def is_wanted(parts: Experiment, objective: Objective) -> bool:
    """Whether `eval.baseline` asks for one and songs with labels are there to choose it on."""
    splits = parts.source.info.splits
    return (
        parts.config.eval.baseline != "none"
        and objective.traits.predicts_labels
        and objective.evaluate is None
        and all(len(splits.get(name, ())) for name in ("train", "valid"))
    )


def fit_baseline(parts: Experiment, *, run: Path, progress: str = "auto") -> dict[str, Report]:
    """Reports of valid and test by an SVM on MFCC statistics; kept in the run, and read from there.

    Fitted on the songs that the network trains on, at most `MOST_SONGS` of them; the valid split
    chooses its width and strength, as in `probe`. The middle minute of a song is heard.

    Args:
        parts: data and config of the run.
        run: its directory.
        progress: "auto", a bar on terminals; "on" or "off".

    Returns:
        {split: report}, whose `meta` has "setting", "train_songs" and "seconds".

    Raises:
        ValueError: no song of a split could be read, or their statistics are not finite.
    """
    info, found = parts.source.info, {}
    splits = [name for name in ("valid", "test") if len(info.splits.get(name, ()))]
    for name in splits:
        try:
            found[name] = load_report(run / FOLDER, name)
        except (FileNotFoundError, ValueError):
            continue
    if len(found) == len(splits) and _same(found, info.fingerprint):
        return found
    from mclf_jax.shallow.fit import fit  # and scikit-learn, which who only reads can do without

    began_s = time.monotonic()
    songs = {"train": keep_labelled(parts.source, parts.train_indices)}
    songs |= {name: keep_labelled(parts.source, info.splits[name]) for name in splits}
    indices = np.unique(np.concatenate([indices for indices, _ in songs.values()]))
    vectors = make_mfcc(parts, most_s=_MOST_S).encode(indices, progress)
    rows = {name: rows_of(vectors, *of_split) for name, of_split in songs.items()}
    if empty := [name for name, of_split in rows.items() if not len(of_split.songs)]:
        raise ValueError(f"no labelled song of {info.name} in {' and '.join(empty)} could be read")
    rows["train"] = rows["train"].draw_songs(MOST_SONGS, seed=0)
    fitted = fit(
        "svm",
        info.task,
        train=rows["train"],
        valid=rows["valid"],
        test=rows.get("test", rows["valid"]),
        labels=info.labels,
        seed=0,
        max_windows=MOST_SONGS,
    )
    meta = {
        "setting": dict(fitted.setting),
        "train_songs": len(rows["train"].songs),
        "seconds": round(time.monotonic() - began_s, 1),
        "fingerprint": info.fingerprint,
    }
    scores = {"valid": fitted.valid_scores, "test": fitted.scores}
    how = {"meta": meta, "run": run}
    return {name: _report(parts, rows[name], scores[name], split=name, **how) for name in splits}


def _same(found: Mapping[str, Report], fingerprint: str) -> bool:
    return all(report.meta.get("fingerprint") == fingerprint for report in found.values())


def _report(
    parts: Experiment,
    rows: Rows,
    scores: np.ndarray,
    *,
    split: str,
    meta: dict[str, Any],
    run: Path,
) -> Report:
    info = parts.source.info
    scores = target_lib.in_own_unit(scores, info.unit)
    targets = target_lib.in_own_unit(rows.targets, info.unit)
    judged = {"scores": scores, "targets": targets, "found": metrics_of(info, scores, targets)}
    report = Report(
        run_name=NAME,
        dataset=info.name,
        split=split,
        num_windows=len(rows.songs),
        skipped=(),
        **fields_of_report(parts.source, rows.songs, info=info, meta=meta, **judged),
    )
    report.save(run / FOLDER)
    return report
