"""A folder that is called like a function: `mclf.train(config, workdir=...)` of `train/`."""

import inspect
import sys
import types
from collections.abc import Callable
from typing import Any


def make_callable(name: str, function: Callable[..., Any]) -> None:
    """Let the module `name` be called as `function`, with its signature and docstring.

    A name of the public API may be that of a folder, which takes its place once it is imported.
    """

    class Folder(types.ModuleType):
        __call__ = staticmethod(function)
        __signature__ = inspect.signature(function)

    sys.modules[name].__class__ = Folder
    sys.modules[name].__doc__ = function.__doc__
