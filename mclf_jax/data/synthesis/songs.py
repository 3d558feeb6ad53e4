"""The embedded data set: short songs composed and rendered here, with exact labels of every kind.

Nothing is downloaded and nothing is stored: a song is a function of (seed, index). Styles differ
in what musicians call style (metre, tempo, harmony, rhythm, texture), not in loudness or in one
frequency, and the test songs are by artists whom training never heard.
"""

import dataclasses
import functools
import hashlib
import json
import math
import operator

import numpy as np

from mclf_jax.common import checks
from mclf_jax.data.base.source import Info, Source, read_only
from mclf_jax.data.synthesis import mixer
from mclf_jax.data.synthesis.composer import compose, place
from mclf_jax.data.synthesis.score import INSTRUMENTS, KEYS, Score
from mclf_jax.data.synthesis.styles import STYLES

VERSION = "1.0.0"
MIN_SONGS = 3 * len(STYLES)

_LABELS = {
    "style": ("single_label", tuple(STYLES)),
    "key": ("single_label", KEYS),
    "instruments": ("multi_label", INSTRUMENTS),
    "emotion": ("regression", ("valence", "arousal")),
    "tempo": ("regression", ("tempo_octaves",)),
}
_NOTES = {
    "emotion": "valence and arousal, in [-1, 1], follow from mode, tempo, density and register",
    "tempo": "tempo_octaves is log2(beats per minute / 120); in 6/8 the beat is a dotted quarter",
}

# Of twenty artists of a style, fourteen train; the first three serve one split each.
_VALID_ARTISTS = (1, 8, 14)
_TEST_ARTISTS = (2, 9, 15)


@dataclasses.dataclass(frozen=True)
class Synthetic(Source):
    """Composed songs; made by `synthetic`, which says what the fields mean."""

    task: str
    num_songs: int
    song_s: float
    sample_rate_hz: int
    seed: int
    info: Info = dataclasses.field(repr=False, compare=False)

    def __len__(self) -> int:
        return self.num_songs

    @functools.cached_property
    def labels(self) -> np.ndarray:
        """Of all songs; those other than styles are known when the songs have been composed."""
        return read_only(np.stack([self._label(index) for index in range(self.num_songs)]))

    def read(self, index: int, *, start_sample: int, num_samples: int) -> np.ndarray:
        """Float32 [<= num_samples], rendering only the notes that sound there; shorter at the end.

        Raises:
            IndexError: no song has this index.
            ValueError: `start_sample` or `num_samples` is negative.
        """
        checks.at_least("start_sample", start_sample, 0)
        checks.at_least("num_samples", num_samples, 0)
        left = max(0, self.num_samples(index) - start_sample)
        return mixer.render(
            self.score(index),
            sample_rate_hz=self.sample_rate_hz,
            start_sample=start_sample,
            num_samples=min(num_samples, left),
        )

    def _label(self, index: int) -> np.ndarray:
        if self.task == "style":  # known without composing
            return np.int32(list(STYLES).index(place(index)[0]))
        score = self.score(index)
        if self.task == "key":
            return np.int32(KEYS.index(score.key))
        if self.task == "instruments":
            return np.array([name in score.instruments for name in INSTRUMENTS], np.float32)
        numbers = {**score.emotion, "tempo_octaves": math.log2(score.tempo_bpm / 120)}
        return np.array([numbers[name] for name in self.info.labels], np.float32)

    def num_samples(self, index: int) -> int:
        self._checked(index)
        return round(self.song_s * self.sample_rate_hz)

    def item_id(self, index: int) -> str:
        return f"{self.info.groups[self._checked(index)]}/{index:05d}"

    def score(self, index: int) -> Score:
        """Everything that is known of a song: its notes, artist, tempo, key, mode, instruments."""
        return compose(seed=self.seed, index=self._checked(index), song_s=self.song_s)

    def _checked(self, index: int) -> int:
        index = operator.index(index)
        if not 0 <= index < self.num_songs:
            raise IndexError(f"song {index}: the data set has songs 0 to {self.num_songs - 1}")
        return index


def synthetic(
    *,
    task: str = "style",
    num_songs: int = 400,
    song_s: float = 12.0,
    sample_rate_hz: int = 16000,
    seed: int = 0,
) -> Synthetic:
    """The embedded data set, ready to read.

    A song does not change with `num_songs` or `task`, and no artist changes split with
    `num_songs`: a longer data set begins with the shorter one.

    Args:
        task: "style" (ten), "key" (24), "instruments" (eight, multi-label),
            "emotion" (valence and arousal) or "tempo" (octaves above 120 beats per minute).
        num_songs: at least 30, so that each style has an artist in each split. Styles take turns,
            so a multiple of ten is balanced; 400 have splits of 280, 60 and 60.
        song_s: length of each song, from 1 s.
        sample_rate_hz: 8000 to 48000.
        seed: of all songs and artists, not negative.

    Raises:
        ValueError: an argument is not as above.
    """
    checks.choice("task", task, _LABELS)
    checks.at_least("num_songs", num_songs, MIN_SONGS)
    checks.within("song_s", song_s, 1, math.inf, ends="[)")
    checks.within("sample_rate_hz", sample_rate_hz, 8000, 48000)
    checks.at_least("seed", seed, 0)
    kind, labels = _LABELS[task]
    settings = {
        "task": task,
        "num_songs": int(num_songs),
        "song_s": float(song_s),
        "sample_rate_hz": int(sample_rate_hz),
        "seed": int(seed),
    }
    identity = json.dumps({"name": "synthetic", "version": VERSION, **settings}, sort_keys=True)
    placed = [place(index) for index in range(num_songs)]
    numbers = np.array([number % 20 for _, number in placed])
    valid, test = np.isin(numbers, _VALID_ARTISTS), np.isin(numbers, _TEST_ARTISTS)
    splits = {"train": ~valid & ~test, "valid": valid, "test": test}
    info = Info(
        name="synthetic",
        task=kind,
        labels=labels,
        sample_rate_hz=int(sample_rate_hz),
        splits={name: np.flatnonzero(of_split) for name, of_split in splits.items()},
        groups=tuple(f"{style}-{number:02d}" for style, number in placed),
        version=VERSION,
        fingerprint=hashlib.sha256(identity.encode()).hexdigest(),
        licence="Apache-2.0",
        notes=("rendered by this package's code", *([_NOTES[task]] if task in _NOTES else [])),
    )
    return Synthetic(**settings, info=info)
