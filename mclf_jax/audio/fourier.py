"""Fourier transforms in numpy and in jax, and as products for runtimes that have none."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from mclf_jax.audio.arrays import Array, array_module, constant, matmul

_context: Any = None  # made when it is first asked for, as jax then traces anew
# Of longer transforms the matrix would take megabytes; two short ones are as fast.
_LONGEST_PRODUCT = 128


@contextlib.contextmanager
def as_products() -> Iterator[None]:
    """What jax traces within has products with constant cosines and sines as its transforms.

    ONNX has a transform, but not what jax makes of real input. The numbers differ by rounding.
    """
    global _context
    if _context is None:
        import jax

        # Of jax, which keeps what it traced in one from being used in the other.
        _context = jax.make_user_context(False)
    with _context(True):
        yield


def are_products() -> bool:
    """Whether jax traces within `as_products`."""
    return _context is not None and _context.value


def rfft(x: Array) -> Array:
    """Fourier transform of real [..., N] along the last axis, complex [..., N//2 + 1]."""
    xp = array_module(x)
    if xp is np:
        import scipy.fft  # four times as fast as numpy.fft on float32

        return scipy.fft.rfft(x, axis=-1)
    if are_products():
        return _rfft_as_products(x)
    return xp.fft.rfft(x, axis=-1)


def ifft(real: Array, imag: Array) -> Array:
    """Inverse Fourier transform along the first axis of real and imaginary parts, complex."""
    xp = array_module(real)
    if xp is np:
        import scipy.fft  # several times as fast as numpy.fft in single precision

        return scipy.fft.ifft(real + 1j * imag, axis=0)
    if are_products():
        return _ifft_as_products(real, imag)
    return xp.fft.ifft(real + 1j * imag, axis=0)


def _rfft_as_products(x: Array) -> Array:
    n = x.shape[-1]
    bins, columns = n // 2 + 1, _columns(n)
    if columns == n:
        parts = matmul(x, constant(_real_matrix, n, bins, like=x))
        return _complex(parts[..., :bins], parts[..., bins:])
    # Sample c + C r and bin k + R l of N = R C samples (Cooley and Tukey 1965): transforms of
    # length R for each c, turned by c k / N, and transforms of length C for each k.
    rows = n // columns
    parts = matmul(
        x.reshape(*x.shape[:-1], rows, columns).swapaxes(-1, -2),
        constant(_real_matrix, rows, rows, like=x),
    )
    real, imag = parts[..., :rows], parts[..., rows:]
    turn_real, turn_imag = (
        constant(make, columns, rows, n, like=x) for make in (_cosines, _minus_sines)
    )
    xp = array_module(x)
    turned = xp.concatenate(
        [real * turn_real - imag * turn_imag, real * turn_imag + imag * turn_real], axis=-2
    ).swapaxes(-1, -2)
    needed = -(-bins // rows)
    parts = matmul(turned, constant(_complex_matrix, columns, needed, like=x)).swapaxes(-1, -2)
    real, imag = (
        part.reshape(*x.shape[:-1], needed * rows)[..., :bins]
        for part in (parts[..., :needed, :], parts[..., needed:, :])
    )
    return _complex(real, imag)


def _ifft_as_products(real: Array, imag: Array) -> Array:
    xp, n = array_module(real), real.shape[0]
    # The inverse of a + ib is the conjugate of the transform of a - ib, over N.
    parts = xp.concatenate([xp.moveaxis(real, 0, -1), -xp.moveaxis(imag, 0, -1)], axis=-1)
    parts = xp.moveaxis(matmul(parts, constant(_complex_matrix, n, n, like=real)), -1, 0) / n
    return _complex(parts[:n], -parts[n:])


def _columns(n: int) -> int:
    """The divisor of N nearest to its root, if one transform of N is too long."""
    if n <= _LONGEST_PRODUCT:
        return n
    return min((c for c in range(2, n + 1) if n % c == 0), key=lambda c: abs(c - n**0.5))


def _complex(real: Array, imag: Array) -> Array:
    from jax import lax

    return lax.complex(real, imag)


def _cosines(rows: int, columns: int, n: int) -> np.ndarray:
    # The product of two numbers has an exact remainder; its cosine has all digits.
    return np.cos(2 * np.pi / n * (np.outer(np.arange(rows), np.arange(columns)) % n))


def _minus_sines(rows: int, columns: int, n: int) -> np.ndarray:
    return -np.sin(2 * np.pi / n * (np.outer(np.arange(rows), np.arange(columns)) % n))


def _real_matrix(n: int, bins: int) -> np.ndarray:
    """Real [N] to real and imaginary parts, one after the other: [N, 2 bins]."""
    return np.concatenate([_cosines(n, bins, n), _minus_sines(n, bins, n)], axis=1)


def _complex_matrix(n: int, bins: int) -> np.ndarray:
    """Real and imaginary parts, one after the other, to those of the transform: [2N, 2 bins]."""
    cosines, sines = _cosines(n, bins, n), _minus_sines(n, bins, n)
    return np.block([[cosines, sines], [-sines, cosines]])
