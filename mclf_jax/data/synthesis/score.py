"""What a composer hands to the players: the notes, and everything that is true of them."""

import dataclasses
import math

import numpy as np

from mclf_jax.data.synthesis.artists import Artist
from mclf_jax.data.synthesis.instruments import MELODIC
from mclf_jax.data.synthesis.styles import MODES

INSTRUMENTS = (*MELODIC, "bass", "drums")
KEYS = tuple(
    f"{tonic} {third}"
    for third in ("major", "minor")
    for tonic in ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
)


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """The notes of one instrument.

    Attributes:
        role: "lead", "colour", "chords", "bass" or "drums".
        instrument: one of `INSTRUMENTS`.
        level_db: power in the mix, against that of the other parts.
        start_s, length_s: float64 [N]; drums have no length.
        pitch: int64 [N], MIDI note numbers; for drums, positions in `drums.VOICES`.
        velocity: float64 [N], 0 to 1.
    """

    role: str
    instrument: str
    level_db: float
    start_s: np.ndarray
    length_s: np.ndarray
    pitch: np.ndarray
    velocity: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Score:
    """A song before it sounds.

    Attributes:
        artist: who plays; knows the style.
        tempo_bpm, beats_per_bar: the metre.
        tonic: pitch class, 0 is C.
        mode: name in `styles.MODES`.
        chords: pitch classes, root first, of each slot of `slot_s` seconds.
        song_s: length.
        loudness_db: RMS of the song against full scale.
        parts: what plays.
    """

    artist: Artist
    tempo_bpm: float
    beats_per_bar: int
    tonic: int
    mode: str
    chords: tuple[tuple[int, ...], ...]
    slot_s: float
    song_s: float
    loudness_db: float
    parts: tuple[Part, ...]

    @property
    def instruments(self) -> tuple[str, ...]:
        playing = {part.instrument for part in self.parts}
        return tuple(name for name in INSTRUMENTS if name in playing)

    @property
    def key(self) -> str:
        """One of `KEYS`; a mode counts as minor where its third is."""
        return KEYS[self.tonic + 12 * (MODES[self.mode].harmony[2] == 3)]

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
            "valence": 0.7 * MODES[self.mode].brightness + 0.2 * tempo + 0.1 * register,
            "arousal": 0.45 * tempo + 0.4 * density + 0.15 * dynamics,
        }


def _clip(x: float) -> float:
    return float(min(1.0, max(-1.0, x)))
