"""Published chains of waveform augmentation: their order, probabilities and ranges.

Like in the published code, each example has its own draw. All but `pase_plus` were made with
torchaudio-augmentations (v0.2.4). What is the same in these, and differs from that library:

- The random crop that begins each chain is not in it: windows are cut at random before, by
  the pipeline. Put `RandomCrop` in front where that is not so.
- Its noise takes a ratio r of the amplitudes of noise and signal, though it calls it SNR. Here
  are the same limits in decibels, -20 log10(r); between them decibels are uniform, not r.
- Its gain clamps to full scale. As it only turns down, that never mattered; here nothing clamps.
- Its pitch shift is a whole number of cents and gives back the input where sox failed. Here
  the shift is any number within the same range.
- Its reverb is that of sox, with whole numbers from 0 to 99 for reverberance, damping and room
  scale. Here they mean the same, see `reverb.SoxReverb`, and are any numbers in that range.
- It mixes the random states of Python, numpy and torch, so that workers repeat each other's
  draws unless all three are seeded. Here all draws come from the one key.
"""

import math
from collections.abc import Sequence

import numpy as np

from mclf_jax.augment.compose import Augmentation, Compose, compose, random_apply
from mclf_jax.augment.distortions import BandDrop, Chop, Downsample
from mclf_jax.augment.filters import HighLowPass
from mclf_jax.augment.pitch import PitchShift
from mclf_jax.augment.reverb import ImpulseResponse, Reverb, SoxReverb
from mclf_jax.augment.waveform import (
    BackgroundMix,
    Clipping,
    Delay,
    Gain,
    Noise,
    PolarityInversion,
)

_GAIN = {"min_db": -20.0, "max_db": -1.0}
_DELAY = {"delays_s": (0.2, 0.25, 0.3, 0.35, 0.4, 0.45), "volume": 0.5}
_FILTER = {"high_pass_hz": (200.0, 1200.0), "low_pass_hz": (2200.0, 4000.0)}
_PITCH = {"min_semitones": -7.0, "max_semitones": 7.0}


def clmr(sample_rate_hz: int) -> Compose:
    """The chain of CLMR (Spijkervet and Burgoyne 2021), as in its code.

    Polarity .8, noise .01, gain .3, high-pass or low-pass .8, delay .3, pitch .6, reverb .6. The
    noise is at 40 to 80 dB and rare: next to nothing.

    Args:
        sample_rate_hz: of the waveforms, at least 8000; 22050 in the paper.

    >>> clmr(8000)(np.random.default_rng(0), np.ones((2, 4000))).shape
    (2, 4000)
    """
    chances = (0.8, 0.01, 0.3, 0.8, 0.3, 0.6, 0.6)
    return _contrastive(sample_rate_hz, noise=_noise(1e-4, 1e-2), chances=chances)


def tutorial(sample_rate_hz: int) -> Compose:
    """The chain of the tutorial's data set (chapter 9), which is what its results come from.

    Polarity .8, noise .3 at 6.0 to 10.5 dB, gain .2, high-pass or low-pass .8, delay .5, pitch
    .4, reverb .3. The contrastive notebook sets other probabilities (polarity .8, filters .6,
    noise .1, gain .3, delay .4, pitch .4, reverb .4), but nothing reads them: its data set builds
    this list. The tutorial writes 22050 Hz into it; here filters and delays follow the rate.

    Args:
        sample_rate_hz: of the waveforms, at least 8000; 22050 in the tutorial.
    """
    chances = (0.8, 0.3, 0.2, 0.8, 0.5, 0.4, 0.3)
    return _contrastive(sample_rate_hz, noise=_noise(0.3, 0.5), chances=chances)


def musicnn_noisy_student(sample_rate_hz: int) -> Compose:
    """The noise of the student in music tagging's noisy student training (Won et al. 2021).

    The published code takes the tutorial's list. It is for the student alone, on its labelled
    and its unlabelled audio; the teacher hears both clean. In that code a misspelt keyword
    (`is_agumentation`) is an error before anything is augmented.

    Args:
        sample_rate_hz: of the waveforms, at least 8000; 22050 in the published code.
    """
    return tutorial(sample_rate_hz)


def pase_plus(
    sample_rate_hz: int,
    *,
    overlap: Sequence[np.ndarray] | None = None,
    noises: Sequence[np.ndarray] | None = None,
    responses: Sequence[np.ndarray] | None = None,
) -> Compose:
    """The distortions of PASE+ (Ravanelli et al. 2020), as in its code.

    Reverb .5, overlap .1 at 5 to 10 dB, noise .4 at 0 to 10 dB, clipping .2 at .1 to .5 of the
    peak, chops .2, missing band .35, 8 kHz .25. Published levels are one of three; here they are
    uniform in decibels between the outer ones. The published noises, voices and rooms are
    recordings, which are given or stood in for: rooms by `Reverb`, noise by brown to white
    noise, and without `overlap` nothing overlaps. In the published code an overlapping voice
    begins later than the window and has the reverberation of a room, here neither.

    Args:
        sample_rate_hz: of the waveforms, at least 8000; 16000 in the paper.
        overlap: recordings [T'] of voices or other music at that rate.
        noises: recordings of noise.
        responses: impulse responses of rooms.

    >>> pase_plus(8000)(np.random.default_rng(0), np.ones((2, 4000))).shape
    (2, 4000)
    """
    rooms = ImpulseResponse(responses) if responses is not None else Reverb(sample_rate_hz)
    noise: Augmentation = Noise(0.0, 10.0, color=(-6.0, 0.0))
    if noises is not None:
        noise = BackgroundMix(noises, 0.0, 10.0)
    chain = [
        random_apply(rooms, p=0.5),
        random_apply(noise, p=0.4),
        random_apply(Clipping(-20.0, 20 * math.log10(0.5)), p=0.2),
        random_apply(Chop(sample_rate_hz), p=0.2),
        random_apply(BandDrop(sample_rate_hz), p=0.35),
        random_apply(Downsample(sample_rate_hz, rates_hz=(8000.0,)), p=0.25),
    ]
    if overlap is not None:
        chain.insert(1, random_apply(BackgroundMix(overlap, 5.0, 10.0), p=0.1))
    return compose(chain)


def _contrastive(sample_rate_hz: int, *, noise: Noise, chances: Sequence[float]) -> Compose:
    """What CLMR and the tutorial share: the links and their order, each with its probability."""
    links = (
        PolarityInversion(),
        noise,
        Gain(**_GAIN),
        HighLowPass(sample_rate_hz, **_FILTER),
        Delay(sample_rate_hz, **_DELAY),
        PitchShift(sample_rate_hz, **_PITCH),
        SoxReverb(sample_rate_hz),
    )
    return compose([random_apply(link, p=p) for link, p in zip(links, chances, strict=True)])


def _noise(min_ratio: float, max_ratio: float) -> Noise:
    """Of the ratio of amplitudes, noise to signal."""
    decibels = (-20 * math.log10(ratio) for ratio in (max_ratio, min_ratio))
    return Noise(*decibels)
