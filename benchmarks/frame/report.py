"""Rows of a part as JSON, as a table and as a picture."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

Row = dict[str, Any]


def add(folder: Path, part: str, row: Row, *, machine: Mapping[str, Any], rounds: int) -> None:
    """Put a row into FOLDER/PART.json in place of an earlier one of its name.

    Its ratio is filled in, and how it was measured.
    """
    if row.get("ratio") is None and row.get("theirs_s"):
        row["ratio"] = row["ours_s"] / row["theirs_s"]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{part}.json"
    found = json.loads(path.read_text()) if path.exists() else {"machines": [], "rows": []}
    machine = dict(machine)
    if machine not in found["machines"]:
        found["machines"].append(machine)
    stored = {**row, "rounds": rounds, "machine": found["machines"].index(machine)}
    places = {other["name"]: i for i, other in enumerate(found["rows"])}
    if row["name"] in places:
        found["rows"][places[row["name"]]] = stored
    else:
        found["rows"].append(stored)
    path.write_text(json.dumps(found, indent=1) + "\n")


def write(folder: Path, part: str, *, draw: Callable[[Sequence[Row]], Figure]) -> None:
    """FOLDER/PART.md and FOLDER/PART.png of its JSON."""
    found = json.loads((folder / f"{part}.json").read_text())
    lines = [f"# {part}", "", *table(found["rows"]), ""]
    used = sorted({row["machine"] for row in found["rows"]})
    for machine in (found["machines"][i] for i in used):
        words = ", ".join(f"{name} {value}" for name, value in machine.items())
        lines += [f"Measured on: {words}.", ""]
    (folder / f"{part}.md").write_text("\n".join(lines))
    draw(found["rows"]).savefig(folder / f"{part}.png", dpi=120)


def table(rows: Sequence[Row]) -> list[str]:
    """Lines of Markdown; columns that no row fills are left out."""
    columns: dict[str, Callable[[Row], str]] = {
        "": lambda row: row["name"],
        "ours": lambda row: seconds(row.get("ours_s")),
        "theirs": lambda row: seconds(row.get("theirs_s")),
        "peer": lambda row: row.get("peer", ""),
        "ours / theirs": lambda row: _number(row.get("ratio"), ".2f"),
        "goal": lambda row: _number(row.get("goal"), ".2f"),
        "met": _met,
        "share of products": lambda row: _number(row.get("share"), ".0%"),
        "theirs, share": lambda row: _number(row.get("theirs_share"), ".0%"),
        "memory": lambda row: size(row.get("ours_bytes")),
        "theirs, memory": lambda row: size(row.get("theirs_bytes")),
        "note": lambda row: row.get("note", ""),
    }
    cells = {title: [cell(row) for row in rows] for title, cell in columns.items()}
    cells = {title: column for title, column in cells.items() if any(column)}
    lines = [f"| {' | '.join(cells)} |", "|" + "---|" * len(cells)]
    return [*lines, *(f"| {' | '.join(line)} |" for line in zip(*cells.values(), strict=True))]


def line(row: Row) -> str:
    """A row for the terminal."""
    words = [row["name"], seconds(row.get("ours_s"))]
    if row.get("theirs_s"):
        words += [f"({row.get('peer', 'theirs')} {seconds(row['theirs_s'])})"]
    if row.get("ratio") is not None:
        words += [f"ratio {row['ratio']:.2f}"]
    return "  ".join(filter(None, words))


def seconds(value: float | None) -> str:
    """In the unit that reads best."""
    if value is None:
        return ""
    if value >= 1:
        return f"{value:.2f} s"
    return f"{value * 1e3:.1f} ms" if value >= 1e-3 else f"{value * 1e6:.0f} us"


def size(value: float | None) -> str:
    """Bytes in MiB."""
    return "" if value is None else f"{value / 2**20:,.0f} MiB"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _met(row: Row) -> str:
    if row.get("ratio") is None or row.get("goal") is None:
        return ""
    return "yes" if row["ratio"] <= row["goal"] else "no"


def draw(rows: Sequence[Row]) -> Figure:
    """Ours over theirs, a bar for each row, with its goal; below 1 ours is quicker."""
    rows = [row for row in rows if row.get("ratio") is not None]
    figure = Figure(figsize=(7, 1 + 0.24 * max(1, len(rows))), layout="constrained")
    axes = figure.subplots()
    places = range(len(rows))
    ratios = [row["ratio"] for row in rows]
    good = [_met(row) != "no" for row in rows]
    axes.barh(places, ratios, color=["tab:blue" if one else "tab:orange" for one in good])
    for place, row in zip(places, rows, strict=True):
        if row.get("goal") is not None:
            axes.plot([row["goal"]] * 2, [place - 0.45, place + 0.45], "k", linewidth=1)
    axes.axvline(1, color="grey", linewidth=0.8, linestyle=":")
    axes.set_yticks(places, [row["name"] for row in rows], fontsize=7)
    axes.set(xlabel="our time / theirs (black: goal; orange: missed)", ylim=(len(rows) - 0.4, -0.6))
    return figure
