"""A trained model to use: tags, taggrams and embeddings of songs of any length."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import soxr

from mclf_jax import evaluation, parallel, rundir
from mclf_jax.audio.decode import AudioError, audio_info, read_audio, resampled_length
from mclf_jax.data.windows import fit_length, window_starts
from mclf_jax.models import Model
from mclf_jax.objectives.supervised import task_scores

Audio = str | os.PathLike | np.ndarray


def load(run: str | Path) -> "Tagger":
    """The tagger of a run directory, with the weights of its best checkpoint.

    Raises:
        FileNotFoundError: not a run directory, or nothing was trained in it yet.
    """
    run = Path(run)
    config, meta = rundir.read_config(run), rundir.read_meta(run)
    model = rundir.read_model(run)
    return Tagger(
        model,
        evaluation.load_variables(run, model, parallel.make_mesh(1))["variables"],
        labels=meta["labels"],
        task=meta["task"],
        short=config.data.short,
        num_windows=config.eval.num_windows,
        hop_s=config.eval.hop_s,
    )


class Tagger:
    """A network with its weights and labels, applied to files or arrays.

    Songs are read window by window and go through the network in batches of one shape, so
    memory does not grow with their length. The scores of a song are the means over its
    windows, as in evaluation.

    Args:
        model: of `models.build`.
        variables: of the model's module.
        labels: K names, in the order of the outputs.
        task: one of `data.source.TASKS`; decides between softmax, sigmoid and plain numbers.
        short: what to do with audio shorter than a window, "tile" or "pad".
        num_windows: evenly spaced windows that stand for a song.
        hop_s: if given, a window every so many seconds instead.
        batch_size: windows per call of the network.
    """

    def __init__(
        self,
        model: Model,
        variables: Any,
        *,
        labels: Sequence[str],
        task: str,
        short: str = "tile",
        num_windows: int = 16,
        hop_s: float | None = None,
        batch_size: int = 16,
    ):
        self.model, self.variables = model, variables
        self.labels, self.task = tuple(labels), task
        self._short, self._batch_size = short, batch_size
        self._num_windows, self._hop_s = num_windows, hop_s

        @jax.jit
        def run(variables, waveform):
            outputs = model.apply(variables, waveform)
            return task_scores(task, outputs["logits"]), outputs["embedding"]

        self._run = run

    def predict(
        self, audio: Audio | Sequence[Audio], *, sample_rate_hz: int | None = None
    ) -> dict[str, float] | list[dict[str, float]]:
        """{label: score} of a song, or a list of them for a list of songs.

        Args:
            audio: path or float [T] array, or a list of these.
            sample_rate_hz: of arrays; they are resampled to the model's rate.

        Raises:
            AudioError: a file that cannot be read or an array without usable samples.
            ValueError: an array of another shape, or one without `sample_rate_hz`.
        """
        songs, single = _as_list(audio)
        scores = self._means(songs, sample_rate_hz)["scores"]
        named = [dict(zip(self.labels, map(float, row), strict=True)) for row in scores]
        return named[0] if single else named

    def embed(
        self, audio: Audio | Sequence[Audio], *, sample_rate_hz: int | None = None
    ) -> np.ndarray:
        """Float32 [D] for a song or [N, D] for a list: what the last layer sees, averaged.

        Arguments and errors as in `predict`.
        """
        songs, single = _as_list(audio)
        embeddings = self._means(songs, sample_rate_hz)["embeddings"]
        return embeddings[0] if single else embeddings

    def taggram(
        self, audio: Audio, *, hop_s: float | None = None, sample_rate_hz: int | None = None
    ) -> dict[str, Any]:
        """Scores along a song.

        Args:
            audio: path or float [T] array.
            hop_s: seconds between windows; half a window when not given.
            sample_rate_hz: of an array.

        Returns:
            {"times_s": [W] middles of the windows, "labels": K names, "scores": [W, K]}.
        """
        rate, window = self.model.features.sample_rate_hz, self.model.window_samples
        hop = max(1, round((self.model.window_s / 2 if hop_s is None else hop_s) * rate))
        song = _Song(audio, rate=rate, sample_rate_hz=sample_rate_hz)
        starts = window_starts(song.length, window=window, num_windows=1, hop=hop)
        kept, scores = [], []
        for (start, _), row, _ in self._batched(song.windows(starts, window, self._short)):
            kept.append(start)
            scores.append(row)
        if not kept:
            raise AudioError(song.name, "nothing in it can be decoded")
        middle = np.minimum(window, song.length) / 2
        return {
            "times_s": (np.array(kept) + middle) / rate,
            "labels": self.labels,
            "scores": np.stack(scores),
        }

    def _means(self, songs: Sequence[Audio], sample_rate_hz: int | None) -> dict[str, np.ndarray]:
        rate, window = self.model.features.sample_rate_hz, self.model.window_samples
        hop = None if self._hop_s is None else max(1, round(self._hop_s * rate))
        opened = [_Song(song, rate=rate, sample_rate_hz=sample_rate_hz) for song in songs]

        def all_windows():
            for number, song in enumerate(opened):
                starts = window_starts(
                    song.length, window=window, num_windows=self._num_windows, hop=hop
                )
                for _, audio in song.windows(starts, window, self._short):
                    yield number, audio

        sums: dict[str, Any] = {"scores": [0.0] * len(opened), "embeddings": [0.0] * len(opened)}
        counts = np.zeros(len(opened), int)
        for (number, _), scores, embedding in self._batched(all_windows()):
            counts[number] += 1
            sums["scores"][number] = sums["scores"][number] + scores
            sums["embeddings"][number] = sums["embeddings"][number] + embedding
        for number in np.flatnonzero(counts == 0):
            raise AudioError(opened[number].name, "nothing in it can be decoded")
        return {
            name: np.stack(rows).astype(np.float32) / counts[:, None].astype(np.float32)
            for name, rows in sums.items()
        }

    def _batched(self, windows: Iterable[tuple[int, np.ndarray]]) -> Iterator[tuple]:
        """((tag, window), scores [K], embedding [D]) for each (tag, window)."""
        pending = []
        for item in windows:
            pending.append(item)
            if len(pending) == self._batch_size:
                yield from self._flush(pending)
                pending = []
        if pending:
            yield from self._flush(pending)

    def _flush(self, items):
        waveform = np.zeros((self._batch_size, self.model.window_samples), np.float32)
        for row, (_, audio) in enumerate(items):
            waveform[row] = audio
        outputs = jax.device_get(self._run(self.variables, jnp.asarray(waveform)))
        yield from zip(items, *outputs, strict=False)


class _Song:
    """A file or an array as windows at the model's rate; a file is never read whole."""

    def __init__(self, audio: Audio, *, rate: int, sample_rate_hz: int | None):
        self._rate, self._path, self._array = rate, None, None
        if isinstance(audio, str | os.PathLike):
            self.name = self._path = os.fspath(audio)
            info = audio_info(audio)
            self.length = resampled_length(
                info.num_frames, source_rate_hz=info.sample_rate_hz, sample_rate_hz=rate
            )
        else:
            self.name = "the array"
            self._array = _checked_array(audio, sample_rate_hz, rate)
            self.length = len(self._array)
        if self.length < 1:
            raise AudioError(self.name, "it has no samples")

    def windows(
        self, starts: np.ndarray, window: int, short: str
    ) -> Iterator[tuple[int, np.ndarray]]:
        """(start, float32 [window]) for each start that there is audio at."""
        for start in map(int, starts):
            if self._array is None:
                audio = read_audio(
                    self._path, sample_rate_hz=self._rate, start_sample=start, num_samples=window
                )
            else:
                audio = self._array[start : start + window]
            if len(audio):  # a truncated file ends before its header says
                yield start, fit_length(audio, window, short=short)


def _checked_array(audio: Any, sample_rate_hz: int | None, rate: int) -> np.ndarray:
    array = np.asarray(audio)
    if sample_rate_hz is None:
        raise ValueError("sample_rate_hz is needed for arrays: it cannot be read off them")
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.floating):
        raise ValueError(
            f"expected a float array [T] of mono audio in -1..1, got {array.dtype} "
            f"{list(array.shape)}; average the channels, and divide integers by their largest value"
        )
    if not np.isfinite(array).all():
        raise AudioError("the array", "it holds NaN or infinity")
    array = array.astype(np.float32, copy=False)
    return array if sample_rate_hz == rate else soxr.resample(array, sample_rate_hz, rate, "HQ")


def _as_list(audio: Audio | Sequence[Audio]) -> tuple[list[Audio], bool]:
    single = isinstance(audio, str | os.PathLike | np.ndarray | jax.Array)
    return ([audio], True) if single else (list(audio), False)
