"""numpy or jax.numpy, decided by the array: what audio code needs of both and they differ in."""

import dataclasses
import difflib
import functools
import math
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np

Array = Any  # np.ndarray, jax.Array, or what jax traces


def array_module(array: Array) -> ModuleType:
    """`numpy` for numpy arrays, `jax.numpy` for everything that jax traces.

    Raises:
        TypeError: neither of them, such as a list.
    """
    if isinstance(array, np.ndarray | np.generic):
        return np
    # jax is there already if the caller holds one of its arrays; workers never import it.
    if "jax" not in sys.modules or not hasattr(array, "dtype"):
        raise TypeError(
            f"got a {type(array).__name__}; audio functions take numpy and jax arrays, "
            "such as np.asarray(samples, np.float32)"
        )
    return sys.modules["jax"].numpy


def as_floating(waveform: Array) -> Array:
    """The samples as float32, or as float64 if that is what they are.

    Raises:
        TypeError: integers, whose full scale is not known.
    """
    xp = array_module(waveform)
    if waveform.dtype.kind != "f" and waveform.dtype.name != "bfloat16":
        raise TypeError(
            f"waveform is {waveform.dtype}; it must be floating point with full scale 1.0: "
            "divide int16 by 32768"
        )
    return waveform.astype(xp.float32) if waveform.dtype.itemsize < 4 else waveform


# What other software calls a field of ours.
_OTHER_NAMES = {
    "sr": "sample_rate_hz",
    "fs": "sample_rate_hz",
    "sample_rate": "sample_rate_hz",
    "hop": "hop_length",
    "hop_size": "hop_length",
    "win_size": "win_length",
    "window_size": "n_fft",
    "fmin": "f_min_hz",
    "fmax": "f_max_hz",
    "f_min": "f_min_hz",
    "f_max": "f_max_hz",
    "num_mels": "n_mels",
    "n_mel": "n_mels",
    "n_bins": "num_bins",
    "htk": "mel_scale",
}


def replaced(settings: Any, changes: Mapping[str, Any]) -> Any:
    """`dataclasses.replace`, which checks all fields again, only if there is something to do.

    Raises:
        TypeError: there is no such field; the message has the one that was meant.
    """
    fields = [field.name for field in dataclasses.fields(settings)]
    for name in changes:
        if name not in fields:
            close = difflib.get_close_matches(name, fields, 1)
            meant = _OTHER_NAMES.get(name) or next(iter(close), None)
            hint = f"did you mean {meant}? " if meant in fields else ""
            kind = type(settings).__name__
            raise TypeError(f"{kind} has no {name!r}; {hint}its fields are {', '.join(fields)}")
    return dataclasses.replace(settings, **changes) if changes else settings


def settings_of(kind: type, settings: Any, changes: Mapping[str, Any], *, of: str) -> Any:
    """Settings, or the defaults of their kind, with changes.

    Raises:
        TypeError: neither they nor the changes say a sample rate, without which hertz and
            seconds mean nothing, or there is no such field.
    """
    made = replaced(kind() if settings is None else settings, changes)
    if settings is None and "sample_rate_hz" not in changes:
        raise TypeError(
            f"{of} needs the sample rate of the waveform: {of}(waveform, sample_rate_hz=...), or "
            f"settings such as {kind.__name__}(sample_rate_hz=...)"
        )
    return made


def constant(make: Callable[..., np.ndarray], *args: Any, like: Array) -> Array:
    """What a pure function of plain settings returns, made once for the precision of `like`."""
    return array_module(like).asarray(_made(make, args, np.dtype(like.dtype)))


@functools.lru_cache(maxsize=256)
def _made(make: Callable[..., np.ndarray], args: tuple, dtype: np.dtype) -> np.ndarray:
    values = make(*args).astype(dtype)
    values.flags.writeable = False
    return values


def matmul(x: Array, matrix: Array) -> Array:
    """x [..., N] times a matrix [N, M], in the precision of `x` on every device."""
    xp = array_module(x)
    if xp is np:
        # One large product instead of one for each example.
        rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
        return (rows @ matrix).reshape(*x.shape[:-1], matrix.shape[1])
    # Accelerators would round float32 to TensorFloat-32 or bfloat16: errors of up to 0.025 dB.
    return xp.matmul(x, matrix, precision="highest")


def safe_sqrt(x: Array) -> Array:
    """Square root of what is not negative, with gradient 0 and not infinity at 0."""
    xp = array_module(x)
    positive = x > 0
    return xp.where(positive, xp.sqrt(xp.where(positive, x, 1.0)), 0.0)


def check_choice(settings: Any, field: str, allowed: tuple[str, ...]) -> None:
    """Raises ValueError, in words of the config, if the field holds something else."""
    if getattr(settings, field) not in allowed:
        raise ValueError(
            f"features.{field} is {getattr(settings, field)!r}; allowed: {', '.join(allowed)}"
        )


def check_positive(settings: Any, *fields: str) -> None:
    """Raises ValueError, in words of the config, if a field is zero or less."""
    for field in fields:
        if not getattr(settings, field) > 0:
            raise ValueError(f"features.{field} is {getattr(settings, field)}; it must be positive")
