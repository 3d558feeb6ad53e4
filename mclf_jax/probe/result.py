"""What probing found: a record of every fit, kept as JSON and CSV, and summaries of them."""

import dataclasses
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mclf_jax import metrics
from mclf_jax.common import checks, files
from mclf_jax.common.text import documents, tables
from mclf_jax.data.base.source import TASKS
from mclf_jax.export.heads import KINDS, SUFFIX
from mclf_jax.metrics.interval import mean_interval

END_TO_END = "end-to-end"
"""The kind of records of networks that were trained as a whole."""


@dataclasses.dataclass(frozen=True)
class Record:
    """One fit.

    Attributes:
        encoder: "trained", "untrained", "mfcc", "scratch".
        kind: of `fit.KINDS`, or `END_TO_END`.
        fraction: of the labels of train that were used; 1 with `songs_per_label`.
        seed, fold: of the fit; fold 0 where there are no folds.
        num_train, num_test: songs.
        values: song-level metrics of the test songs by name, as of `metrics.compute`.
        intervals: of the headlines, 95 % over songs, {"low", "high"}.
        setting: what the valid split chose.
        songs_per_label: of each label so many songs were used, in place of a fraction; 0: not.
    """

    encoder: str
    kind: str
    fraction: float
    seed: int
    fold: int
    num_train: int
    num_test: int
    values: Mapping[str, float]
    intervals: Mapping[str, Mapping[str, float]]
    setting: Mapping[str, Any]
    songs_per_label: int = 0

    @property
    def amount(self) -> tuple[int, float]:
        """How many labels were used, (songs of each, fraction): the same for what is compared."""
        return self.songs_per_label, self.fraction


def amount_of(songs_per_label: int, fraction: float) -> str:
    """How many labels were used, for people: "3 a label", or "10 %"."""
    return f"{songs_per_label} a label" if songs_per_label else f"{100 * fraction:g} %"


@dataclasses.dataclass(frozen=True)
class ProbeResult:
    """All records of one call of `probe`.

    Attributes:
        run: name of the run directory.
        method: the objective that it was trained by.
        step: of its best checkpoint.
        data: of what was probed: its name, or that of its folder.
        fingerprint: of these data.
        task: one of `data.base.source.TASKS`.
        labels: the K names.
        num_folds: 0 for the splits of the data set.
        records: of every fit.
        notes: sentences that a reader of the scores should know.
        directory: where it was saved.
        layer: of the networks, "mix" or "all"; "" for what their last layer reads.
    """

    run: str
    method: str
    step: int
    data: str
    fingerprint: str
    task: str
    labels: tuple[str, ...]
    num_folds: int
    records: tuple[Record, ...]
    notes: tuple[str, ...] = ()
    directory: Path | None = None
    layer: str = ""

    @property
    def heads(self) -> dict[str, Path]:
        """{kind: file} of the probes that were kept to be used, see `export.heads`."""
        kinds = {r.kind for r in self.records if r.encoder == "trained" and r.amount == (0, 1)}
        folder = self.directory / "heads" if self.directory else None
        there = {kind: folder / f"{kind}{SUFFIX}" for kind in KINDS if folder}
        return {kind: path for kind, path in there.items() if kind in kinds and path.is_file()}

    def summary(self, metric: str | None = None) -> list[dict[str, Any]]:
        """A row for each encoder, kind and amount of labels.

        Args:
            metric: of `metrics.names_of`; the headline of the task when not given.

        Returns:
            Dicts of "encoder", "kind", "fraction", "labels" (that, or how many of each, for
            people), "num_train" (mean), "mean", "half_width" (95 %, over seeds and
            folds, see `interval`; NaN for one fit), "count" of fits, "low" and "high" (95 % over
            songs, means over the fits; NaN but for headlines), and "over_untrained": the mean and
            half-width of the difference, or None.
        """
        metric = metric or metrics.HEADLINES[self.task][0]
        rows: dict[tuple, list[Record]] = {}
        for record in self.records:
            rows.setdefault((record.encoder, record.kind, record.amount), []).append(record)
        return [
            {"encoder": encoder, "kind": kind, "fraction": fraction}
            | {"labels": amount_of(songs, fraction)}
            | {"num_train": sum(r.num_train for r in members) / len(members)}
            | mean_interval([r.values[metric] for r in members], num_folds=self.num_folds)
            | {side: _mean_bound(members, metric, side) for side in ("low", "high")}
            | {"over_untrained": self._over_untrained(members, metric)}
            for (encoder, kind, (songs, fraction)), members in rows.items()
        ]

    def _over_untrained(self, members: Sequence[Record], metric: str) -> dict[str, float] | None:
        """Paired by seed and fold: both were fitted and tested on the same songs."""
        if members[0].encoder != "trained":
            return None
        untrained = {
            (r.kind, r.amount, r.seed, r.fold): r.values[metric]
            for r in self.records
            if r.encoder == "untrained"
        }
        keys = [(r.kind, r.amount, r.seed, r.fold) for r in members]
        if not all(key in untrained for key in keys):
            return None
        pairs = zip(members, keys, strict=True)
        differences = [r.values[metric] - untrained[key] for r, key in pairs]
        return mean_interval(differences, num_folds=self.num_folds)


_NUMBERS = {str: (float, None)}
_LIKE = {
    "run": str,
    "method": str,
    "step": int,
    "data": str,
    "fingerprint": str,
    "task": str,
    "labels": [str],
    "num_folds": int,
    "notes": [str],
    "records": [
        {
            "encoder": str,
            "kind": str,
            "fraction": float,
            "seed": int,
            "fold": int,
            "num_train": int,
            "num_test": int,
            "values": _NUMBERS,
            "intervals": {str: _NUMBERS},
            "setting": dict,
        }
    ],
}


def write_records(result: ProbeResult, directory: str | Path) -> Path:
    """Write probe.csv (a line a fit) and probe.json, which `load_result` reads; the directory."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    files.write_text(directory / "probe.csv", _csv(result))
    files.write_json(directory / "probe.json", dataclasses.asdict(result) | {"directory": None})
    return directory


def load_result(directory: str | Path) -> ProbeResult:
    """What `write_records` wrote.

    Raises:
        FileNotFoundError: there is no probe.json.
        ValueError: it is damaged; names the field.
    """
    path = Path(directory) / "probe.json"
    if not path.is_file():
        raise FileNotFoundError(f"{directory} has no probe.json: probe the run first")
    content = documents.read(path, _LIKE)
    for kind, entries in ((ProbeResult, [content]), (Record, content["records"])):
        known = [field.name for field in dataclasses.fields(kind)]
        for entry in entries:
            checks.only_known(str(path), entry, known, of=kind.__name__)
    checks.choice(f"{path}: task", content["task"], TASKS)
    records = tuple(
        Record(**r | {name: files.with_nan(r[name]) for name in ("values", "intervals")})
        for r in content.pop("records")
    )
    for name in ("labels", "notes"):
        content[name] = tuple(content[name])
    return ProbeResult(**{**content, "directory": Path(directory)}, records=records)


def _csv(result: ProbeResult) -> str:
    buffer = io.StringIO()
    names = list(dict.fromkeys(name for r in result.records for name in r.values))
    fixed = ("encoder", "kind", "fraction", "songs_per_label", "seed", "fold")
    fixed += ("num_train", "num_test")
    headlines = metrics.HEADLINES[result.task]
    bounds = [f"{name}_{side}" for name in headlines for side in ("low", "high")]
    rows = [["run", "method", "data", *fixed, *names, *bounds, "setting"]]
    for r in result.records:
        intervals = [r.intervals[name][side] for name in headlines for side in ("low", "high")]
        setting = " ".join(f"{key}={value}" for key, value in r.setting.items())
        rows.append(
            [result.run, result.method, result.data, *(getattr(r, name) for name in fixed)]
            + [r.values.get(name, "") for name in names]
            + [*intervals, setting]
        )
    tables.write_rows(buffer, rows)
    return buffer.getvalue()


def _mean_bound(members: Sequence[Record], metric: str, side: str) -> float:
    bounds = [r.intervals[metric][side] for r in members if metric in r.intervals]
    return sum(bounds) / len(bounds) if bounds else math.nan
