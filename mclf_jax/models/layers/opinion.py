"""A second opinion beside the last layer: support vectors among the variables of a network.

What is learnt of few songs is unsure, and two ways of learning are wrong about other songs, so that
a network of noise and a machine on MFCCs are better together than either. The machine is fitted
before training (`shallow.opinion`), on statistics of MFCCs or on an embedding that training leaves
as it is; it is no parameter, and goes wherever the variables go: checkpoints, reports, exported
files.
"""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from mclf_jax.audio.arrays import Array, array_module, constant, matmul
from mclf_jax.audio.mel import cosine_transform

COLLECTION = "opinion"
MFCC, EMBEDDING = READS = ("mfcc", "embedding")
"""What the machine may read."""
NUM_COEFFICIENTS = 20
_REACH = 4


def window_statistics(x: Array) -> Array:
    """Of spectrograms [..., F, M], numpy or jax: [..., 4 C], as `shallow.mfcc.mfcc_statistics`.

    Means and deviations over time of C cepstral coefficients (20, or M if these are fewer) and of
    their slopes over nine frames.
    """
    xp, num_bands = array_module(x), x.shape[-1]
    num_coefficients = min(NUM_COEFFICIENTS, num_bands)
    mfcc = matmul(x, constant(cosine_transform, num_bands, num_coefficients, like=x))
    mfcc = mfcc.swapaxes(-1, -2)
    slopes = matmul(mfcc, constant(_slopes, mfcc.shape[-1], like=x))
    return xp.concatenate([f(-1) for y in (mfcc, slopes) for f in (y.mean, y.std)], axis=-1)


def _slopes(num_frames: int) -> np.ndarray:
    """[F, F]: what makes slopes of the least squares over nine frames of values [..., F], of which
    the first and the last one go on beyond the ends."""
    matrix, frame = np.zeros((num_frames, num_frames)), np.arange(num_frames)
    for n in range(1, _REACH + 1):
        np.add.at(matrix, (np.minimum(frame + n, num_frames - 1), frame), n)
        np.add.at(matrix, (np.maximum(frame - n, 0), frame), -n)
    return matrix / (2 * sum(n * n for n in range(1, _REACH + 1)))


class SecondOpinion(nn.Module):
    """Logits of a network [B, K] and of the machine, in shares.

    It has no part in training: call it in evaluation alone. Before it is fitted it changes nothing.
    The mean of logits is the geometric mean of probabilities, or of odds; of numbers it is their
    mean.

    Attributes:
        num_references: R, windows that others are compared with.
    """

    num_references: int

    @nn.compact
    def __call__(self, vectors, logits):
        """What the machine reads [B, D], and the network's logits [B, K] -> logits [B, K]."""
        size, num_labels = vectors.shape[-1], logits.shape[-1]
        shapes = shapes_of(size, num_labels=num_labels, num_references=self.num_references)
        kept = {
            name: self.variable(COLLECTION, name, jnp.full, shape, value, jnp.float32).value
            for name, (shape, value) in shapes.items()
        }
        z = (vectors - kept["mean"]) / kept["scale"]
        squares = jnp.square(z[:, None] - kept["references"]).sum(-1)
        near = jnp.exp(-squares / size)
        return kept["share"] * logits + matmul(near, kept["weights"]) + kept["bias"]


def shapes_of(
    size: int, *, num_labels: int, num_references: int
) -> dict[str, tuple[tuple[int, ...], float]]:
    """{variable: (shape, value before it is fitted)}, of vectors of a size.

    "mean" and "scale" standardise vectors, "references" are standardised, "weights" and "bias"
    have the share of the machine in them already, "share" is the network's.
    """
    return {
        "mean": ((size,), 0.0),
        "scale": ((size,), 1.0),
        "references": ((num_references, size), 0.0),
        "weights": ((num_references, num_labels), 0.0),
        "bias": ((num_labels,), 0.0),
        "share": ((), 1.0),
    }


def empty(size: int, *, num_labels: int, num_references: int) -> dict[str, np.ndarray]:
    """The variables before they are fitted."""
    shapes = shapes_of(size, num_labels=num_labels, num_references=num_references)
    return {name: np.full(shape, value, np.float32) for name, (shape, value) in shapes.items()}
