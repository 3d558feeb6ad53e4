"""The same augmentations of the same clips here, in audiomentations and in torch-audiomentations.

audiomentations works on one clip after the other, as ours does with numpy in the pipeline's
processes; ours on the device is one jitted call on the batch, as in a training step, and so is
torch-audiomentations. All are applied with probability 1 except in the chain, which is CLMR's
without pitch shift, with its own probabilities. There, audiomentations has a function of two lines
for the delay, which it lacks. The reverb of the chain is a convolution with one response of a
second, on both sides; in a row of its own it is a room drawn for every clip as in CLMR, which
audiomentations simulates if pyroomacoustics is installed.
"""

import importlib.util
from collections.abc import Callable

import jax
import numpy as np

from mclf_jax.augment import presets
from mclf_jax.augment.compose import compose, random_apply
from mclf_jax.augment.filters import HighLowPass, HighPass, LowPass
from mclf_jax.augment.pitch import PitchShift, TimeStretch
from mclf_jax.augment.reverb import ImpulseResponse, Reverb, SoxReverb
from mclf_jax.augment.waveform import (
    BackgroundMix,
    Clipping,
    Delay,
    Gain,
    Noise,
    PolarityInversion,
    RandomCrop,
    Reverse,
    Shift,
)

RATE_HZ = 22050
Calls = dict[str, Callable[[], object]]


def make_clips(count: int, samples: int) -> np.ndarray:
    """Chords that decay, with noise: [count, samples]."""
    rng = np.random.default_rng(0)
    t = np.arange(samples) / RATE_HZ
    hz = 110 * 2 ** (rng.integers(0, 24, (count, 3, 1)) / 12)
    chords = np.sin(2 * np.pi * hz * t).sum(1) * np.exp(-2 * (t % 0.5))
    return (0.1 * chords + 0.01 * rng.standard_normal(chords.shape)).astype(np.float32)


def make_response() -> np.ndarray:
    """One second of noise that falls by 60 dB."""
    t = np.arange(RATE_HZ) / RATE_HZ
    return np.random.default_rng(1).standard_normal(RATE_HZ) * 10 ** (-3 * t) * 0.05


def candidates(clips: np.ndarray, response: str) -> dict[str, Calls]:
    """{augmentation: {who: call}}; peers are there if they are installed."""
    chain = [a for a in presets.clmr(RATE_HZ).augmentations if "PitchShift" not in repr(a)]
    one_response = random_apply(ImpulseResponse([make_response()]), p=0.6)
    ours = {
        "gain": Gain(),
        "polarity": PolarityInversion(),
        "white noise": Noise(5.0, 40.0),
        "colored noise": Noise(5.0, 40.0, (-6.0, 6.0)),
        "background": BackgroundMix(clips[:4], 3.0, 30.0),
        "clipping": Clipping(),
        "delay": Delay(RATE_HZ),
        "reverse": Reverse(),
        "crop": RandomCrop(clips.shape[1] // 2),
        "shift": Shift(),
        "high-pass": HighPass(RATE_HZ),
        "low-pass": LowPass(RATE_HZ),
        "high- or low-pass": HighLowPass(RATE_HZ),
        "time stretch": TimeStretch(),
        "pitch shift": PitchShift(RATE_HZ),
        "impulse response": ImpulseResponse([make_response()]),
        "reverb": Reverb(RATE_HZ),
        "sox reverb": SoxReverb(RATE_HZ),
        "CLMR chain": compose([*chain[:-1], one_response]),
        "CLMR chain, room": compose(chain),
    }
    rows = {name: _ours(augmentation, clips) for name, augmentation in ours.items()}
    if importlib.util.find_spec("audiomentations"):
        for name, call in _audiomentations(clips, response).items():
            rows[name]["audiomentations"] = call
    if importlib.util.find_spec("torch_audiomentations"):
        for name, call in _torch_audiomentations(clips, response).items():
            rows[name]["torch-audiomentations"] = call
    return rows


def _ours(augmentation, clips: np.ndarray) -> Calls:
    on_device, compiled = jax.device_put(clips), jax.jit(augmentation)
    keys = iter(jax.random.split(jax.random.key(0), 1000))
    rng = np.random.default_rng(0)
    return {
        "jax, batch": lambda: compiled(next(keys), on_device).block_until_ready(),
        "numpy, clip": lambda: [augmentation(rng, clip) for clip in clips],
    }


def _audiomentations(clips: np.ndarray, response: str) -> Calls:
    import audiomentations as am

    def one_filter(p):
        choices = [am.HighPassFilter(200, 1200, p=1), am.LowPassFilter(2200, 4000, p=1)]
        return am.OneOf(choices, p=p)

    def delay(samples, sample_rate):
        later = int(np.random.choice([0.2, 0.25, 0.3, 0.35, 0.4, 0.45]) * sample_rate)
        return (samples + 0.5 * np.pad(samples, (later, 0))[: len(samples)]) / 2

    def chain(reverb):
        before = [
            am.PolarityInversion(p=0.8),
            am.AddGaussianSNR(40, 80, p=0.01),
            am.Gain(-20, -1, p=0.3),
            one_filter(p=0.8),
            am.Lambda(delay, p=0.3),
        ]
        return am.Compose([*before, reverb])

    convolution = am.ApplyImpulseResponse(response, p=1, leave_length_unchanged=True)
    theirs = {
        "gain": am.Gain(-18, 6, p=1),
        "polarity": am.PolarityInversion(p=1),
        "white noise": am.AddGaussianSNR(5, 40, p=1),
        "colored noise": am.AddColorNoise(5, 40, -6, 6, p=1),
        "clipping": am.ClippingDistortion(p=1),
        "delay": am.Lambda(delay, p=1),
        "reverse": am.Reverse(p=1),
        "crop": am.AdjustDuration(clips.shape[1] // 2, p=1),
        "shift": am.Shift(p=1),
        "high-pass": am.HighPassFilter(200, 1200, p=1),
        "low-pass": am.LowPassFilter(2200, 4000, p=1),
        "high- or low-pass": one_filter(p=1),
        "time stretch": am.TimeStretch(p=1),
        "pitch shift": am.PitchShift(-7, 7, p=1),
        "impulse response": convolution,
        "reverb": convolution,
        "sox reverb": convolution,
        "CLMR chain": chain(am.ApplyImpulseResponse(response, p=0.6, leave_length_unchanged=True)),
    }
    if importlib.util.find_spec("pyroomacoustics"):
        theirs["CLMR chain, room"] = chain(am.RoomSimulator(leave_length_unchanged=True, p=0.6))

    def runner(transform):
        return lambda: [transform(samples=clip, sample_rate=RATE_HZ) for clip in clips]

    return {name: runner(transform) for name, transform in theirs.items()}


def _torch_audiomentations(clips: np.ndarray, response: str) -> Calls:
    import torch
    import torch_audiomentations as ta

    waveform = torch.from_numpy(clips)[:, None]

    def one_filter(p):
        choices = [ta.HighPassFilter(200, 1200, p=1), ta.LowPassFilter(2200, 4000, p=1)]
        return ta.OneOf(choices, p=p)

    theirs = {
        "gain": ta.Gain(-18, 6, p=1),
        "polarity": ta.PolarityInversion(p=1),
        "colored noise": ta.AddColoredNoise(5, 40, -2, 2, p=1),
        "reverse": ta.TimeInversion(p=1),
        "shift": ta.Shift(p=1),
        "high-pass": ta.HighPassFilter(200, 1200, p=1),
        "low-pass": ta.LowPassFilter(2200, 4000, p=1),
        "high- or low-pass": one_filter(1),
        "pitch shift": ta.PitchShift(-7, 7, p=1, sample_rate=RATE_HZ),
        "impulse response": ta.ApplyImpulseResponse(response, p=1),
        "reverb": ta.ApplyImpulseResponse(response, p=1),
        "sox reverb": ta.ApplyImpulseResponse(response, p=1),
    }

    def runner(transform):
        return lambda: transform(waveform, sample_rate=RATE_HZ)

    return {name: runner(transform) for name, transform in theirs.items()}
