"""Sounds with their pictures: as players of a page, or in a notebook."""

import base64
import dataclasses
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from mclf_jax.audio.features import LogMel, log_mel, mel_frequencies_hz
from mclf_jax.augment import Augmentation, RandomApply, compose
from mclf_jax.common import checks, files
from mclf_jax.figures.spectrogram import plot_spectrogram
from mclf_jax.report import page


@dataclasses.dataclass(frozen=True)
class Players:
    """Players and spectrograms: what a notebook shows, and a page to save.

    Attributes:
        html: without head and body.
    """

    html: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return f"Players({self.html.count('<audio')} sounds; a notebook shows them, or `save` it)"

    def save(self, path: str | Path) -> Path:
        """Write them as a page of their own."""
        title = Path(path).stem
        text = f"<!doctype html><meta charset=utf-8><title>{title}</title>{self.html}"
        files.write_text(path, text)
        return Path(path)


def listen(
    audio: np.ndarray | Mapping[str, np.ndarray],
    chain: Augmentation | None = None,
    *,
    sample_rate_hz: int,
    draws: int = 3,
    seed: int = 0,
) -> Players:
    """Sounds to hear and see; of one sound, also each augmentation of a chain, and draws of it.

    Args:
        audio: floating point [T], in -1..1, of numpy or jax; or title -> such a sound.
        chain: such as `augment.presets.clmr(22050)`; the sound alone when not given.
        sample_rate_hz: of both.
        draws: of the whole chain.
        seed: of the draws.

    Raises:
        ValueError: another shape, nothing to hear, or a chain for several sounds.
    """
    if isinstance(audio, Mapping):
        sounds = {title: _checked(f"audio[{title!r}]", one) for title, one in audio.items()}
    else:
        sounds = {"Original": _checked("audio", audio)}
    if not sounds or (chain is not None and len(sounds) > 1):
        raise ValueError(
            f"audio has {len(sounds)} sounds; there must be one, or, of no chain, some"
        )
    checks.whole("draws", draws, lowest=0)
    rng = np.random.default_rng(seed)
    clips = [{"title": title, "caption": "", "audio": one} for title, one in sounds.items()]
    if chain is not None:
        (audio,) = sounds.values()
        clips += [alone(each, rng, audio) for each in getattr(chain, "augmentations", (chain,))]
        clips += [
            {"title": f"Whole chain, draw {i}", "caption": "", "audio": chain(rng, audio)}
            for i in range(1, draws + 1)
        ]
    longest = max(len(one) for one in sounds.values())
    turned_down_db = add_players(clips, rate_hz=sample_rate_hz, shown=longest)
    return Players(page.render("players", clips=clips, turned_down_db=turned_down_db))


def _checked(name: str, audio: Any) -> np.ndarray:
    audio = np.asarray(audio)
    if audio.ndim != 1 or not len(audio) or audio.dtype.kind != "f":
        raise ValueError(
            f"{name} is {audio.dtype} {list(audio.shape)}; it must be floating point [T]"
        )
    return audio


def alone(member: Augmentation, rng: np.random.Generator, window: np.ndarray) -> dict[str, Any]:
    """A clip of what one member of a chain does to a window, whatever its probability."""
    members, often = (member,), "In every window"
    if isinstance(member, RandomApply):
        members, often = member.augmentations, f"In {100 * member.p:.3g} % of windows"
    return {
        "title": " → ".join(type(one).__name__ for one in members),
        "caption": f"{often}: {', '.join(map(repr, members))}",
        "audio": compose(members)(rng, window),
    }


def add_players(clips: list[dict[str, Any]], *, rate_hz: int, shown: int) -> float:
    """Give each clip its "sound" and "picture"; by how many dB all of them are turned down.

    Args:
        clips: with "audio" [T] each.
        rate_hz: of them.
        shown: samples at their start that are heard and seen.
    """
    settings = LogMel(sample_rate_hz=rate_hz, n_fft=1024, hop_length=256)
    audio = [clip["audio"][:shown] for clip in clips]
    decibels = [log_mel(each, settings) for each in audio]
    loudest = max(1.0, *(float(np.abs(each).max()) for each in audio))
    scale = {
        "mel_centre_hz": mel_frequencies_hz(settings),
        "peak_db": max(float(each.max()) for each in decibels),
    }
    for clip, samples, values in zip(clips, audio, decibels, strict=True):
        clip["sound"] = as_flac(samples / loudest, rate_hz=rate_hz)
        clip["picture"] = plot_spectrogram(values, duration_s=len(samples) / rate_hz, **scale)
    return 20 * math.log10(loudest)


def as_flac(audio: np.ndarray, *, rate_hz: int) -> str:
    """The bytes of a FLAC file, in base64."""
    buffer = io.BytesIO()
    soundfile.write(buffer, audio, rate_hz, format="FLAC", subtype="PCM_16")
    return base64.b64encode(buffer.getvalue()).decode("ascii")
