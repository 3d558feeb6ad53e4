"""Where the windows of a song are, and how a clip becomes exactly one window long."""

import numpy as np


def window_starts(
    length: int, *, window: int, num_windows: int, hop: float | None = None
) -> np.ndarray:
    """First samples of the windows that stand for a song.

    Args:
        length, window: samples of the song and of a window.
        num_windows: that many, evenly spaced from the first to the last possible one
            (Won et al. 2020 take 16). Fewer where they would coincide.
        hop: if given, a window every `hop` samples instead, and one at the very end. Need not
            be whole: starts are rounded, so that they do not drift.

    Returns:
        int64 [W], rising, W >= 1; a song no longer than a window gives [0].
    """
    last = max(0, length - window)
    if hop is not None:
        return np.unique(np.append(np.arange(0, last + 0.5, hop).round(), last).astype(np.int64))
    num_windows = min(num_windows, last + 1)  # more take memory, and begin nowhere else
    return np.unique(np.linspace(0, last, num_windows).round().astype(np.int64))


def fit_length(audio: np.ndarray, length: int, *, short: str) -> np.ndarray:
    """The first `length` samples; a shorter clip is repeated ("tile") or followed by zeros ("pad").

    Args:
        audio: float32 [T], T >= 1.
        length: samples wanted.
        short: "tile" or "pad".
    """
    if len(audio) < length:
        if short == "tile":
            audio = np.tile(audio, -(-length // len(audio)))
        else:
            audio = np.pad(audio, (0, length - len(audio)))
    return audio[:length]
