"""Whether what was written says the same as what it was written from."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import jax
import numpy as np

from mclf_jax.audio.decode import AudioError
from mclf_jax.evaluation.aggregation import combine
from mclf_jax.evaluation.song import Song
from mclf_jax.evaluation.windows import cut
from mclf_jax.export.bundle import OUTPUTS, Bundle, make_step

NUM_WINDOWS = 8
_AT_ONCE = 16
Outputs = Callable[[np.ndarray], Mapping[str, np.ndarray]]


def sample_windows(bundle: Bundle) -> np.ndarray:
    """Float32 [B, T] to compare on: noise and chords, from soft to loud; the same at every call."""
    draw = np.random.default_rng(0)
    length, rate = bundle.window_samples, bundle.sample_rate_hz
    times_s = np.arange(length) / rate
    pitches_hz = draw.uniform(60, rate / 4, (NUM_WINDOWS, 6, 1))
    chords = np.sin(2 * np.pi * pitches_hz * times_s + draw.uniform(0, 6, (NUM_WINDOWS, 6, 1)))
    noise = draw.standard_normal((NUM_WINDOWS, length))
    mixed = chords.mean(axis=1) + np.linspace(0, 1, NUM_WINDOWS)[:, None] * noise
    loudness = np.logspace(-2, 0, NUM_WINDOWS)[:, None]
    return (loudness * mixed / np.abs(mixed).max(axis=1, keepdims=True)).astype(np.float32)


def outputs_of(bundle: Bundle) -> Outputs:
    """float32 [B, T] -> {"scores" [B, K], "embedding" [B, D]}, by whatever the bundle runs on."""
    step, weights = make_step(bundle), jax.device_put(bundle.weights)

    def outputs(audio):
        rows = np.arange(len(audio), dtype=np.int32)
        batch = {"audio": audio, "index": rows, "row": rows, "valid": np.ones(len(audio), "f4")}
        found = jax.device_get(step(weights, batch))
        return {name: found[name] for name in OUTPUTS if name in found}

    return outputs


def compare(
    bundle: Bundle, other: Outputs, *, songs: Sequence[str | Path] = ()
) -> dict[str, float | int]:
    """What was made of a bundle beside it, on songs, or without any on each of `sample_windows`.

    Returns:
        "greatest" and "mean" absolute difference of the scores of a song, or of its embedding if
        no labels were learnt; milliseconds for a song, "ms" of the other and "live_ms" of the
        bundle, without decoding; "num_songs".

    Raises:
        AudioError: a song cannot be decoded.
    """
    live, differences, seconds = outputs_of(bundle), [], np.zeros(2)
    batches = [_song_windows(bundle, song) for song in songs] or np.split(
        sample_windows(bundle), NUM_WINDOWS
    )
    seen = set()
    for windows in batches:
        parts = np.split(windows, range(_AT_ONCE, len(windows), _AT_ONCE))
        for size in {len(part) for part in parts} - seen:  # compiled before the clock runs
            seen.add(size)
            live(windows[:size]), other(windows[:size])
        means = []
        for number, outputs in enumerate((live, other)):
            began = time.perf_counter()
            found = [outputs(part) for part in parts]
            rows = {key: np.concatenate([each[key] for each in found]) for key in found[0]}
            means.append(_of_song(bundle, rows))
            seconds[number] += time.perf_counter() - began
        differences.append(np.abs(means[1] - means[0]))
    live_ms, ms = (1000 * seconds / len(batches)).tolist()
    return {
        "greatest": float(np.max(differences)),
        "mean": float(np.mean(differences)),
        "ms": ms,
        "live_ms": live_ms,
        "num_songs": len(songs),
    }


def _of_song(bundle: Bundle, rows: Mapping[str, np.ndarray]) -> np.ndarray:
    if not bundle.labels:
        return rows["embedding"].mean(axis=0)
    return combine(rows, bundle.aggregation, task=bundle.task)


def _song_windows(bundle: Bundle, path: str | Path) -> np.ndarray:
    song = Song(path, rate=bundle.sample_rate_hz, sample_rate_hz=None)
    starts = cut(song.length, bundle.models[0], num_windows=bundle.num_windows, hop_s=bundle.hop_s)
    found = [audio for _, audio in song.windows(starts, bundle.window_samples, bundle.short)]
    if not found:
        raise AudioError(song.name, "nothing in it can be decoded")
    return np.stack(found)
