"""Reads `metrics.jsonl`, as a run that was killed and went on left it."""

import json
import math
from pathlib import Path
from typing import Any


def of_run(run: str | Path) -> dict[str, dict[str, list[float]]]:
    """The curves of a run: {"train": {"step": [...], "loss": [...]}, "valid": {...}}.

    Args:
        run: a run directory, also one that is still being trained.

    Raises:
        FileNotFoundError: nothing was logged there.
    """
    path = Path(run) / "metrics.jsonl"
    if not path.is_file():
        raise FileNotFoundError(f"{run} has no metrics.jsonl: it is no run that has been trained")
    return read(path)


def read(path: Path) -> dict[str, dict[str, list[float]]]:
    """Columns by kind: {"train": {"step": [...], "loss": [...]}, "valid": {...}}.

    A run that went on from a checkpoint writes steps again that it had written before it was
    killed; the later line counts. A line cut short by the kill is passed over. Missing and null
    values are NaN. A file that is not there is a run without history: {}.
    """
    if not path.exists():
        return {}
    rows: dict[str, dict[float, dict]] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if record := parse(line):
            rows.setdefault(record["kind"], {})[record["step"]] = record
    return {kind: _columns(by_step) for kind, by_step in rows.items()}


def is_of_the_loop(name: str) -> bool:
    """Whether a number of kind "train" is of time and machine, and says nothing of learning."""
    return name in _OF_THE_LOOP or name.startswith(("time_", "input_"))


_OF_THE_LOOP = {
    "data_wait",
    "model_flops",
    "songs_per_s",
    "songs_per_s_per_device",
    "starved",
    "utilisation",
}


def parse(line: str) -> dict[str, Any] | None:
    """What a line says, with its "kind" and "step"; None if it is none, or damaged."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if isinstance(record, dict) and isinstance(record.get("kind"), str):
        return record if _is_number(record.get("step")) else None
    return None


def _columns(by_step: dict[float, dict]) -> dict[str, list[float]]:
    ordered = [by_step[step] for step in sorted(by_step)]
    names = {name: None for row in ordered for name in row if _is_number(row[name])}
    return {
        name: [row[name] if _is_number(row.get(name)) else math.nan for row in ordered]
        for name in names
    }


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
