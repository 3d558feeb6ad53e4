"""The files of a prepared data set that are not audio: their names, and what the main one says."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mclf_jax.common.text import documents

META = "mclf.json"
ITEMS = "items.json"
ARRAYS = "items.npz"
SKIPPED = "skipped.csv"
CHECKSUMS = "checksums.sha256"
CHANGELOG = "CHANGELOG.md"
TABLES = (META, ITEMS, ARRAYS, SKIPPED)  # which are read whenever the data set is opened
FORMAT = 1  # of all of these; another number cannot be read by this version

_LIKE = {
    **dict.fromkeys(("name", "version", "task", "licence", "fingerprint", "encoding"), str),
    **dict.fromkeys(("citation", "url", "group_kind"), str),
    **dict.fromkeys(("labels", "notes", "faults"), [str]),
    "sample_rate_hz": int,
    "parents": {str: str},
    "num_skipped": int,
    "statistics": dict,
    "shards": [{"file": str, "num_bytes": int, "sha256": str}],
    "request": dict,
    "parts": [[str, str]],
}
_SHOWN = 60  # characters of a setting


def read_meta(folder: Path) -> dict[str, Any]:
    """The content of `META`.

    Raises:
        ValueError: damaged, or of another format.
    """
    meta = documents.read(folder / META, {"format": int})
    if meta.get("format") != FORMAT:
        raise ValueError(
            f"{folder / META} has format {meta.get('format')}; this version of mclf_jax reads "
            f"format {FORMAT}: prepare the data set again"
        )
    meta = {"parts": [], **meta}  # which earlier versions have not
    documents.check(meta, _LIKE, name=str(folder / META))
    return meta


def differences(
    old: Mapping[str, Any], new: Mapping[str, Any], *, keys: Sequence[str]
) -> list[str]:
    """What changed between two sets of settings, a line each, such as "seed: 0 -> 1"."""
    in_words = {
        "metadata": "items, labels, splits or columns are others",
        "file_sizes": "the audio files are others (their sizes)",
    }

    def shown(value: Any) -> str:
        text = json.dumps(value, ensure_ascii=False)
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."

    return [
        in_words.get(key) or f"{key}: {shown(old.get(key))} -> {shown(new.get(key))}"
        for key in keys
        if old.get(key) != new.get(key)
    ]


def summary(folder: Path) -> str:
    """A prepared data set in a few lines: splits, hours, levels, size, what was skipped."""
    meta = read_meta(folder)
    num_bytes = sum(shard["num_bytes"] for shard in meta["shards"])
    lines = [f"{meta['name']} {meta['version']} in {folder}"]
    for split, found in meta["statistics"].items():
        level = found["level_db"]
        lines.append(
            f"  {split:<10} {found['items']:>8} items {found['hours']:>9.2f} h  "
            f"level {level['mean']:.1f} +- {level['std']:.1f} dB"
        )
    lines.append(
        f"  {meta['encoding']} at {meta['sample_rate_hz']} Hz, {num_bytes / 1e6:.1f} MB, "
        f"{len(meta['shards'])} shards; {meta['num_skipped']} skipped"
    )
    return "\n".join([*lines, f"  fingerprint {meta['fingerprint']}"])
