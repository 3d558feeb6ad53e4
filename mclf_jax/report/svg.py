"""A matplotlib Figure as an inline SVG that follows the page's fonts and colour scheme."""

import io
import warnings
from xml.etree import ElementTree

import matplotlib.style
from markupsafe import Markup
from matplotlib.figure import Figure

from mclf_jax.figures import style as looks

RASTER_DPI = 100
"""Of the parts that are pictures (spectrograms); the rest is sharp at any size."""

# What figures are drawn with, and the variable of templates/style.css that takes its place.
_VARIABLES = {
    looks.INK: "var(--ink)",
    looks.MUTED: "var(--muted)",
    looks.GRID: "var(--line)",
    looks.ACCENT: "var(--accent)",
    looks.ON_ACCENT: "var(--on-accent)",
    looks.SECOND: "var(--second)",
    "'DejaVu Sans'": "var(--font)",
}


def inline_svg(figure: Figure, *, name: str, description: str) -> Markup:
    """The `<svg>` element of a figure, without a link or an id that another could clash with.

    Text stays text: it can be searched, is drawn in the reader's own fonts (so that scripts
    which matplotlib's font lacks still show) and keeps the file small. Equal figures give equal
    bytes.

    Args:
        figure: to draw.
        name: unique in the page; makes the ids unique.
        description: what a screen reader says.
    """
    buffer = io.StringIO()
    settings = {"svg.fonttype": "none", "svg.hashsalt": name, "text.parse_math": False}
    metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))  # None: not written
    with matplotlib.style.context(["default", settings]), warnings.catch_warnings():
        # Only widths are estimated with matplotlib's font; the browser has the glyphs.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        figure.savefig(buffer, format="svg", transparent=True, dpi=RASTER_DPI, metadata=metadata)
    root = ElementTree.fromstring(buffer.getvalue())
    for element in root.iter():
        # HTML needs no namespaces.
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {key.rpartition("}")[2]: v for key, v in element.attrib.items()}
        if element.tag == "g":
            element.attrib.pop("id", None)  # the same in every figure, and never referred to
        if element.tag != "text":
            element.text = None
        element.tail = None
        if style := element.get("style"):
            for fixed, variable in _VARIABLES.items():
                style = style.replace(fixed, variable)
            element.set("style", style)
    root.remove(root.find("defs[style]"))  # it would hold for the whole page
    root.set("role", "img")
    root.set("aria-label", description)
    return Markup(ElementTree.tostring(root, encoding="unicode"))
