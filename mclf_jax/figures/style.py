"""How figures look, whoever draws them: colours, type, and how labels and metrics are called.

Figures are drawn with matplotlib's objects and never with pyplot, so nothing is shown, no backend
is chosen and no global figure is left behind; a notebook displays what is returned. Pages swap the
colours for those of their light and dark scheme (`report/svg.py`).
"""

import functools
import io

import matplotlib.style
from matplotlib.figure import Figure

INK, MUTED, GRID = "#1c2333", "#6b7280", "#d8dce4"
ACCENT, ON_ACCENT, SECOND = "#3355dd", "#fefefe", "#d9622b"
# Twelve hues of middle lightness, readable on white and on black.
PALETTE = ("#3b82c4", "#d9822b", "#3f9e5b", "#c94f4f", "#8c6bc4", "#9c6b4f")
PALETTE += ("#cf6fa8", "#7a8291", "#a3a032", "#2fa5b5", "#5b7f3a", "#b0763a")

_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "text.color": INK,
    "text.parse_math": False,  # labels are user text: "$" is a dollar sign
    "xtick.color": MUTED,
    "ytick.color": MUTED,
}
_TITLES = {"pr_auc": "PR-AUC", "roc_auc": "ROC-AUC", "f1": "F1", "r2": "R²"}
_TITLES |= {"mae": "MAE", "rmse": "RMSE", "log_loss": "log loss", "songs_per_s": "songs/s"}
_TITLES |= {"ccc": "CCC", "lwlrap": "lwlrap", "key_score": "weighted key score"}


def styled(draw):
    """Decorate a drawing function so that the user's matplotlibrc does not reach it."""

    @functools.wraps(draw)
    def wrapper(*args, **kwargs):
        with matplotlib.style.context(["default", _STYLE]):
            drawn = draw(*args, **kwargs)
        if isinstance(drawn, Figure):
            # What a notebook asks for, to which figures are shown by pyplot alone.
            setattr(drawn, "_repr_png_", functools.partial(_as_png, drawn))  # noqa: B010
        return drawn

    return wrapper


def _as_png(figure: Figure) -> bytes:
    written = io.BytesIO()
    with matplotlib.style.context(["default", _STYLE]):
        figure.savefig(written, format="png", dpi=110)
    return written.getvalue()


def colour(number: int) -> str:
    """Of what stands beside each other in a picture, such as methods, in their order."""
    # The palette has a blue, an orange and a red that look like the first two.
    colours = (ACCENT, SECOND, PALETTE[2], *PALETTE[4:])
    return colours[number % len(colours)]


def short(label: str, *, limit: int = 26) -> str:
    """A label that fits beside an axis: one line, printable, cut in the middle."""
    label = "".join(c if c.isprintable() else " " for c in label).strip() or " "
    if len(label) <= limit:
        return label
    head = (limit - 1) * 2 // 3
    return f"{label[:head]}…{label[head + 1 - limit :]}"


def title_of(metric: str) -> str:
    """How a metric is called in print: "pr_auc_macro" is "PR-AUC, macro"."""
    stem, _, kind = metric.rpartition("_")
    if kind in ("macro", "micro", "weighted", "hierarchical"):
        return f"{title_of(stem)}, {kind}"
    return _TITLES.get(metric, metric.replace("_", " "))


def sentence(text: str) -> str:
    """With a capital letter, the rest as it is."""
    return text[:1].upper() + text[1:]
