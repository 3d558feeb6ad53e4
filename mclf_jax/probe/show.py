"""Probe results as people read them: tables in a terminal or on a page, and a picture."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mclf_jax import metrics
from mclf_jax.common.files import write_text
from mclf_jax.evaluation.aggregation import LEARNT
from mclf_jax.probe.result import ProbeResult, write_records

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TITLES = {
    "untrained": "same network, untrained",
    "mfcc": "MFCC statistics",
    "scratch": "same network, trained from scratch",
}


def save(result: ProbeResult, directory: str | Path) -> Path:
    """Write probe.md, probe.csv (a line a fit), probe.json and probe.png; the directory."""
    directory = write_records(result, directory)
    write_text(directory / "probe.md", markdown(result))
    draw(result).savefig(directory / "probe.png", dpi=160)
    return directory


def text(result: ProbeResult) -> str:
    """The table for a terminal, and the notes."""
    return "\n".join([columns(*_cells(result)), "", *_notes(result)])


def markdown(result: ProbeResult) -> str:
    """Heading, table and notes for a page."""
    layer = f", layer {result.layer}" if result.layer else ""
    heading = f"### {result.run}{layer} on {result.data}"
    notes = [f"{note}  " for note in _notes(result)]
    return "\n".join([heading, "", markdown_table(*_cells(result)), "", *notes]) + "\n"


def draw(result: ProbeResult, *, metric: str | None = None) -> "Figure":
    """The picture, see `figures.probes.plot_probes`; of the task's headline if not of `metric`."""
    from mclf_jax.figures.probes import plot_probes
    from mclf_jax.figures.style import short

    metric = metric or metrics.HEADLINES[result.task][0]
    rows = [
        row | {"name": f"{short(_title(row['encoder'], result.method), limit=36)}: {row['kind']}"}
        for row in result.summary(metric)
    ]
    title = f"{short(result.run, limit=30)} on {short(result.data, limit=30)}"
    return plot_probes(rows, metric=metric, title=title)


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows of a page, numbers (all but the first two columns) on the right."""
    rule = ["---", "---", *["---:"] * (len(head) - 2)]
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *cells))


def columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows in columns of equal width, numbers on the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *rows)
    ]
    return "\n".join(lines)


def interval_cell(found: Mapping[str, float] | None, *, sign: str = "") -> str:
    """ "0.712 ± 0.034", or the mean alone where there was one fit; a difference has a sign."""
    if found is None or math.isnan(found["mean"]):
        return "" if sign else "undefined"
    width = found["half_width"]
    return f"{found['mean']:{sign}.3f}" + ("" if math.isnan(width) else f" ± {width:.3f}")


def _cells(result: ProbeResult) -> tuple[list[str], list[list[str]]]:
    first, *others = metrics.HEADLINES[result.task]
    main, rest = result.summary(first), [result.summary(name) for name in others]
    several_amounts = len({row["labels"] for row in main}) > 1
    compared = any(row["over_untrained"] is not None for row in main)
    head = ["encoder", "probe", *["labels"] * several_amounts, first]
    head += [*["over untrained"] * compared, "95 % over songs", *others]
    rows = []
    for number, row in enumerate(main):
        cells = [_title(row["encoder"], result.method), row["kind"]]
        cells += [row["labels"]] * several_amounts
        cells += [interval_cell(row)]
        cells += [interval_cell(row["over_untrained"], sign="+")] * compared
        cells += [_over_songs(row), *(interval_cell(other[number]) for other in rest)]
        rows.append(cells)
    return head, rows


def _over_songs(row: Mapping[str, Any]) -> str:
    if math.isnan(row["low"]):
        return ""
    return f"{row['low']:.3f} to {row['high']:.3f}"


def _notes(result: ProbeResult) -> list[str]:
    tested = sorted({record.num_test for record in result.records})
    songs = f"{tested[0]}" if len(tested) == 1 else f"{tested[0]} to {tested[-1]}"
    seeds = len({record.seed for record in result.records})
    repeats = f"{seeds} seed{'s' * (seeds > 1)}"
    if result.num_folds:
        repeats += f" × {result.num_folds} folds by group"
    notes = [
        f"Scores of songs ({_how(result)}) on {result.data}, {songs} test songs a fit; {repeats}."
    ]
    if any(row["count"] > 1 for row in result.summary()):
        over_folds = "corrected for folds sharing songs (Nadeau and Bengio 2003)"
        how = over_folds if result.num_folds else "over seeds alone"
        notes.append(f"±: half of the 95 % interval of the mean by Student's t, {how}.")
    if result.layer:
        notes.insert(0, f"Embeddings: layer {result.layer} of the networks.")
    how = "over songs, or whole groups of them: bootstrap within a fit, bounds averaged over fits"
    notes.append(f"95 % {how}.")
    return [*notes, *result.notes]


def _how(result: ProbeResult) -> str:
    attend = any(record.kind == LEARNT for record in result.records)
    return "means of their windows" + (", weighed by attention where that is said" * attend)


def _title(encoder: str, method: str) -> str:
    """How an encoder is called in print; that of the run by its objective."""
    return f"{method} (this run)" if encoder == "trained" else _TITLES.get(encoder, encoder)
