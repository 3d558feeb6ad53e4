"""Named streams of randomness: the only door to random keys and to seeds of their own."""

import zlib

import jax


def number(seed: int, name: str) -> int:
    """The seed of a named stream where numpy or a data pipeline wants a number.

    >>> number(0, "unlabelled") == number(1, "unlabelled")
    False
    """
    return zlib.crc32(f"{name} {seed}".encode())


def stream(seed: int, name: str) -> jax.Array:
    """The root of all randomness of one kind, such as "init" or "step".

    Nothing random is stored or passed along: fold the step into it, and the key of any step is
    known without those before.

    >>> jax.random.fold_in(stream(0, "step"), 7).shape
    ()
    """
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))
