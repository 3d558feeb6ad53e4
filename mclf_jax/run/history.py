"""Reads `metrics.jsonl`, as a run that was killed and went on left it."""

import json
import math
from pathlib import Path


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
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(record, dict) and "kind" in record and "step" in record:
            rows.setdefault(record["kind"], {})[record["step"]] = record
    return {kind: _columns(by_step) for kind, by_step in rows.items()}


def _columns(by_step: dict[float, dict]) -> dict[str, list[float]]:
    ordered = [by_step[step] for step in sorted(by_step)]
    names = {name: None for row in ordered for name in row if _is_number(row[name])}
    return {
        name: [row[name] if _is_number(row.get(name)) else math.nan for row in ordered]
        for name in names
    }


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
