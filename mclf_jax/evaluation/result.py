"""What an evaluation found, in memory and on disk: every score, every metric, every exclusion.

N songs, K labels. Three files hold a report, so that each can be read by what reads it best:
`<split>.json` (metrics, for people and programs), `<split>_scores.npz` (arrays, no pickles) and
`<split>_per_label.csv` (a spreadsheet). The JSON file is written last: where it is, all are.
"""

import dataclasses
import math
import os
import re
from pathlib import Path

import numpy as np

from mclf_jax.common import checks, files
from mclf_jax.common.text import documents, tables
from mclf_jax.data.base.source import TASKS

_ARRAYS = ("scores", "targets", "items")
_NUMBERS = {str: (float, None)}
_LIKE = {
    "run_name": str,
    "dataset": str,
    "split": str,
    "task": str,
    "labels": [str],
    "metrics": _NUMBERS,
    "per_label": {str: _NUMBERS},
    "undefined": [str],
    "intervals": {str: _NUMBERS},
    "num_windows": int,
    "skipped": [[str, str]],
    "meta": dict,
}


@dataclasses.dataclass(frozen=True, eq=False)
class Report:
    """The result of scoring one split of a data set with one run.

    Attributes:
        run_name: of the run directory.
        dataset: name of the data set.
        split: such as "test".
        task: "single_label", "multi_label" or "regression".
        labels: the K names in the order of the columns.
        items: the N song ids, paths or track ids.
        scores: float [N, K], probabilities or predicted values.
        targets: int [N] for `single_label`, else [N, K], NaN where not observed.
        metrics: name to value, NaN where undefined.
        per_label: label to name to value, NaN where undefined.
        undefined: labels left out of a macro mean.
        intervals: metric name to {"low", "high"}, 95 %.
        num_windows: windows scored in all songs together.
        skipped: (item, reason) of the songs that could not be scored.
        meta: JSON values only, shown in the report as they are; `step` is the optimiser step of
            the scored checkpoint and is marked on the learning curves.
        parents: {label: parent} of labels in a hierarchy.
        groups: of each song, such as its artist; () in reports of earlier versions.
        group_kind: what the groups are: "artist", "album", ...
        columns: {name: of each song} of what else is known of the songs, "" where it is not; see
            `data.base.columns`. {} in reports of earlier versions.
    """

    run_name: str
    dataset: str
    split: str
    task: str
    labels: tuple[str, ...]
    items: tuple[str, ...]
    scores: np.ndarray
    targets: np.ndarray
    metrics: dict[str, float]
    per_label: dict[str, dict[str, float]]
    undefined: tuple[str, ...]
    intervals: dict[str, dict[str, float]]
    num_windows: int
    skipped: tuple[tuple[str, str], ...]
    meta: dict
    parents: dict[str, str] = dataclasses.field(default_factory=dict)
    groups: tuple[str, ...] = ()
    group_kind: str = "group"
    columns: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    @property
    def observed(self) -> np.ndarray:
        """Bool [N, K]: which targets somebody looked for; all of them for `single_label`."""
        if self.task == "single_label":
            return np.ones(self.scores.shape, bool)
        return ~np.isnan(self.targets)

    @property
    def confusion(self) -> np.ndarray | None:
        """Int [K, K], rows true and columns predicted; None for other tasks."""
        if self.task != "single_label":
            return None
        counts = np.zeros((len(self.labels), len(self.labels)), np.int64)
        np.add.at(counts, (self.targets, self.scores.argmax(axis=1)), 1)
        return counts

    def save(self, directory: str | os.PathLike) -> Path:
        """Write the four files under `directory` and return the path of the JSON file.

        Raises:
            ValueError: the split's name cannot be a file name.
        """
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        path = _json_path(directory, self.split)
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        arrays = {name: fields.pop(name) for name in _ARRAYS}
        arrays["items"] = np.array(self.items, dtype=np.str_)
        fields["columns"] = list(self.columns)
        for number, values in enumerate(self.columns.values()):
            arrays[f"column{number}"] = np.array(values, dtype=np.str_)
        # All are complete before the first takes its place, as the disk may be full.
        with (
            files.replacing(path) as json_path,
            files.replacing(directory / f"{self.split}_scores.npz") as scores_path,
            files.replacing(directory / f"{self.split}_per_label.csv") as csv_path,
            files.replacing(directory / f"{self.split}_predictions.csv") as predictions_path,
        ):
            np.savez_compressed(scores_path, **arrays)
            self._write_csv(csv_path)
            self._write_predictions(predictions_path)
            files.write_json(json_path, fields)
        return path

    def _write_csv(self, path: Path) -> None:
        columns = list(next(iter(self.per_label.values()), {}))
        # "backslashreplace": a label taken from a folder name need not be valid Unicode.
        with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            rows = [["label", *columns]]
            for label, values in self.per_label.items():
                cells = ["" if math.isnan(values[c]) else f"{values[c]:.6g}" for c in columns]
                rows.append([label, *cells])
            tables.write_rows(file, rows, line_end="\r\n")

    def _write_predictions(self, path: Path) -> None:
        """Song, split, what is true, what is predicted, and all scores; of regression no words."""
        words = self.task != "regression"
        truth = ["truth", "predicted"] if words else [f"true {label}" for label in self.labels]
        with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            tables.write_rows(file, [["song", "split", *truth, *self.labels]], line_end="\r\n")
            for item, scores, target in zip(self.items, self.scores, self.targets, strict=True):
                if self.task == "single_label":
                    known = [self.labels[int(target)], self.labels[int(scores.argmax())]]
                elif words:
                    known = [
                        "|".join(np.array(self.labels)[each > 0.5]) for each in (target, scores)
                    ]
                else:
                    known = ["" if math.isnan(value) else f"{value:.6g}" for value in target]
                cells = [item, self.split, *known, *(f"{score:.6g}" for score in scores)]
                tables.write_rows(file, [cells], line_end="\r\n")


def load_report(directory: str | os.PathLike, split: str) -> Report:
    """Read back what `Report.save` wrote, to the last bit.

    Raises:
        FileNotFoundError: the split has no report there; names those that have.
        ValueError: one of its files is damaged, or not of the others.
    """
    directory = Path(directory)
    path = _json_path(directory, split)
    if not path.exists():
        there = ", ".join(saved_splits(directory)) or "none"
        raise FileNotFoundError(
            f"no report of split {split!r} in {directory} (there: {there}); evaluate it first"
        )
    fields = documents.read(path, _LIKE)
    known = {field.name for field in dataclasses.fields(Report)} - set(_ARRAYS)
    checks.only_known(str(path), fields, known, of="a report")
    checks.choice(f"{path}: task", fields["task"], TASKS)
    per_label = dict.fromkeys(fields["labels"], _NUMBERS)
    documents.check(fields["per_label"], per_label, name=str(path), field="per_label")
    scores_path = directory / f"{split}_scores.npz"
    columns = fields.setdefault("columns", [])
    documents.check(columns, [str], name=str(path), field="columns")
    places = [f"column{number}" for number in range(len(columns))]
    arrays = files.load_arrays(scores_path, (*_ARRAYS, *places))
    shape, num_items = (len(arrays["items"]), len(fields["labels"])), arrays["targets"].shape[:1]
    lengths = {len(arrays[place]) for place in places} - {shape[0]}
    if arrays["scores"].shape != shape or num_items != shape[:1] or lengths:
        raise ValueError(
            f"{scores_path} has scores {arrays['scores'].shape} and targets "
            f"{arrays['targets'].shape}; {path} is of {shape[0]} items and {shape[1]} labels: "
            "evaluate the split again"
        )
    fields |= {"scores": arrays["scores"], "targets": arrays["targets"]}
    fields["items"] = tuple(arrays["items"].tolist())
    named = zip(columns, places, strict=True)
    fields["columns"] = {name: tuple(arrays[place].tolist()) for name, place in named}
    groups = fields.setdefault("groups", [])
    documents.check(groups, [str], name=str(path), field="groups")
    if groups and len(groups) != len(fields["items"]):
        raise ValueError(
            f"{path} has groups of {len(groups)} of {len(fields['items'])} songs: evaluate the "
            "split again"
        )
    for name in ("labels", "undefined", "groups"):
        fields[name] = tuple(fields[name])
    fields["skipped"] = tuple((item, reason) for item, reason in fields["skipped"])
    for name in ("metrics", "per_label", "intervals"):
        fields[name] = files.with_nan(fields[name])
    # JSON has labels in their order as a list, and names below them sorted.
    fields["per_label"] = {label: fields["per_label"][label] for label in fields["labels"]}
    return Report(**fields)


def saved_splits(directory: str | os.PathLike) -> list[str]:
    """The splits that have a report in `directory`, sorted."""
    arrays = sorted(Path(directory).glob("*_scores.npz"))
    splits = [path.name.removesuffix("_scores.npz") for path in arrays]
    return [split for split in splits if _json_path(Path(directory), split).exists()]


def _json_path(directory: Path, split: str) -> Path:
    if not re.fullmatch(r"[\w.-]+", split):
        raise ValueError(f"split must be letters, digits, '_', '.' and '-', got {split!r}")
    return directory / f"{split}.json"
