"""Scores played by soundfonts, and what rooms, pedals and old recordings make of them."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mclf_jax.augment.base import WaveformAugmentation
from mclf_jax.augment.delivery.compressor import Compressor
from mclf_jax.augment.distortions import Downsample
from mclf_jax.augment.filters import HighPass, LowPass
from mclf_jax.augment.reverb import Reverb
from mclf_jax.augment.waveform import Clipping, Delay, Noise
from mclf_jax.data.made.fonts import Font, choose
from mclf_jax.data.made.programs import DRUMS
from mclf_jax.data.made.score import Score

_CHANCES = {
    "distortion": 0.08,
    "echo": 0.12,
    "reverb": 0.4,
    "compression": 0.15,
    "dull": 0.15,
    "thin": 0.08,
    "low rate": 0.08,
    "noise": 0.15,
}
_MOST_FORMANT_SEMITONES = 3.0
_DRUM_CHANNEL = 9


class Player:
    """Holds the soundfonts in memory; not to be shared by threads.

    Args:
        paths: file of each font.
        sample_rate_hz: of the audio.

    Raises:
        ImportError: tinysoundfont is not installed; the message says how.
    """

    def __init__(self, paths: Mapping[Font, Path], *, sample_rate_hz: int):
        try:
            tinysoundfont = importlib.import_module("tinysoundfont")
        except ImportError as error:
            raise ImportError(
                "tinysoundfont plays the soundfonts and is missing: pip install --no-deps "
                "tinysoundfont"
            ) from error
        self.sample_rate_hz = sample_rate_hz
        self._synths: dict[Font, Any] = {}
        for font, path in paths.items():
            self._synths[font] = tinysoundfont.Synth(gain=-12, samplerate=sample_rate_hz)
            self._synths[font].sfload(str(path))

    def play(self, score: Score, *, split: str, formant_semitones: float = 0.0) -> np.ndarray:
        """Float32 [T] of a score, mono, dry.

        Args:
            score: the song.
            split: of the fonts that play it.
            formant_semitones: how much higher all resonances lie: played so much lower, as far
                as tuning goes, and then read faster.
        """
        speed = 2 ** (formant_semitones / 12)
        total = round(score.song_s * self.sample_rate_hz)
        events: dict[Font, list[tuple]] = {}
        channels = iter([channel for channel in range(16) if channel != _DRUM_CHANNEL])
        for part in score.parts:
            font, kit = choose(
                part.font, program=part.program, split=split, fonts=tuple(self._synths)
            )
            channel = _DRUM_CHANNEL if part.program == DRUMS else next(channels)
            synth = self._synths[font]
            bank, preset = font.drums[kit] if part.program == DRUMS else (0, part.program)
            synth.program_select(channel, 0, bank, preset, bank == 128)
            synth.set_tuning(channel, 0.0 if part.program == DRUMS else -formant_semitones)
            synth.control_change(channel, 7, round(127 * 10 ** (part.level_db / 60)))  # a cube
            for onset_s, length_s, pitch, velocity in part.notes:
                first, last = (
                    round(at_s * speed * self.sample_rate_hz)
                    for at_s in (onset_s, onset_s + length_s)
                )
                message = (channel, int(pitch), int(velocity))
                events.setdefault(font, []).extend([(first, 1, *message), (last, 0, *message)])
        mixed = np.zeros(round(total * speed), np.float32)
        for font, of_font in events.items():
            mixed += _perform(self._synths[font], sorted(of_font), len(mixed))
        if len(mixed) == total:
            return mixed
        # Read faster or slower: linear interpolation, which dulls the top octave a little.
        return np.interp(np.arange(total) * speed, np.arange(len(mixed)), mixed).astype(np.float32)


def _perform(synth: Any, events: list[tuple], num_samples: int) -> np.ndarray:
    """Mono, from (sample, on or off, channel, pitch, velocity) in order."""
    out, now = [], 0
    for at, is_on, channel, pitch, velocity in events:
        if (until := min(at, num_samples)) > now:
            out.append(np.frombuffer(synth.generate(until - now), np.float32))
            now = until
        if is_on:
            synth.noteon(channel, pitch, velocity)
        else:
            synth.noteoff(channel, pitch)
    if num_samples > now:
        out.append(np.frombuffer(synth.generate(num_samples - now), np.float32))
    # Nothing is left of a song in the next one, whichever that is.
    synth.sounds_off()
    synth.generate(synth.samplerate // 4)
    return np.concatenate(out).reshape(-1, 2).mean(axis=1)


def draw_effects(rng: np.random.Generator, sample_rate_hz: int) -> dict[str, WaveformAugmentation]:
    """The effects of a song by their names in `labels.EFFECTS`, in the order of a studio."""
    every = {
        "distortion": Clipping(-24.0, -9.0),
        "echo": Delay(sample_rate_hz, (0.12, 0.2, 0.25, 0.33, 0.4), volume=0.6),
        "reverb": Reverb(sample_rate_hz, min_decay_s=0.3, max_decay_s=2.5, min_wet_db=-14.0),
        "compression": Compressor(sample_rate_hz),
        "dull": LowPass(sample_rate_hz, min_hz=1200.0, max_hz=4000.0),
        "thin": HighPass(sample_rate_hz, min_hz=200.0, max_hz=900.0),
        "low rate": Downsample(
            sample_rate_hz, rates_hz=tuple(sample_rate_hz * share for share in (0.25, 0.35, 0.5))
        ),
        "noise": Noise(8.0, 30.0, color=(-6.0, 0.0)),
    }
    drawn = rng.uniform(size=len(every)) < np.array([_CHANCES[name] for name in every])
    return {name: every[name] for name, there in zip(every, drawn, strict=True) if there}


def treatment(
    *, seed: int, index: int, sample_rate_hz: int
) -> tuple[np.random.Generator, float, dict[str, WaveformAugmentation]]:
    """What is done to a song: (draws to go on with, semitones of its formants, its effects)."""
    rng = np.random.default_rng([seed, index, 1])
    formant = float(rng.choice([0.0, rng.uniform(-1, 1) * _MOST_FORMANT_SEMITONES]))
    return rng, formant, draw_effects(rng, sample_rate_hz)


def render(player: Player, score: Score, *, seed: int, index: int, split: str) -> np.ndarray:
    """A song as it is written: float32 [T] within -1..1.

    Args:
        player: with its fonts.
        score: of `score.compose` with the same seed and index.
        seed, index: what is drawn here depends on them alone.
        split: of the fonts that play.
    """
    rng, formant, effects = treatment(seed=seed, index=index, sample_rate_hz=player.sample_rate_hz)
    audio = player.play(score, split=split, formant_semitones=formant)
    for effect in effects.values():
        audio = np.asarray(effect(rng, audio), np.float32)
    peak_db = rng.uniform(-15, -1)
    loudest = max(float(np.abs(audio).max(initial=0.0)), 1e-4)
    return audio * np.float32(10 ** (peak_db / 20) / loudest)
