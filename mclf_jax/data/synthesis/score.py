"""What a composer hands to the players: an artist, notes, and all that is true of them."""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from mclf_jax.data.synthesis.instruments import (
    MELODIC,
    PITCHED,
    Kit,
    Patch,
)
from mclf_jax.data.synthesis.styles import MODES, STYLES, Mode, Style

INSTRUMENTS = (*PITCHED, "drums")
_TONICS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
KEYS = tuple(f"{tonic} {third}" for third in ("major", "minor") for tonic in _TONICS)


@dataclasses.dataclass(frozen=True)
class Artist:
    """What the songs of one performer share, and what no two performers do."""

    style: str  # name in `STYLES`
    tempo_bias: float  # where in the style's tempo range the songs lie, 0 to 1
    register_semitones: int  # how much higher than usual the lead plays
    swing: float  # share of a step by which every second step is late
    jitter_s: float  # standard deviation of the onsets
    a4_hz: float  # what the instruments are tuned to
    preference: Mapping[str, float]  # weight of each melodic instrument
    patches: Mapping[str, Patch]  # the artist's version of each pitched instrument
    kit: Kit
    room: tuple[tuple[float, float], ...]  # (delay in s, gain) of the first reflections
    tilt: float  # gain of the sample before, in the microphone: above 0 is dull, below is bright
    hiss_db: float  # the noise of the recording, against the music


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """The notes of one instrument, N of them."""

    role: str  # "lead", "chords", "colour", "bass" or "drums"
    instrument: str  # in `INSTRUMENTS`
    level_db: float  # power in the mix, against that of the other parts
    start_s: np.ndarray  # float64 [N]
    length_s: np.ndarray  # float64 [N], 0 for drums
    pitch: np.ndarray  # int64 [N], MIDI note numbers; for drums, positions in `VOICES`
    velocity: np.ndarray  # float64 [N], 0 to 1


@dataclasses.dataclass(frozen=True, eq=False)
class Score:
    """A song before it sounds: the notes, and everything that is true of them."""

    artist: Artist
    tempo_bpm: float
    mode: str  # name in `MODES`
    tonic: int  # pitch class, 0 is C
    song_s: float
    chords: tuple[tuple[int, ...], ...] = ()  # pitch classes, root first, `chords_per_bar` a bar
    parts: tuple[Part, ...] = ()
    loudness_db: float = 0.0  # RMS of the song against full scale

    @property
    def style(self) -> Style:
        return STYLES[self.artist.style]

    @property
    def scale(self) -> Mode:
        return MODES[self.mode]

    @property
    def bar_s(self) -> float:
        return self.style.beats_per_bar * 60 / self.tempo_bpm

    @property
    def num_bars(self) -> int:
        """Bars that begin before the song ends."""
        return math.ceil(self.song_s / self.bar_s)

    @property
    def last_bar(self) -> int:
        """The last that is whole, where the music comes home."""
        return max(0, int(self.song_s / self.bar_s) - 1)

    @property
    def instruments(self) -> tuple[str, ...]:
        playing = {part.instrument for part in self.parts}
        return tuple(name for name in INSTRUMENTS if name in playing)

    @property
    def key(self) -> str:
        """One of `KEYS`; a mode counts as minor where its third is."""
        return KEYS[self.tonic + 12 * (self.scale.harmony[2] == 3)]

    @property
    def emotion(self) -> dict[str, float]:
        """Valence and arousal in [-1, 1]: weighted sums of musical cues.

        The cues and the signs of their weights follow Eerola, Friberg and Bresin, "Emotional
        expression in music: contribution, linearity, and additivity of primary musical cues"
        (2013): mode leads valence; tempo, density and dynamics lead arousal.
        """
        melodic = [part.pitch for part in self.parts if part.instrument in MELODIC]
        onsets = {round(start_s / 0.05) for part in self.parts for start_s in part.start_s}
        velocity = np.concatenate([part.velocity for part in self.parts]).mean()
        tempo = _clip(math.log2(self.tempo_bpm / 100) / 0.8)
        density = _clip(math.log2(len(onsets) / self.song_s / 5) / 1.2)
        register = _clip((np.concatenate(melodic).mean() - 66) / 8)
        dynamics = _clip((velocity - 0.65) / 0.1)
        return {
            "valence": 0.7 * self.scale.brightness + 0.2 * tempo + 0.1 * register,
            "arousal": 0.45 * tempo + 0.4 * density + 0.15 * dynamics,
        }


def _clip(x: float) -> float:
    return float(min(1.0, max(-1.0, x)))
