"""Data and a template become a page in one file: no server, no script, no link to anywhere else.

Templates (`templates/*.html`) hold all HTML and nearly all words, and escape what they are given.
"""

import json
import math
import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from mclf_jax.common import files
from mclf_jax.figures.style import sentence, title_of
from mclf_jax.report.svg import inline_svg

CARD = "card.md"
"""The model card, beside the page of a run."""
LARGE_DICT = 14
"""Above this many entries, a dict in a list of facts is folded away."""

_UNITS = {"hz": "Hz", "s": "s", "db": "dB"}


def write(path: str | os.PathLike, template: str, **values: Any) -> Path:
    """Write a page whole, and its folder if need be, and return its path.

    Args:
        path: of the file.
        template: of `templates`, without its suffix.
        values: what the template uses, all of it: one that is missing is an error.
    """
    page = render(template, **values)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A file name need not be valid Unicode.
    files.write_text(path, page.encode(errors="backslashreplace").decode())
    return path


def render(template: str, **values: Any) -> str:
    """The HTML of a template; arguments as in `write`."""
    return _TEMPLATES.get_template(f"{template}.html").render(values)


def settings(run_dir: Path) -> str | None:
    """The text of a run's `config.json`, None where there is none."""
    path = run_dir / "config.json"
    if not path.exists():
        return None
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        return json.dumps(json.loads(text), indent=2, sort_keys=True, ensure_ascii=False)
    except (ValueError, RecursionError):
        return f"{text}\n(not valid JSON: shown as it is)"


def spending(train: Mapping[str, Sequence[float]]) -> dict[str, str]:
    """What training took, as far as a run's log says: facts in words.

    Args:
        train: columns of kind "train", see `history.read`.
    """
    finite = {name: list(filter(math.isfinite, values)) for name, values in train.items()}
    median = {name: statistics.median(values) for name, values in finite.items() if values}
    facts = {}
    if "songs_per_s" in median:
        facts["training speed"] = f"{median['songs_per_s']:.3g} songs/s (median)"
    if "data_wait" in median:
        facts["waiting for data"] = f"{100 * median['data_wait']:.0f} % of time (median)"
    shares = {name: values[-1] for name, values in finite.items() if name.startswith("time_")}
    if shares:
        facts["where the time went"] = ", ".join(
            f"{name.removeprefix('time_')} {100 * share:.0f} %" for name, share in shares.items()
        )
    if "model_flops" in median:
        facts["a step computes"] = f"{median['model_flops'] / 1e9:.4g} GFLOP"
    if "utilisation" in median:
        of = "of the device's peak in bfloat16 (median)"
        facts["utilisation"] = f"{100 * median['utilisation']:.1f} % {of}"
    return facts


def number(value: float, undefined: str = "undefined") -> str:
    """Three decimals below ten, else four significant digits."""
    if not math.isfinite(value):
        return undefined
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}"


def interval(bounds: Mapping[str, float] | None) -> str:
    """A 95 % interval {"low", "high"} in words, empty where there is none."""
    if not bounds or not math.isfinite(bounds["low"]):
        return ""
    if bounds["low"] == bounds["high"]:  # all right or all wrong: it would claim too much
        return "all resamples are equal"
    return f"95 %: {number(bounds['low'])} to {number(bounds['high'])}"


def fact(pair: tuple[str, Any]) -> tuple[str, str]:
    """A key and its value in print: ("window_s", 3.7) is ("window", "3.7 s")."""
    key, value = pair
    stem, _, unit = str(key).rpartition("_")
    if stem and unit in _UNITS and isinstance(value, int | float):
        return stem.replace("_", " "), f"{_plain(value)} {_UNITS[unit]}"
    name = str(key).replace("_", " ").removeprefix("num ")
    if isinstance(value, Mapping):
        return name, " · ".join(f"{k}={v}" for k, v in value.items()) or "none"
    if isinstance(value, list | tuple):
        return name, ", ".join(map(_plain, value)) or "none"
    return name, _plain(value)


def _plain(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        # Thin spaces between thousands, from five digits on: 16000 is "16 000", 1024 stays.
        return f"{value:,}".replace(",", "\u202f") if abs(value) >= 10_000 else str(value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _is_large(pair: tuple[str, Any]) -> bool:
    return isinstance(pair[1], Mapping) and len(pair[1]) > LARGE_DICT


_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("mclf_jax.report"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {
    "fact": fact,
    "interval": interval,
    "number": number,
    "sentence": sentence,
    "svg": inline_svg,
    "title_of": title_of,
}
_TEMPLATES.tests["large"] = _is_large
