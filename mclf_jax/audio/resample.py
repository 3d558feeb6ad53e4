"""A window at another rate without resampling all that it is a window of."""

import math
from collections.abc import Callable

import numpy as np
import soxr

from mclf_jax.common.machine import stopwatch

QUALITY = "HQ"  # soxr's name: 20 bits, pass band up to about .91 of the lower Nyquist frequency

# Reach of soxr's HQ filter on each side, in samples at the lower of the two rates. Measured: with
# 64 a window differs from the slice of the whole file by 5e-4, from 96 on by rounding (1e-6).
_FILTER_REACH = 128


def resampled_window(
    read_frames: Callable[[int, int | None], np.ndarray],
    *,
    source_rate_hz: int,
    sample_rate_hz: int,
    start_sample: int,
    num_samples: int | None,
) -> np.ndarray:
    """A window at another rate, the same samples as that slice of everything resampled.

    Args:
        read_frames: gives float32 [<= stop - start] from its first to before its second argument,
            counted at `source_rate_hz`; None is the end.
        source_rate_hz: of what it gives.
        sample_rate_hz: of the result.
        start_sample, num_samples: counted at `sample_rate_hz`; None is up to the end.

    Returns:
        Float32 [<= num_samples].
    """
    common = math.gcd(source_rate_hz, sample_rate_hz)
    frame_period, sample_period = source_rate_hz // common, sample_rate_hz // common
    margin = 0
    if frame_period != sample_period:
        margin = math.ceil(_FILTER_REACH * max(1.0, source_rate_hz / sample_rate_hz))
    # Frames and samples coincide every `frame_period` frames. Resampling from such a point gives
    # the samples of the whole; from any other they would be shifted in time.
    period = max(0, start_sample * frame_period // sample_period - margin) // frame_period
    stop_frame = None
    if num_samples is not None:
        stop_sample = start_sample + num_samples
        stop_frame = -(-stop_sample * frame_period // sample_period) + margin
    audio = read_frames(period * frame_period, stop_frame)
    if frame_period != sample_period and len(audio):
        with stopwatch.stage("resample"):
            audio = soxr.resample(audio, source_rate_hz, sample_rate_hz, quality=QUALITY)
    start = start_sample - period * sample_period
    return audio[start : None if num_samples is None else start + num_samples]
