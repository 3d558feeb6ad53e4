"""A matplotlib Figure as an inline SVG that follows the page's fonts and colour scheme."""

import html
import io
import re
import warnings

import matplotlib.style
from matplotlib.figure import Figure

from mclf_jax.figures import plots

RASTER_DPI = 100
"""Of the parts that are pictures (spectrograms); the rest is sharp at any size."""

_VARIABLES = {
    plots.INK: "ink",
    plots.MUTED: "muted",
    plots.GRID: "line",
    plots.ACCENT: "accent",
    plots.ON_ACCENT: "on-accent",
    plots.SECOND: "second",
}


def inline_svg(figure: Figure, *, name: str, description: str) -> str:
    """The `<svg>` element of a figure, without a link or an id that another could clash with.

    Text stays text: it can be searched, is drawn in the reader's own fonts (so that scripts
    which matplotlib's font lacks still show) and keeps the file small. Equal figures give equal
    bytes.

    Args:
        figure: to draw.
        name: put before every id; unique in the page, ASCII letters, digits and dashes.
        description: what a screen reader says.
    """
    buffer = io.StringIO()
    settings = {"svg.fonttype": "none", "svg.hashsalt": name, "text.parse_math": False}
    with matplotlib.style.context(["default", settings]), warnings.catch_warnings():
        # Only widths are estimated with matplotlib's font; the browser has the glyphs.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        figure.savefig(
            buffer, format="svg", transparent=True, dpi=RASTER_DPI, metadata={"Date": None}
        )
    text = buffer.getvalue()
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text)
    width_px, height_px = (round(float(points) * 4 / 3) for points in box.groups())
    body = text[text.index(">", text.index("<svg")) + 1 :]
    for element in ("metadata", "style"):
        body = re.sub(f"<{element}.*?</{element}>", "", body, flags=re.DOTALL)
    # Markup alone: a ">" in a label is written "&gt;", so no label is taken for a tag.
    body = re.sub(r"<[^>]+>", lambda match: _tag(match.group(), name=name), body)
    body = re.sub(r"\n{2,}", "\n", body)
    return (
        f'<svg viewBox="{box.group(0)[9:-1]}" width="{width_px}" height="{height_px}" role="img" '
        f'aria-label="{html.escape(description)}">{body}'
    )


def _tag(tag: str, *, name: str) -> str:
    if tag.startswith("<g "):
        tag = re.sub(r' id="[^"]*"', "", tag)  # groups are never referred to
    tag = re.sub(r'\bid="', f'id="{name}-', tag.replace("xlink:href", "href"))
    tag = tag.replace("url(#", f"url(#{name}-").replace('href="#', f'href="#{name}-')
    tag = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--font)", tag)
    for colour, variable in _VARIABLES.items():
        tag = tag.replace(colour, f"var(--{variable})")
    return re.sub(r"\s*\n\s*", " ", tag)
