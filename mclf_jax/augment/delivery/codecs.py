"""There and back through MP3 and Ogg Vorbis, by libsndfile."""

import dataclasses
import io
from typing import ClassVar

import numpy as np
import soundfile

from mclf_jax.augment import base
from mclf_jax.augment.base import Array, Key

# Bit rates of MPEG-1, MPEG-2 and MPEG-2.5 at their sample rates, as LAME takes them.
_MP3_KBPS = {
    **dict.fromkeys((32000, 44100, 48000), (32.0, 320.0)),
    **dict.fromkeys((16000, 22050, 24000), (8.0, 160.0)),
    **dict.fromkeys((8000, 11025, 12000), (8.0, 64.0)),
}
_USUAL_KBPS = (24.0, 96.0)
_MP3_DELAY = 1105  # samples of encoder and decoder, where no frame has room to tell of them
_FAINT = 1e-10  # peak of what an encoder has nothing to do with
_MOST = 0.99  # level of compression; libsndfile refuses to set LAME to 1


@dataclasses.dataclass(frozen=True)
class Mp3(base.WaveformAugmentation):
    """Encoded as MP3 and decoded again; encoder's delay and length are made up for.

    On the host alone: `augment.on` must be "pipeline". A song of one channel takes about half the
    bit rate of a stereo one.

    Attributes:
        sample_rate_hz: rate of the waveform, one that MP3 knows.
        min_kbps, max_kbps: range of the constant bit rate in kbit/s, of which LAME takes the
            nearest there is; 24 to 96 when not given, or what the rate allows of that.

    >>> Mp3(16000)(np.random.default_rng(0), np.ones((2, 800))).shape
    (2, 800)
    """

    sample_rate_hz: int
    min_kbps: float | None = None
    max_kbps: float | None = None
    runs_on: ClassVar[str] = "host"

    def __post_init__(self):
        if self.sample_rate_hz not in _MP3_KBPS:
            allowed = ", ".join(map(str, sorted(_MP3_KBPS)))
            raise ValueError(
                f"Mp3.sample_rate_hz is {self.sample_rate_hz}; MP3 has the rates {allowed}"
            )
        low, high = _MP3_KBPS[self.sample_rate_hz]
        for name, usual in zip(("min_kbps", "max_kbps"), _USUAL_KBPS, strict=True):
            if getattr(self, name) is None:
                object.__setattr__(self, name, min(high, max(low, usual)))
        super().__post_init__()

    @property
    def limits(self) -> dict[str, tuple[float, float]]:
        return {"kbps": _MP3_KBPS[self.sample_rate_hz]}

    def augment(self, key: Key, x: Array) -> Array:
        low, high = _MP3_KBPS[self.sample_rate_hz]
        level = (high - self.draw("kbps", key, x)) / (high - low)
        how = {"subtype": "MPEG_LAYER_III", "bitrate_mode": "CONSTANT"}
        return _round_trips(x, level, self.sample_rate_hz, format="MP3", **how)


@dataclasses.dataclass(frozen=True)
class Ogg(base.WaveformAugmentation):
    """Encoded as Ogg Vorbis and decoded again, on the host alone, as `Mp3`.

    Attributes:
        sample_rate_hz: rate of the waveform.
        min_quality, max_quality: range of the quality as oggenc has it, 0 to 10, uniform: 0 is
            about 64 kbit/s for stereo at 44.1 kHz, 5 about 160, 10 about 500.

    >>> Ogg(16000)(np.random.default_rng(0), np.ones((2, 800))).shape
    (2, 800)
    """

    sample_rate_hz: int
    min_quality: float = 0.0
    max_quality: float = 6.0
    limits = {"quality": (0, 10)}
    runs_on: ClassVar[str] = "host"

    def augment(self, key: Key, x: Array) -> Array:
        level = 1 - self.draw("quality", key, x) / 10
        return _round_trips(x, level, self.sample_rate_hz, format="OGG", subtype="VORBIS")


def _round_trips(
    x: np.ndarray, level: np.ndarray, sample_rate_hz: int, **encoder: str
) -> np.ndarray:
    """Each example [..., T] encoded with its level of compression, 0 to 1, and decoded."""
    rows, levels = x.reshape(-1, x.shape[-1]), np.clip(level, 0, _MOST).reshape(-1)
    changed = [
        _round_trip(row, float(one), sample_rate_hz, **encoder)
        for row, one in zip(rows, levels, strict=True)
    ]
    return np.stack(changed).reshape(x.shape)


def _round_trip(x: np.ndarray, level: float, sample_rate_hz: int, **encoder: str) -> np.ndarray:
    # Encoders take what is beyond full scale for clipped; what is very faint they leave out.
    peak = float(np.abs(x).max(initial=0))
    if not peak > _FAINT:
        return x
    scale = max(1.0, peak)
    file = io.BytesIO()
    soundfile.write(file, x / scale, sample_rate_hz, compression_level=level, **encoder)
    file.seek(0)
    decoded = soundfile.read(file, dtype="float32")[0]
    if encoder["format"] == "MP3" and len(decoded) >= len(x) + _MP3_DELAY:
        decoded = decoded[_MP3_DELAY:]
    decoded = decoded[: len(x)] * scale
    return np.pad(decoded, (0, len(x) - len(decoded)))
