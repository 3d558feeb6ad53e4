"""The page of a model on data that it never saw, beside the run or the file that it comes from."""

import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mclf_jax import config as config_lib
from mclf_jax.evaluation.result import Report, load_report, saved_splits
from mclf_jax.report.run import hearing
from mclf_jax.report.scores import write_scores_page
from mclf_jax.run.experiment import Experiment


def report_folder(run: str | Path, report: Report) -> Path:
    """Where a report on other data belongs: beside the run or the file, by the name of the data."""
    run = Path(run)
    beside = run / "report" if run.is_dir() else run.with_name(f"{run.stem}-report")
    name = report.meta.get("folder") or report.dataset
    return beside / (name.replace("/", "-").replace(":", "-") or "data")


def write_report(found: Mapping[str, Any], out: str | os.PathLike) -> dict[str, Path]:
    """Write the report and its page, which has other splits of the same model and data, too.

    Args:
        found: of `trial.evaluate.on_other_data`.
        out: the folder.

    Returns:
        The paths of "report" and "page".
    """
    report, out = found["report"], Path(out)
    path = report.save(out)
    others = [one for one in _others(out, report) if _of(one) == _of(report)]
    parts = Experiment(config_lib.base(), found["source"], found["model"])
    how = {"taggram_of": found["taggram_of"], **hearing(parts)}
    page = write_scores_page(out, reports=[report, *others], folder="", **how)
    return {"report": path, "page": page}


def _others(out: Path, report: Report) -> Iterator[Report]:
    """Reports of other splits that are there; those that cannot be read are told of."""
    for split in saved_splits(out):
        if split == report.split:
            continue
        try:
            yield load_report(out, split)
        except ValueError as error:
            warnings.warn(f"{error}; the page is without {split}", stacklevel=3)


def _of(report: Report) -> tuple[Any, ...]:
    """Of which model and data it is."""
    return report.run_name, *(report.meta.get(name) for name in ("step", "trained_on", "folder"))
