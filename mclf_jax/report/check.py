"""The page of `mclf data check`: findings, and the figures that people would rather look at."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mclf_jax.data.check.finding import Finding
from mclf_jax.data.check.measure import Measured
from mclf_jax.data.check.result import CheckResult
from mclf_jax.figures import dataset as figures
from mclf_jax.report import page


def write_check_page(result: CheckResult, path: str | os.PathLike) -> Path:
    """Write one HTML file that needs nothing else, and return its path.

    Args:
        result: of `data.check.check`.
        path: of the file, which is replaced; its folder is made.
    """
    topics: dict[str, list[Finding]] = {}
    for found in result.findings:
        topics.setdefault(found.topic, []).append(found)
    heard = [found for found in result.audio or () if isinstance(found, Measured)]
    return page.write(
        path,
        "check",
        result=result,
        topics=topics,
        heard=heard,
        audio=_audio(heard) if heard else None,
        matches=_matches(result),
        labels=_labels(result),
        together=_together(result),
        facts={
            "version": result.version,
            "fingerprint": result.fingerprint,
            "licence": result.licence,
            "task": result.task.replace("_", "-"),
        },
    )


def _audio(heard: list[Measured]) -> Figure:
    panels = {
        "duration": ("seconds", np.array([found.duration_s for found in heard])),
        "level": ("dB of full scale", np.array([found.level_db for found in heard])),
        "band": ("reaches up to kHz", np.array([found.band_hz / 1000 for found in heard])),
        "silence": ("% of the item", np.array([100 * found.silent_share for found in heard])),
    }
    return figures.histograms(panels)


def _matches(result: CheckResult) -> list[list[str]]:
    return [
        [
            result.item_ids[match.first],
            result.item_ids[match.second],
            match.kind,
            f"{match.shared_s:.1f}",
            f"{match.offset_s:+.1f}",
            f"{match.similarity:.2f}",
        ]
        for match in (result.duplicates.matches if result.duplicates else ())
    ]


def _labels(result: CheckResult) -> dict[str, Any] | None:
    counts = result.counts
    if counts is None:
        return None
    head = ["label"]
    for split in counts.splits:
        head += [f"{split}: positives", "known"]
    # [K, S, 2] -> [K, 2 S]
    numbers = np.stack([counts.positives.T, counts.observed.T], axis=-1)
    rows = [
        [label, *of_label.ravel()] for label, of_label in zip(counts.labels, numbers, strict=True)
    ]
    bars = figures.label_bars(counts.share(), labels=counts.labels, splits=counts.splits)
    return {"bars": bars, "head": head, "rows": rows}


def _together(result: CheckResult) -> Figure | None:
    if result.task != "multi_label":
        return None
    together = result.counts.together
    if together.nnz == np.count_nonzero(together.diagonal()):
        return None
    return figures.co_occurrence(together, labels=result.counts.labels)
