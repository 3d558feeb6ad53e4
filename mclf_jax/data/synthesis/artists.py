"""Artists: what the songs of one performer share, and what no two performers do.

Splits are made by artist, so the test asks about performers that training never heard.
"""

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np

from mclf_jax.data.synthesis.drums import Kit, draw_kit
from mclf_jax.data.synthesis.instruments import MELODIC, PITCHED, Patch, draw_patch
from mclf_jax.data.synthesis.styles import STYLES


@dataclasses.dataclass(frozen=True)
class Artist:
    """A performer of one style.

    Attributes:
        style: name in `STYLES`.
        number: counts the artists of a style from 0.
        tempo_bias: where in the style's tempo range the songs lie, 0 to 1.
        register_semitones: how much higher than usual the lead plays.
        swing: share of a step by which every second step is late.
        jitter_s: standard deviation of the onsets.
        a4_hz: what the instruments are tuned to.
        preference: weight of each melodic instrument.
        patches: the artist's version of each pitched instrument.
        kit: the drums.
        room: (delay_s, gain) of the first reflections.
        tilt: gain of the sample before, in the microphone: above 0 is dull, below is bright.
        hiss_db: the noise of the recording, against the music.
    """

    style: str
    number: int
    tempo_bias: float
    register_semitones: int
    swing: float
    jitter_s: float
    a4_hz: float
    preference: Mapping[str, float]
    patches: Mapping[str, Patch]
    kit: Kit
    room: tuple[tuple[float, float], ...]
    tilt: float
    hiss_db: float

    @property
    def name(self) -> str:
        return f"{self.style}-{self.number:02d}"


@functools.lru_cache(maxsize=512)
def draw_artist(seed: int, style: str, number: int) -> Artist:
    """The artist with this number among those of `style`; the same for the same arguments."""
    rng = np.random.default_rng([seed, 1, list(STYLES).index(style), number])
    weights = STYLES[style].preference
    delays_s = np.sort(rng.uniform(0.006, 0.055, size=4))
    gains = rng.uniform(0.05, 0.35) * np.exp(-delays_s / 0.04) * rng.choice([-1, 1], size=4)
    return Artist(
        style=style,
        number=number,
        tempo_bias=float(rng.uniform()),
        register_semitones=int(rng.integers(-4, 5)),
        swing=float(rng.uniform(*STYLES[style].swing)),
        jitter_s=float(rng.uniform(0.001, 0.007)),
        a4_hz=float(440 * 2 ** (rng.uniform(-15, 15) / 1200)),
        preference={name: float(weights.get(name, 1.0) * rng.gamma(4.0) / 4.0) for name in MELODIC},
        patches={name: draw_patch(name, rng) for name in PITCHED},
        kit=draw_kit(rng),
        room=tuple((float(d), float(g)) for d, g in zip(delays_s, gains, strict=True)),
        tilt=float(rng.uniform(-0.3, 0.4)),
        hiss_db=float(rng.uniform(-60, -45)),
    )
