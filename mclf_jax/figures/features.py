"""Pictures of sounds and of what networks take in, public as `mclf.plot`.

Every function returns a matplotlib Figure, which a notebook shows and `savefig` saves; pyplot is
not touched. Arrays may be numpy's or jax's. Settings are those of `mclf.features` that the values
were made with: seconds, hertz and notes are read from them.

Shapes: T samples, F frames, M frequency bins.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from mclf_jax.audio.arrays import as_floating
from mclf_jax.audio.cqt import CQT, filter_response, frequencies_hz
from mclf_jax.audio.harmonic import harmonic_bands, harmonic_centres_hz
from mclf_jax.audio.mel import mel_filter_bank, mel_frequencies_hz
from mclf_jax.audio.spectrogram import LogMel, Mfcc
from mclf_jax.audio.stft import Stft, bin_frequencies_hz
from mclf_jax.common import checks
from mclf_jax.figures.axes import (
    colour_bar,
    hertz_ticks,
    mel_rows,
    note_rows,
    octave_ticks,
    time_axis,
)
from mclf_jax.figures.layout import panels, single
from mclf_jax.figures.spectrogram import decibel_limits, draw_spectrogram
from mclf_jax.figures.style import ACCENT, PALETTE, colour, short, styled
from mclf_jax.figures.taggram import plot_taggram as taggram

__all__ = ["compare", "filter_bank", "harmonic_filters", "mean_spectrum", "spectrogram"]
__all__ += ["taggram", "waveform"]

SCALES = ("auto", "values")
LEVELS = ("shared", "peak")
_ENVELOPE_POINTS = 1600  # across a figure; more samples than twice as many are an envelope
_MAX_COLUMNS = 4
_COMPRESSED = {"log": "log", "log10_10000": "log10(1 + 10000 x)", "pcen": "PCEN"}


@styled
def waveform(
    audio: Any, *, sample_rate_hz: float, title: str | None = None, limit: float | None = 1.0
) -> Figure:
    """Amplitude over seconds; of long audio, the range of the samples at each moment.

    Args:
        audio: floating point [T].
        sample_rate_hz: of the audio.
        title: above the picture.
        limit: of the amplitude axis, unless the audio is louder; None fits it to the audio.

    Raises:
        ValueError: not [T], or empty.
        TypeError: not floating point.
    """
    audio = as_floating(np.asarray(audio))
    if audio.ndim != 1 or not audio.size:
        raise ValueError(f"audio must be [samples] and not empty, got shape {audio.shape}")
    figure, axes = single(8, 1.9)
    if len(audio) > 2 * _ENVELOPE_POINTS:
        starts = np.linspace(0, len(audio), _ENVELOPE_POINTS, endpoint=False).astype(int)
        low, high = np.minimum.reduceat(audio, starts), np.maximum.reduceat(audio, starts)
        axes.fill_between(starts / sample_rate_hz, low, high, color=ACCENT, linewidth=0.4)
    else:
        axes.plot(np.arange(len(audio)) / sample_rate_hz, audio, color=ACCENT, linewidth=0.8)
    time_axis(axes, 0.0, len(audio) / sample_rate_hz)
    top = max(limit or 1e-6, float(np.abs(audio).max()))
    axes.set(ylim=(-top, top), ylabel="amplitude")
    _title(axes, title)
    return figure


@styled
def spectrogram(
    values: Any,
    settings: Any,
    *,
    title: str | None = None,
    scale: str = "auto",
    range_db: float = 80.0,
) -> Figure:
    """A spectrogram with seconds to the right and Hz, mel bands or notes upwards.

    Args:
        values: [F, M]. Complex values are drawn by their magnitude.
        settings: what made them: `Spectrogram`, `PowerSpectrogram`, `LogMel`, `Mfcc`, `CQT`, or
            `Stft` for its complex values and their magnitudes.
        title: above the picture.
        scale: "auto", energies and magnitudes are drawn in decibels, as nothing can be seen of
            them otherwise; or "values", as they are.
        range_db: how far below the loudest point decibels are shown.

    Raises:
        ValueError: the values are not of the shape that the settings give.
    """
    picture = _picture(values, settings, scale=scale)
    figure, axes = single(8, 2.9)
    image = _draw(axes, picture, limits=_limits([picture], range_db=range_db))
    colour_bar(figure, image, axes, label=picture.meaning)
    _title(axes, title)
    return figure


@styled
def compare(
    spectrograms: Mapping[str, Any],
    settings: Any,
    *,
    levels: str = "shared",
    scale: str = "auto",
    range_db: float = 80.0,
) -> Figure:
    """Spectrograms side by side, with one scale of colours and of seconds.

    Args:
        spectrograms: title -> values [F, M].
        settings: what made them, one for all or title -> settings.
        levels: "shared", equal colours are equal values; or "peak", each is relative to its own
            loudest point, for representations whose absolute levels say nothing. Decibels only.
        scale, range_db: as in `spectrogram`.

    Raises:
        ValueError: there is nothing to compare, settings are missing, values are not of the shape
            that the settings give, or they cannot share a scale.
    """
    if not spectrograms:
        raise ValueError("there is no spectrogram to compare")
    checks.choice("levels", levels, LEVELS)
    if not isinstance(settings, Mapping):
        settings = dict.fromkeys(spectrograms, settings)
    pictures = {}
    for name, values in spectrograms.items():
        if name not in settings:
            raise ValueError(f"no settings for {name!r}; there are some for {list(settings)}")
        pictures[name] = _picture(values, settings[name], scale=scale, levels=levels, name=name)
    meanings = {name: picture.meaning for name, picture in pictures.items()}
    if len(set(meanings.values())) > 1:
        raise ValueError(f"cannot share one scale of colours: {meanings}")

    rows = math.ceil(len(pictures) / _MAX_COLUMNS)
    columns = math.ceil(len(pictures) / rows)
    figure, all_axes = panels(len(pictures), columns=columns, width=3.4, height=2.8)
    figure.set_figwidth(figure.get_figwidth() + 1)
    limits = _limits(pictures.values(), range_db=range_db)
    longest_s = max(picture.edges_s[1] for picture in pictures.values())
    same_rows = len({_rows(picture.settings) for picture in pictures.values()}) == 1
    for k, (axes, (name, picture)) in enumerate(zip(all_axes, pictures.items(), strict=True)):
        image = _draw(axes, picture, limits=limits)
        time_axis(axes, max(picture.edges_s[0], 0.0), longest_s, max_ticks=6)
        if k + columns < len(pictures):
            axes.set_xlabel("")
        if same_rows and k % columns:
            axes.set_ylabel("")
            axes.tick_params(axis="y", labelleft=False)
        _title(axes, name)
    colour_bar(figure, image, all_axes, label=next(iter(meanings.values())))
    return figure


@styled
def mean_spectrum(spectrograms: Any, settings: Any, *, scale: str = "auto") -> Figure:
    """How loud each frequency is on average over time, a line for each sound.

    Args:
        spectrograms: values [F, M] of a sound, or name -> values.
        settings: what made all of them.
        scale: as in `spectrogram`.

    Raises:
        ValueError: as `compare`.
    """
    named = spectrograms if isinstance(spectrograms, Mapping) else {"": spectrograms}
    if not named:
        raise ValueError("there is no spectrogram to average")
    figure, axes = single(8, 2.4)
    for number, (name, values) in enumerate(named.items()):
        picture = _picture(values, settings, scale=scale, name=name or "the spectrogram")
        axes.plot(
            _rows(settings)[1], picture.values.mean(0), color=colour(number), label=short(name)
        )
    kind, rows = _rows(settings)
    axes.set(xlim=(rows[0], rows[-1]), xlabel="Hz", ylabel=f"{picture.meaning}, mean")
    if kind == "note":
        axes.set_xscale("log")
        octave_ticks(axes.xaxis)
    elif kind == "coefficient":
        axes.set_xlabel("coefficient")
    else:
        hertz_ticks(axes.xaxis)
    if isinstance(spectrograms, Mapping):
        axes.legend()
    return figure


@styled
def filter_bank(settings: Any) -> Figure:
    """Gain over frequency of every filter: the triangles of mel bands, the lobes of a CQT.

    Mel filters are drawn at the bins of the Fourier transform, where they are applied. The title
    says how many have no bin at all: with too many bands for `n_fft`, the lowest are always silent.

    Args:
        settings: `LogMel`, `Mfcc` or `CQT`.

    Raises:
        ValueError: a representation without such filters.
    """
    if isinstance(settings, CQT):
        centre_hz = frequencies_hz(settings)
        hz = np.geomspace(centre_hz[0] / 1.1, centre_hz[-1] * 1.1, 24 * len(centre_hz))
        gains = np.abs(filter_response(settings, hz))
        title = f"{settings.num_bins} constant-Q filters, {settings.bins_per_octave} per octave"
    elif isinstance(settings, LogMel | Mfcc):
        gains = mel_filter_bank(settings)
        hz = bin_frequencies_hz(n_fft=settings.n_fft, sample_rate_hz=settings.sample_rate_hz)
        empty = int((gains.max(axis=0) == 0).sum())
        title = f"{settings.n_mels} mel filters, {settings.mel_scale} scale"
        title += f", {empty} of them empty" if empty else ""
    else:
        raise ValueError(
            f"{type(settings).__name__} has no filter bank; LogMel, Mfcc and CQT have one, and "
            "mclf.plot.harmonic_filters draws that of the harmonic stack"
        )
    figure, axes = single(8, 2.4)
    _curves(axes, hz, gains.T, [PALETTE[k % 3] for k in range(gains.shape[1])])
    axes.set(ylim=(0, gains.max() * 1.05), ylabel="gain", xlabel="Hz")
    if isinstance(settings, CQT):
        axes.set(xscale="log", xlim=(hz[0], hz[-1]))
        octave_ticks(axes.xaxis)
    else:
        axes.set_xlim(settings.f_min_hz, settings.top_hz)
        hertz_ticks(axes.xaxis)
    _title(axes, title)
    return figure


@styled
def harmonic_filters(
    settings: Stft, *, num_harmonics: int = 6, bands_per_semitone: int = 2, q: float = 1.0
) -> Figure:
    """Filters of the harmonic stack: those of every C, a row for each harmonic.

    Args:
        settings: of the power spectrogram that is filtered.
        num_harmonics, bands_per_semitone, q: as for `mclf.features.harmonic_stack`.
    """
    rate, num_bins = settings.sample_rate_hz, settings.num_bins
    centre_hz = harmonic_centres_hz(
        rate, num_harmonics=num_harmonics, bands_per_semitone=bands_per_semitone
    )
    # What the filters make of one bin of the Fourier transform at a time: [bins, L, H].
    gains = harmonic_bands(np.eye(num_bins), centre_hz, sample_rate_hz=rate, q=q)
    hz = np.linspace(0, rate / 2, num_bins)
    figure, axes = single(8, 2.9)
    every_c = range(0, centre_hz.shape[1], 12 * bands_per_semitone)
    for octave, band in enumerate(every_c):
        colour = PALETTE[octave % len(PALETTE)]
        rows = np.arange(1, num_harmonics + 1)
        _curves(
            axes, hz, 0.85 * gains[:, band].T, [colour] * num_harmonics, bases=rows, linewidths=1.2
        ).set_label(f"C{octave + 1}")
    axes.set(xscale="log", xlim=(centre_hz[0, 0] / 1.5, rate / 2), xlabel="Hz")
    octave_ticks(axes.xaxis)
    axes.set(ylim=(0.9, num_harmonics + 1), ylabel="harmonic")
    axes.set_yticks(range(1, num_harmonics + 1))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    _title(axes, f"{num_harmonics} harmonics of {centre_hz.shape[1]} pitches")
    return figure


@dataclasses.dataclass(frozen=True)
class _Picture:
    """Values [F, M] as drawn, what they are, and the seconds at which they begin and end."""

    values: np.ndarray
    settings: Any
    meaning: str
    edges_s: tuple[float, float]


def _picture(
    values: Any, settings: Any, *, scale: str, levels: str = "shared", name: str = "the spectrogram"
) -> _Picture:
    checks.choice("scale", scale, SCALES)
    values = np.asarray(values)
    if not isinstance(settings, Stft | CQT):
        raise ValueError(
            f"settings are {type(settings).__name__}; they must be those of a spectrogram"
        )
    num_bins = len(_rows(settings)[1])
    if values.ndim != 2 or values.shape[1] != num_bins or not values.size:
        raise ValueError(
            f"{name} must be [frames, {num_bins}] by its settings ({type(settings).__name__}), "
            f"got shape {values.shape}; give one example, and the settings that made it"
        )
    meaning = _meaning(values, settings)
    if np.iscomplexobj(values):
        values = np.abs(values)
    if scale == "auto" and meaning in ("power", "magnitude"):
        factor = 10 if meaning == "power" else 20
        values, meaning = factor * np.log10(np.maximum(values, 1e-30)), "dB"
    if levels == "peak":
        if meaning != "dB":
            raise ValueError(f'{name} is not in decibels but {meaning}; take levels="shared"')
        values, meaning = values - decibel_limits(values, range_db=0)[1], "dB from the peak"
    hop_s = settings.hop_length / settings.sample_rate_hz
    first_s = 0.0
    if getattr(settings, "framing", "center") != "center":
        first_s = settings.frame_length / 2 / settings.sample_rate_hz  # pyright: ignore
    edges_s = first_s - hop_s / 2, first_s + (len(values) - 0.5) * hop_s
    return _Picture(values, settings, meaning, edges_s)


def _meaning(values: np.ndarray, settings: Any) -> str:
    if np.iscomplexobj(values):
        return "magnitude"
    if getattr(settings, "unit", "") == "dB":
        return "dB"
    if isinstance(settings, Mfcc):
        return "coefficient"
    if getattr(settings, "normalization", "none") != "none":
        return "normalized"
    compression = getattr(settings, "compression", "none")
    if compression != "none":
        return _COMPRESSED[compression]
    if isinstance(settings, CQT) or type(settings) is Stft:
        return "magnitude"
    return "magnitude" if getattr(settings, "power", 2) == 1 else "power"


def _limits(pictures: Any, *, range_db: float) -> tuple[float, float]:
    # The first cepstral coefficient is the loudness and would leave no colours for the others.
    shown = [p.values[:, 1:] if p.meaning == "coefficient" else p.values for p in pictures]
    finite = np.concatenate([values[np.isfinite(values)] for values in shown])
    if all(picture.meaning.startswith("dB") for picture in pictures):
        return decibel_limits(finite, range_db=range_db)
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    return low, max(high, low + 1e-9)


def _rows(settings: Any) -> tuple[str, tuple[float, ...]]:
    """What the rows are, "note", "mel", "hz" or "coefficient", and the place of each."""
    if isinstance(settings, CQT):
        return "note", tuple(frequencies_hz(settings))
    if isinstance(settings, Mfcc):
        return "coefficient", tuple(range(settings.n_mfcc))
    if isinstance(settings, LogMel):
        return "mel", tuple(mel_frequencies_hz(settings))
    n_fft, rate = settings.n_fft, settings.sample_rate_hz
    return "hz", tuple(bin_frequencies_hz(n_fft=n_fft, sample_rate_hz=rate))


def _draw(axes: Axes, picture: _Picture, *, limits: tuple[float, float]) -> AxesImage:
    kind, rows = _rows(picture.settings)
    half = rows[1] / 2 if kind == "hz" else 0.5
    extent = (*picture.edges_s, -half, (2 * len(rows) - 1) * half)
    image = draw_spectrogram(axes, picture.values, extent=extent, limits=limits)
    time_axis(axes, max(picture.edges_s[0], 0.0), picture.edges_s[1])
    if kind == "hz":
        axes.set(ylim=(0, rows[-1]), ylabel="Hz")
        hertz_ticks(axes.yaxis)
    elif kind == "mel":
        mel_rows(axes, np.array(rows), max_ticks=10)
    elif kind == "note":
        note_rows(axes, np.array(rows))
    else:
        axes.set_ylabel("coefficient")
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    return image


def _curves(axes, x, gains, colours, *, bases=None, linewidths=0.8) -> LineCollection:
    """One curve for each row of `gains` [N, X] above its base, without the zeros around it."""
    points = []
    for gain, base in zip(gains, np.zeros(len(gains)) if bases is None else bases, strict=True):
        (shown,) = np.nonzero(gain)
        within = slice(max(shown[0] - 1, 0), shown[-1] + 2) if len(shown) else slice(0)
        points.append(np.stack([x[within], gain[within] + base], axis=-1))
    return axes.add_collection(LineCollection(points, colors=colours, linewidths=linewidths))


def _title(axes, title: str | None) -> None:
    if title is not None:
        axes.set_title(short(title, limit=60))
