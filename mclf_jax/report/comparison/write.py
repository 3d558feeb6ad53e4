"""A comparison as a page, as JSON, as tables for spreadsheets, and as lines of text."""

import dataclasses
import io
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from mclf_jax import metrics
from mclf_jax.common import files
from mclf_jax.common.text import tables
from mclf_jax.figures import comparison as figures
from mclf_jax.figures.style import title_of
from mclf_jax.report import page
from mclf_jax.report.comparison.compute import Comparison

NUM_HEARD = 12
"""Songs on the page of which methods say most different things; the table has all."""

Curves = Mapping[str, Sequence[Mapping[str, Mapping[str, Sequence[float]]]]]


def write(
    found: Comparison,
    out: str | os.PathLike,
    *,
    curves: Curves | None = None,
    picture_of: Callable[[str], Figure] | None = None,
    sound_of: Callable[[str], str] | None = None,
) -> Path:
    """Write index.html, compare.json, table.csv, pairs.csv and disagreements.csv to a folder.

    Args:
        found: of `compare_reports`.
        out: the folder, which is made.
        curves: for each method the histories of its runs, see `run.history.read`.
        picture_of, sound_of: see `report.run.hearing`; without them songs are only named.

    Returns:
        The path of the page.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    content = dataclasses.asdict(found)
    content["disagreements"] = content["disagreements"][: 10 * NUM_HEARD]
    files.write_json(out / "compare.json", content | {"items": len(found.items)})
    _write_csv(out / "table.csv", found.table)
    _write_csv(out / "pairs.csv", found.pairs)
    _write_csv(out / "disagreements.csv", [_flat(row) for row in found.disagreements])
    drawn = figures.compare_curves(curves, metric=found.metric) if curves else None
    return page.write(
        out / "index.html",
        "comparison",
        found=found,
        score_rows=_score_rows(found),
        score_metrics=_shown_metrics(found),
        headlines=_headlines(found),
        several_seeds=any(row["seeds"] > 1 for row in found.table),
        pair_rows=_pair_rows(found),
        scores=figures.score_points(found.table, metric=found.metric),
        differences=figures.differences(found.pairs, metric=found.metric) if found.pairs else None,
        curves=drawn,
        clips=[_clip(row, found, picture_of, sound_of) for row in _differing(found)],
    )


def as_text(found: Comparison) -> str:
    """The scores and the pairs in lines, for a terminal."""
    metric, width = found.metric, max(len(row["name"]) for row in found.table)
    lines = [
        f"{len(found.items)} songs of split {found.split} of {found.dataset}, "
        f"{title_of(metric)}; 95 % by {found.by}"
    ]
    for row in found.table:
        sd = f"  sd over seeds {row[f'{metric}_sd']:.4f}" if row["seeds"] > 1 else ""
        bounds = f"({row[f'{metric}_low']:.4f} to {row[f'{metric}_high']:.4f})"
        lines.append(f"  {row['name']:<{width}}  {row[metric]:.4f}  {bounds}{sd}")
    for pair in found.pairs:
        bounds = f"({pair['low']:+.4f} to {pair['high']:+.4f})"
        verdict = f"{pair['better']} is better" if pair["better"] else "could be chance"
        lines.append(
            f"  {pair['first']} - {pair['second']}: {pair['difference']:+.4f}  {bounds}  "
            f"p {_p(pair['p_holm'])}: {verdict}"
        )
    if len(found.pairs) > 1:
        lines.append(f"p is corrected for {len(found.pairs)} comparisons (Holm)")
    return "\n".join([*lines, *found.notes])


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    cells = [[_cell(row.get(name, "")) for name in columns] for row in rows]
    tables.write_rows(text, [columns, *cells])
    files.write_text(path, text.getvalue().encode(errors="backslashreplace").decode())


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return value


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A column for the score and one for the words of each method."""
    found = {"song": row["item"], "truth": row["truth"], "label": row["label"]}
    for name, score in row["scores"].items():
        found |= {f"{name}: score": score, f"{name}: predicted": row["predicted"][name]}
    return found


def _differing(found: Comparison) -> list[dict[str, Any]]:
    if len(found.table) < 2:
        return []
    rows = [
        row
        for row in found.disagreements
        if max(len(set(row[of].values())) for of in ("scores", "predicted")) > 1
    ]
    if found.task == "single_label":  # first those of which they say different things
        rows = sorted(rows, key=lambda row: len(set(row["predicted"].values())) < 2)
    return rows[:NUM_HEARD]


def _clip(
    row: Mapping[str, Any],
    found: Comparison,
    picture_of: Callable[[str], Figure] | None,
    sound_of: Callable[[str], str] | None,
) -> dict[str, Any]:
    said = [
        [name, row["predicted"][name], page.number(score)] for name, score in row["scores"].items()
    ]
    clip: dict[str, Any] = {"title": row["item"], "truth": row["truth"], "label": row["label"]}
    clip |= {"said": said, "picture": None, "sound": ""}
    if picture_of is not None and sound_of is not None:
        try:
            clip |= {"picture": picture_of(row["item"]), "sound": sound_of(row["item"])}
        except Exception as error:  # one unreadable song must not cost the whole page
            clip["truth"] += f" (cannot be heard: {error})"
    return clip


def _headlines(found: Comparison) -> list[str]:
    return list(dict.fromkeys((found.metric, *metrics.HEADLINES[found.task])))


def _shown_metrics(found: Comparison) -> list[str]:
    known = metrics.names_of(found.task, found.labels)
    rest = [name for name in known if name in found.table[0]]
    return list(dict.fromkeys((*_headlines(found), *rest)))


def _score_rows(found: Comparison) -> list[list[str]]:
    rows = []
    for row in found.table:
        cells = [row["name"]]
        for name in _shown_metrics(found):
            text = page.number(row[name])
            if f"{name}_low" in row and math.isfinite(row[f"{name}_low"]):
                low, high = (page.number(row[f"{name}_{end}"]) for end in ("low", "high"))
                text += f" ({low} to {high})"
            if f"{name}_sd" in row:
                text += f" ± {page.number(row[f'{name}_sd'])}"
            cells.append(text)
        rows.append(cells)
    return rows


def _pair_rows(found: Comparison) -> list[list[str]]:
    return [
        [
            pair["first"],
            pair["second"],
            f"{pair['difference']:+.3f}",
            f"{pair['low']:+.3f} to {pair['high']:+.3f}",
            _p(pair["p"]),
            _p(pair["p_holm"]),
            pair["better"] or "could be chance",
        ]
        for pair in found.pairs
    ]


def _p(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.3f}" if value >= 0.001 else "< 0.001"
