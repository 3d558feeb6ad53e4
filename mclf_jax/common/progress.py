"""What is said while something takes long: bars with the time that is left, and lines."""

import logging
import sys

from tqdm import tqdm

from mclf_jax.common import checks

# tqdm's `disable`; None asks whether there is a terminal.
_DISABLE = {"auto": None, "on": False, "off": True}
MODES = tuple(_DISABLE)
LEVELS = ("quiet", "usual", "verbose")
_level = "usual"


def set_level(level: str) -> None:
    """How much this process says: results and errors only, as usual, or what libraries log, too.

    Raises:
        ValueError: `level` is none of `LEVELS`.
    """
    global _level
    checks.choice("level", level, LEVELS)
    _level = level
    if level == "verbose":
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")


def level() -> str:
    """What `set_level` was last given."""
    return _level


def say(text: str) -> None:
    """A line on stderr that does not tear a bar; nothing if this process is to be quiet."""
    if _level != "quiet":
        tqdm.write(text, file=sys.stderr)


def bar(*, total: int, title: str, unit: str, progress: str = "auto", leave: bool = False) -> tqdm:
    """A bar on stderr, to be used in `with` and advanced by `update`.

    Args:
        total: how many units it takes.
        title: what is going on.
        unit: of what, in the singular.
        progress: "auto" (where stderr is a terminal), "on" or "off".
        leave: whether it stays on the screen when it is done.

    Raises:
        ValueError: `progress` is none of these.
    """
    checks.choice("progress", progress, MODES)
    return tqdm(
        total=total,
        desc=title,
        unit=f" {unit}",
        disable=_DISABLE["off" if _level == "quiet" else progress],
        leave=leave,
        dynamic_ncols=True,
    )
