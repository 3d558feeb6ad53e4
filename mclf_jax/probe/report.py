"""What the best probe says of each song, as a report and a page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mclf_jax.data.base.source import Info
from mclf_jax.evaluation.evaluate import fields_of_report, metrics_of
from mclf_jax.evaluation.result import Report
from mclf_jax.probe.result import ProbeResult
from mclf_jax.run.experiment import Experiment
from mclf_jax.shallow.embeddings import Embeddings

Fits = Sequence[Mapping[str, Any]]


def report_best(
    fits: Mapping[str, Fits], parts: Experiment, result: ProbeResult, *, embeddings: Embeddings
) -> Path | None:
    """Write OUT/report of the kind with the best valid score: test, valid, and the page of both.

    Over folds the test songs of all are together, each of which is scored by a probe that did not
    learn from it; there is no report of valid then, whose songs are train songs of other folds.

    Args:
        fits: {kind: what became of each fold}: "fitted", "record", "songs" and "cell".
        parts: of the data.
        result: of the probe, which has been saved.
        embeddings: that were probed.

    Returns:
        The path of the page; None if nothing was probed.
    """
    from mclf_jax.report.run import hearing
    from mclf_jax.report.scores import write_scores_page

    if not fits or result.directory is None:
        return None
    valid_scores = {
        kind: float(np.mean([each["fitted"].valid_score for each in made]))
        for kind, made in fits.items()
    }
    best = fits[max(valid_scores, key=valid_scores.__getitem__)]
    reports = []
    for split in ("test",) if result.num_folds else ("test", "valid"):
        found = _report(best, parts, result, split=split, embeddings=embeddings)
        found.save(result.directory / "report")
        reports.append(found)
    return write_scores_page(result.directory, reports=reports, **hearing(parts))


def _report(
    fits: Fits, parts: Experiment, result: ProbeResult, *, split: str, embeddings: Embeddings
) -> Report:
    """Of one kind, the songs of all its folds together."""
    songs, targets = (np.concatenate([each["songs"][split][i] for each in fits]) for i in (0, 1))
    name = {"test": "scores", "valid": "valid_scores"}[split]
    scores = np.concatenate([getattr(each["fitted"], name) for each in fits])
    order = np.argsort(songs)
    songs, targets, scores = songs[order], targets[order], scores[order]
    info: Info = fits[0]["cell"].source.info
    record, found = fits[0]["record"], metrics_of(info, scores, targets)
    wanted = np.concatenate([each["cell"].split(split)[0] for each in fits])
    unreadable = np.setdiff1d(wanted, embeddings.songs)
    meta = {
        "encoder": result.run,
        "method": result.method,
        "step": result.step,
        "layer": result.layer or "embedding",
        "probe": record.kind,
        "setting": dict(record.setting) if len(fits) == 1 else {},
        "fraction_of_labels": record.fraction,
        "songs_per_label": record.songs_per_label,
        "folds": result.num_folds,
        "seed": record.seed,
        "train_songs": record.num_train,
    }
    return Report(
        run_name=f"{result.run}, probe {record.kind}",
        dataset=result.data,
        split=split,
        num_windows=int(np.isin(embeddings.songs, songs).sum()),
        skipped=(
            *info.skipped,
            *((parts.source.item_id(int(i)), "could not be read") for i in unreadable),
        ),
        **fields_of_report(
            parts.source, songs, info=info, scores=scores, targets=targets, found=found, meta=meta
        ),
    )
