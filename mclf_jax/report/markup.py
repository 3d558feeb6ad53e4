"""Pieces of HTML and the page around them. What comes from outside passes through `escape`."""

import html
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from mclf_jax.report.style import CSS
from mclf_jax.report.svg import inline_svg

LARGE_DICT = 14
"""Above this many entries, a dict in the table of facts is folded away."""


def write_document(path: Path, *, title: str, body: Sequence[str], footer: str) -> Path:
    """Write a page in one file: no server, no script, no link to anywhere else.

    Args:
        path: of the file, which is replaced at once; its folder is made.
        title: text.
        body: HTML of its parts; empty ones are left out.
        footer: text.
    """
    page = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in body if part)
        + f"\n<footer>Written by mclf_jax. {escape(footer)}</footer>\n"
        "</main>\n</body>\n</html>\n"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    # "backslashreplace": a file name need not be valid Unicode.
    partial.write_text(page, encoding="utf-8", errors="backslashreplace")
    os.replace(partial, path)
    return path


def escape(text) -> str:
    return html.escape(str(text))


def number(value: float, *, undefined: str = "undefined") -> str:
    """Three decimals below ten, else four significant digits."""
    if not math.isfinite(value):
        return undefined
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}"


def interval_text(bounds: Mapping[str, float] | None) -> str:
    """A 95 % interval {"low", "high"} in words, empty where there is none."""
    if not bounds or not math.isfinite(bounds["low"]):
        return ""
    if bounds["low"] == bounds["high"]:  # all right or all wrong: it would claim too much
        return "all resamples are equal"
    return f"95 %: {number(bounds['low'])} to {number(bounds['high'])}"


def figure(drawn: Figure, *, name: str, caption: str, wide: bool = False) -> str:
    """A figure with its caption; a wide one scrolls sideways on a phone instead of shrinking."""
    kind = ' class="wide"' if wide else ""
    svg = inline_svg(drawn, name=name, description=caption)
    return f"<figure{kind}>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def card(name: str, value: str, *, below: str = "", lead: bool = False) -> str:
    kind = "card lead" if lead else "card"
    return f'<div class="{kind}"><span>{name}</span><b>{value}</b><span>{below}</span></div>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers_from: int) -> str:
    """Cells are HTML already; columns from `numbers_from` on are aligned as numbers."""

    def line(cells, tag: str) -> str:
        return "".join(
            f'<{tag} class="number">{c}</{tag}>' if i >= numbers_from else f"<{tag}>{c}</{tag}>"
            for i, c in enumerate(cells)
        )

    body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    return f"<table><thead><tr>{line(head, 'th')}</tr></thead><tbody>{body}</tbody></table>"


def folded(summary: str, content: str) -> str:
    return f"<details><summary>{escape(summary)}</summary><div>{content}</div></details>"


def facts(values: Mapping) -> str:
    """A list of terms: "window_s": 3.7 is shown as "window: 3.7 s"."""
    pairs, large = [], []
    for key, value in values.items():
        name, text = _fact(key, value)
        if isinstance(value, Mapping) and len(value) > LARGE_DICT:
            large.append(folded(name, facts(value)))
        else:
            pairs.append(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>")
    return f'<div class="panel"><dl class="facts">{"".join(pairs)}</dl></div>{"".join(large)}'


def _fact(key: str, value) -> tuple[str, str]:
    stem, _, unit = str(key).rpartition("_")
    units = {"hz": "Hz", "s": "s", "db": "dB"}
    if stem and unit in units and isinstance(value, int | float):
        return stem.replace("_", " "), f"{_plain(value)} {units[unit]}"
    name = str(key).replace("_", " ").removeprefix("num ")
    if isinstance(value, Mapping):
        return name, " · ".join(f"{k}={v}" for k, v in value.items()) or "none"
    if isinstance(value, list | tuple):
        return name, ", ".join(_plain(v) for v in value) or "none"
    return name, _plain(value)


def _plain(value) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        # Thin spaces between thousands, from five digits on: 16000 is "16 000", 1024 stays.
        return f"{value:,}".replace(",", "\u202f") if abs(value) >= 10_000 else str(value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)
