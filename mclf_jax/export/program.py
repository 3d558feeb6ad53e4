"""A bundle's computation as StableHLO, which runs without the code of its networks.

jax promises to read a program for six months after it was written, and no longer
(https://docs.jax.dev/en/latest/export/export.html#compatibility-guarantees).
"""

import datetime
from typing import Any

import jax
from jax import export

from mclf_jax.export.bundle import Bundle, window_outputs

PLATFORMS = ("cpu", "cuda", "tpu")
_KEPT = datetime.timedelta(days=180)


def make_program(bundle: Bundle) -> bytes:
    """The serialised program of (`bundle.weights`, audio [B, T]) -> outputs, for any B.

    It is lowered for all of `PLATFORMS`, whichever are here, and holds no weights.
    """
    (batch,) = export.symbolic_shape("B")
    audio = jax.ShapeDtypeStruct((batch, bundle.window_samples), "float32")
    weights = jax.tree.map(
        lambda a: jax.ShapeDtypeStruct(a.shape, jax.dtypes.canonicalize_dtype(a.dtype)),
        bundle.weights,
    )
    function = jax.jit(lambda weights, audio: window_outputs(bundle, weights, audio))
    exported = export.export(function, platforms=PLATFORMS)(weights, audio)
    return bytes(exported.serialize())


def read_program(content: bytes, *, made: str) -> Any:
    """The `jax.export.Exported` of a program; None if it is too old, or not for what is here.

    Args:
        content: of `make_program`.
        made: when, in ISO 8601.
    """
    try:
        age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(made)
        if age > _KEPT:
            return None
        exported = export.deserialize(bytearray(content))
    except Exception:  # whatever a later version of jax does not read
        return None
    here = {"gpu": "cuda"}.get(jax.default_backend(), jax.default_backend())
    return exported if here in exported.platforms else None
