"""Data sets by name. A source gives songs by index; the pipeline makes batches of them."""

import importlib
from typing import Any

from mclf_jax.data.source import Source

# name -> module with a function of the same name; imported when asked for.
SOURCES = {
    "folder": "mclf_jax.data.folder",
    "synthetic": "mclf_jax.data.synthetic",
}


def build(name: str, *, sample_rate_hz: int, **arguments: Any) -> Source:
    """The data set `name`, yielding audio at `sample_rate_hz`.

    Args:
        name: one of `SOURCES`.
        sample_rate_hz: what the model's features take.
        **arguments: `config.data.args`, the data set's own.

    Raises:
        ValueError: an unknown name or argument, or a data set that cannot be used.
    """
    if name == "none":
        raise ValueError(
            "data.name is 'none': this run was made from weights by `mclf convert` and has no "
            "data set to train on or to score; predict, embed and taggram work on it"
        )
    if name not in SOURCES:
        raise ValueError(f"data.name is {name!r}; allowed: {', '.join(sorted(SOURCES))}")
    function = getattr(importlib.import_module(SOURCES[name]), name)
    code = function.__code__
    known = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    if unknown := sorted(set(arguments) - set(known)):
        raise ValueError(
            f"data.args has {', '.join(unknown)}; {name} takes {', '.join(sorted(known))}"
        )
    return function(sample_rate_hz=sample_rate_hz, **arguments)
