"""A picture of a song: its spectrogram, in the report and in `mclf.plot`."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mclf_jax.figures.axes import mel_rows
from mclf_jax.figures.layout import single
from mclf_jax.figures.style import styled


@styled
def plot_spectrogram(
    decibels: np.ndarray,
    *,
    duration_s: float,
    mel_centre_hz: np.ndarray | None = None,
    range_db: float = 80.0,
    peak_db: float | None = None,
) -> Figure:
    """Log-mel spectrogram [F, M] in dB, from `range_db` under its peak up to the peak.

    Args:
        decibels: float [F, M]; minus infinity is silence.
        duration_s: of all frames.
        mel_centre_hz: float [M] centre frequencies, for a frequency axis, else bands are counted.
        range_db: dynamic range shown.
        peak_db: the top of it instead of the peak, so that several pictures share their colours.
    """
    decibels = np.asarray(decibels, np.float32)
    if decibels.ndim != 2 or decibels.size == 0:
        raise ValueError(f"spectrogram must be [frames, mel bands], got shape {decibels.shape}")
    if peak_db is None:
        peak_db = decibel_limits(decibels, range_db=range_db)[1]
    figure, axes = single(3.9, 1.55)
    draw_spectrogram(
        axes,
        decibels,
        extent=(0, duration_s, -0.5, decibels.shape[1] - 0.5),
        limits=(peak_db - range_db, peak_db),
    )
    axes.set_xlabel("seconds")
    if mel_centre_hz is None:
        axes.set_ylabel("mel band")
    else:
        mel_rows(axes, np.asarray(mel_centre_hz, float))
    axes.xaxis.set_major_locator(MaxNLocator(6))
    return figure


def decibel_limits(decibels: np.ndarray, *, range_db: float) -> tuple[float, float]:
    """From `range_db` under the loudest finite point up to it; 0 dB is the loudest if none is."""
    finite = decibels[np.isfinite(decibels)]
    peak = float(finite.max()) if finite.size else 0.0
    return peak - range_db, peak


def draw_spectrogram(
    axes,
    values: np.ndarray,
    *,
    extent: tuple[float, float, float, float],
    limits: tuple[float, float],
):
    """Values [F, M], frames to the right and bins upwards; returns the image.

    Args:
        axes: where to.
        values: of the lowest colour at and below `limits[0]` and where they are not a number.
        extent: left, right, bottom and top edge of all pixels, in the units of the axes.
        limits: values of the lowest and the highest colour.
    """
    values = np.asarray(values, np.float32)
    values = np.nan_to_num(values, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    image = axes.imshow(
        np.clip(values, *limits).T,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=limits[0],
        vmax=limits[1],
        extent=extent,
        interpolation="antialiased",
        interpolation_stage="data",
    )
    axes.grid(False)
    return image
