"""Time of augmentations here, in audiomentations and in torch-audiomentations, on the same clips.

    python benchmarks/augment.py                        # 32 clips of 2.68 s at 22,050 Hz
    python benchmarks/augment.py --clips 128 --only "pitch shift" "CLMR chain"

Peers are measured if they are installed. audiomentations works on one clip after the other, as
ours does with numpy in the pipeline's processes; ours on the device is one jitted call on the
batch, as in a training step, and so is torch-audiomentations. All are applied with probability 1
except in the chain, which is CLMR's without pitch shift, with its own probabilities. There,
audiomentations has a function of two lines for the delay, which it lacks. The reverb of the chain
is a convolution with one response of a second, on both sides; in a row of its own it is a room
drawn for every clip as in CLMR, which audiomentations simulates if pyroomacoustics is installed. Rounds go through all candidates in turn,
so that whatever else the machine does hits all of them; times are medians, per clip.
"""

import argparse
import importlib.util
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import numpy as np
import soundfile

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
OURS = ("jax, batch", "numpy, clip")
PEERS = ("audiomentations", "torch-audiomentations")
Calls = dict[str, Callable[[], object]]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--samples", type=int, default=59049, help="of a clip, at 22,050 Hz")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", nargs="+", help="names of rows; all if not given")
    arguments = parser.parse_args(argv)
    warnings.filterwarnings("ignore", module=".*audiomentations")

    clips = make_clips(arguments.clips, arguments.samples)
    with tempfile.TemporaryDirectory() as folder:
        response = Path(folder) / "response.wav"
        soundfile.write(response, make_response(), RATE_HZ)
        rows = candidates(clips, str(response))
        names = arguments.only or list(rows)
        if unknown := sorted(set(names) - set(rows)):
            parser.error(f"--only has {unknown}; rows are: {', '.join(rows)}")
        print(f"{arguments.clips} clips of {arguments.samples / RATE_HZ:.2f} s, ms per clip")
        print(f"jax on {jax.devices()[0].device_kind}, median of {arguments.rounds} rounds\n")
        print("| | jax, batch | numpy, clip | audiomentations | torch-audiomentations |")
        print("|---|---|---|---|---|")
        for name in names:
            print(row(name, measure(rows[name], len(clips), arguments.rounds)), flush=True)


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


def measure(calls: Calls, num_clips: int, rounds: int) -> dict[str, float]:
    """Milliseconds per clip by candidate; a peer that fails here is left out, and it is said."""
    for name, call in list(calls.items()):
        try:
            call()
        except Exception as error:
            if name in OURS:
                raise
            print(f"{name} failed: {error!r}", file=sys.stderr)
            del calls[name]
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: float(np.median(t)) / num_clips * 1e3 for name, t in times.items()}


def row(name: str, ms: dict[str, float]) -> str:
    """A line of the table; behind each peer, how many times ours it takes."""
    cells = [f"{ms[ours]:.3f}" for ours in OURS]
    for peer in PEERS:
        ratios = " / ".join(f"{ms[peer] / ms[ours]:.1f}" for ours in OURS) if peer in ms else ""
        cells.append(f"{ms[peer]:.3f} ({ratios} x)" if peer in ms else "")
    return f"| {name} | {' | '.join(cells)} |"


def candidates(clips: np.ndarray, response: str) -> dict[str, Calls]:
    """Rows of the table: what to call for each column."""
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


if __name__ == "__main__":
    main()
