"""A picture of a song: its log-mel spectrogram, with seconds and hertz where they are known."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mclf_jax.report.plots import styled


@styled
def plot_spectrogram(
    decibels: np.ndarray,
    *,
    duration_s: float | None = None,
    mel_centre_hz: np.ndarray | None = None,
    range_db: float = 80.0,
) -> Figure:
    """Log-mel spectrogram [F, M] in dB, from `range_db` under its peak up to the peak.

    Args:
        decibels: float [F, M]; minus infinity is silence.
        duration_s: for a time axis in seconds, else frames are counted.
        mel_centre_hz: float [M] centre frequencies, for a frequency axis, else bands are counted.
        range_db: dynamic range shown.
    """
    decibels = np.asarray(decibels, np.float32)
    if decibels.ndim != 2 or decibels.size == 0:
        raise ValueError(f"spectrogram must be [frames, mel bands], got shape {decibels.shape}")
    decibels = np.nan_to_num(decibels, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    finite = decibels[np.isfinite(decibels)]
    peak = float(finite.max()) if finite.size else 0.0
    decibels = np.clip(decibels, peak - range_db, peak)
    num_frames, num_bands = decibels.shape
    figure = Figure(figsize=(3.9, 1.55), layout="constrained")
    axes = figure.subplots()
    end = num_frames if duration_s is None else duration_s
    axes.imshow(
        decibels.T,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=peak - range_db,
        vmax=peak,
        extent=(0, end, -0.5, num_bands - 0.5),
        interpolation="antialiased",
        interpolation_stage="data",
    )
    axes.set(xlabel="frames" if duration_s is None else "seconds")
    if mel_centre_hz is None:
        axes.set_ylabel("mel band")
    else:
        _mel_ticks(axes, np.asarray(mel_centre_hz, float))
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.grid(False)
    return figure


def _mel_ticks(axes, centre_hz: np.ndarray) -> None:
    nice = np.array([125, 250, 500, 1000, 2000, 4000, 8000, 16000])
    inside = nice[(nice >= centre_hz[0]) & (nice <= centre_hz[-1])]
    rows = np.interp(inside, centre_hz, np.arange(len(centre_hz)))
    # From the top down, leaving room for the text.
    kept, last = [], np.inf
    for row, hz in zip(rows[::-1], inside[::-1], strict=True):
        if last - row >= len(centre_hz) / 5:
            kept.append((row, f"{hz // 1000}k" if hz >= 1000 else str(hz)))
            last = row
    axes.set_yticks([row for row, _ in kept], [text for _, text in kept])
    axes.set_ylabel("Hz (mel)")
