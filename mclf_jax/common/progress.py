"""Bars with the time that is left, wherever something takes long."""

from tqdm import tqdm

from mclf_jax.common import checks

# tqdm's `disable`; None asks whether there is a terminal.
_DISABLE = {"auto": None, "on": False, "off": True}
MODES = tuple(_DISABLE)


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
        disable=_DISABLE[progress],
        leave=leave,
        dynamic_ncols=True,
    )
