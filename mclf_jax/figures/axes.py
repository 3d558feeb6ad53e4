"""Axes that people can read: minutes and seconds, hertz, notes, and what colours mean."""

import math

import numpy as np
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, MultipleLocator

# Seconds between ticks that people can count in.
_TICKS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
_MINUTES_FROM_S = 120  # longer songs are labelled in minutes and seconds
_OCTAVES_HZ = np.array([62.5, 125, 250, 500, 1000, 2000, 4000, 8000, 16000])
_NOTES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")
# Counted from C; the first of these that leaves room for the text is written.
_NOTE_CHOICES = (range(12), (0, 2, 4, 5, 7, 9, 11), (0, 4, 7, 9), (0,))
_MAX_NOTES = 12
_A4 = {"hz": 440.0, "midi": 69}


def time_axis(axes, start_s: float, end_s: float, *, max_ticks: int = 10) -> None:
    """Seconds, or minutes:seconds of long songs, from `start_s` to `end_s`."""
    axes.set_xlim(start_s, end_s)
    shown_s = end_s - start_s
    if shown_s > _TICKS_S[0]:
        step_s = next((s for s in _TICKS_S if shown_s / s <= max_ticks), _TICKS_S[-1])
        axes.xaxis.set_major_locator(MultipleLocator(step_s))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(min(max_ticks, 6)))
    if end_s > _MINUTES_FROM_S:
        axes.xaxis.set_major_formatter(
            FuncFormatter(lambda s, _: f"{int(s) // 60}:{int(s) % 60:02d}")
        )
        axes.set_xlabel("minutes:seconds")
    else:
        axes.set_xlabel("seconds")


def hertz_ticks(axis) -> None:
    """Round numbers on a linear axis in Hz, 2500 as "2.5k"."""
    axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda hz, _: _short_hz(hz)))


def octave_ticks(axis) -> None:
    """125, 250, 500, ... on a logarithmic axis in Hz."""
    low_hz, high_hz = axis.get_view_interval()
    inside = _OCTAVES_HZ[(low_hz <= _OCTAVES_HZ) & (high_hz >= _OCTAVES_HZ)]
    axis.set_major_locator(FixedLocator(inside))
    axis.set_major_formatter(FuncFormatter(lambda hz, _: _short_hz(hz)))
    axis.set_minor_locator(FixedLocator([]))


def mel_rows(axes, centre_hz: np.ndarray, *, max_ticks: int = 5) -> None:
    """Ticks for rows that are bands with these rising centres in Hz, as a mel spectrogram's."""
    inside = _OCTAVES_HZ[1:]
    inside = inside[(inside >= centre_hz[0]) & (inside <= centre_hz[-1])]
    rows = np.interp(inside, centre_hz, np.arange(len(centre_hz)))
    # From the top down, leaving room for the text.
    kept, last = [], np.inf
    for row, hz in zip(rows[::-1], inside[::-1], strict=True):
        if last - row >= len(centre_hz) / max_ticks:
            kept.append((row, _short_hz(hz)))
            last = row
    axes.set_yticks([row for row, _ in kept], [text for _, text in kept])
    axes.set_ylabel("Hz (mel)")


def note_rows(axes, centre_hz: np.ndarray) -> None:
    """Ticks for rows that are evenly spaced in octaves: every C, or more where there is room."""
    low, high = (_A4["midi"] + 12 * math.log2(centre_hz[k] / _A4["hz"]) for k in (0, -1))
    # Half a quarter tone of tolerance: a lowest bin of 32.7 Hz is C1 although C1 is 32.703 Hz.
    midi = np.arange(math.ceil(low - 0.25), math.floor(high + 0.25) + 1)
    for notes in _NOTE_CHOICES:
        kept = midi[np.isin(midi % 12, notes)]
        if len(kept) <= _MAX_NOTES:
            break
    row_of_midi = (len(centre_hz) - 1) / max(high - low, 1e-9)
    names = [f"{_NOTES[note % 12]}{note // 12 - 1}" for note in kept]
    axes.set_yticks((kept - low) * row_of_midi, names)
    axes.set_ylabel("note")


def colour_bar(figure, image, axes, *, label: str) -> None:
    """What the colours mean, beside one or several axes."""
    bar = figure.colorbar(image, ax=axes, pad=0.01, aspect=30)
    bar.set_label(label)
    bar.outline.set_visible(False)


def _short_hz(hz: float) -> str:
    return f"{hz / 1000:g}k" if hz >= 1000 else f"{hz:g}"
