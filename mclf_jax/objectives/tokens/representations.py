"""What is heard at each token, as a vector: frames of a representation that lie within it."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mclf_jax.audio.cqt import C1_HZ, CQT
from mclf_jax.audio.features import Features, LogMel
from mclf_jax.common import checks
from mclf_jax.models import Model

REPRESENTATIONS = ("input", "log_mel", "cqt")
# Of OMAR-RQ: frames of a token where the hop allows it, bands, bins of a quarter tone.
_FRAMES = (3, 4, 2, 1)
_BANDS = 96
_BINS, _BINS_PER_OCTAVE = 188, 24
# Of the sample rate: so high may a bin of that width lie.
_HIGHEST = 0.48


class Timing(NamedTuple):
    """How the tokens of a network lie in its window.

    Attributes:
        count: n, of those that lie within it as a whole.
        hop: samples of one.
    """

    count: int
    hop: int


def timing_of(model: Model, *, output: str, needed_by: str) -> Timing:
    """When the steps of an output [B, S, ...] of a network are, nothing computed.

    Args:
        model: the network.
        output: its name, "tokens" or "codes".
        needed_by: for messages, such as "objective.name 'masked_tokens'".

    Raises:
        ValueError: there is no such output, or it is not along time alone.
    """

    def run(key):
        x = jnp.zeros((1, *model.input_shape))
        return model.module.init_with_output({"params": key}, x, train=False)[0]

    found = jax.eval_shape(run, jax.random.key(0)).get(output)
    if found is None:
        take = "musicfm, or vit with patches of all bands" if output == "tokens" else "rvq"
        raise ValueError(
            f"model.name is {model.name!r}, which returns no {output!r} along time; for "
            f"{needed_by} take {take}"
        )
    if hasattr(model.module, "grid") and (rows := model.module.grid(model.input_shape).rows) > 1:
        raise ValueError(
            f"model.args.patch is {model.module.patch}, {rows} patches at each moment; for "
            f"{needed_by} take patches of all bands, such as (4, {model.input_shape[1]})"
        )
    frames = max(1, round(model.input_shape[0] / found.shape[1]))
    hop = frames * getattr(model.features, "hop_length", 1)
    return Timing(min(found.shape[1], model.window_samples // hop), hop)


@dataclasses.dataclass(frozen=True)
class Stacked:
    """A representation, cut into one vector for each token: [B, T] -> [B, n, frames * M].

    Attributes:
        features: [B, T] -> [B, F, M], or the samples themselves.
        frames: of them, or samples, in a token.
        count: n.
    """

    features: Features
    frames: int
    count: int

    def __call__(self, audio: jax.Array) -> jax.Array:
        x = self.features(audio)[:, : self.frames * self.count]
        return x.reshape(x.shape[0], self.count, -1)

    def size(self, num_samples: int) -> int:
        """How long a vector is."""
        return self.frames * math.prod(self.features.shape(num_samples)[1:])


def stacked(name: str, model: Model, timing: Timing) -> Stacked:
    """A representation by its name in `REPRESENTATIONS`.

    "input" is what the network takes. "log_mel" (96 bands) and "cqt" (188 quarter tones from C1 on,
    or as many as the sample rate has room for) are those of OMAR-RQ, three frames a token where
    its length divides by three.

    Args:
        name: which one.
        model: the network that is to tell.
        timing: of its tokens.

    Raises:
        ValueError: there is no such representation.
    """
    checks.choice("objective.args.representations", name, REPRESENTATIONS)
    if name == "input":
        frames = timing.hop // getattr(model.features, "hop_length", 1)
        return Stacked(model.features, frames, timing.count)
    frames = next(number for number in _FRAMES if timing.hop % number == 0)
    rate_hz, hop_length = model.features.sample_rate_hz, timing.hop // frames
    if name == "log_mel":
        mel = {"n_mels": _BANDS, "mel_scale": "slaney", "mel_norm": "slaney"}
        settings = LogMel(sample_rate_hz=rate_hz, hop_length=hop_length, n_fft=512, **mel)
        return Stacked(settings, frames, timing.count)
    octaves = math.log2(_HIGHEST * rate_hz / C1_HZ)
    settings = CQT(
        sample_rate_hz=rate_hz,
        hop_length=hop_length,
        num_bins=min(_BINS, 1 + math.floor(octaves * _BINS_PER_OCTAVE)),
        bins_per_octave=_BINS_PER_OCTAVE,
    )
    return Stacked(settings, frames, timing.count)
