"""A trained model to use: tags, taggrams and embeddings of songs of any length."""

import dataclasses
import os
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import jax
import numpy as np
import soxr

from mclf_jax.audio.decode import (
    AudioError,
    check_samples,
    hear,
    read_windows,
    resampled_length,
    too_loud,
)
from mclf_jax.audio.files.sound import HIGHEST_RATE_HZ, LOWEST_RATE_HZ
from mclf_jax.common import checks, parallel
from mclf_jax.data.base.windows import fit_length
from mclf_jax.evaluation.windows import (
    NOT_FINITE,
    Rows,
    average,
    check_cut,
    cut,
    make_step,
    pack,
    rows_of,
)
from mclf_jax.models import Model
from mclf_jax.run.weights import load_variables, open_run, why_unfit

# Bytes and open files hold what a file on disk would; arrays are [T], [T, C] or [C, T].
Audio = str | os.PathLike | bytes | BinaryIO | np.ndarray
# More than these are no channels.
_MOST_CHANNELS = 16


def load(
    run: str | Path,
    *,
    window_s: float | None = None,
    num_windows: int | None = None,
    hop_s: float | None = None,
) -> "Tagger":
    """The tagger of a run directory, with the weights of its best checkpoint.

    Args:
        run: made by `mclf train` or `mclf convert`.
        window_s, num_windows, hop_s: how songs are cut, see `Tagger`; what the run was evaluated
            with when not given.

    Raises:
        FileNotFoundError: not a run directory, or nothing was trained in it yet.
        ValueError: songs cannot be cut so for this network.
    """
    opened = open_run(run)
    config, meta, model = opened.config, opened.meta, opened.model
    if num_windows is None and hop_s is None:
        num_windows, hop_s = config.eval.num_windows, config.eval.hop_s
        num_windows = num_windows if hop_s is None else None
    return Tagger(
        model,
        load_variables(run, model, parallel.make_mesh(1))["variables"],
        labels=() if why_unfit(opened) else meta["labels"],
        task=meta["task"],
        short=config.data.short,
        window_s=window_s,
        num_windows=num_windows,
        hop_s=hop_s,
    )


class Tagger:
    """A network with its weights and labels, applied to files or arrays.

    Songs are read window by window and go through the network in batches of few shapes, so
    memory does not grow with their length. The scores of a song are the means over its
    windows, as in evaluation.

    Args:
        model: of `models.build`.
        variables: of the model's module.
        labels: K names, in the order of the outputs; none for a network that has learnt none.
        task: one of `data.base.source.TASKS`; decides between softmax, sigmoid and plain numbers.
        short: what to do with audio shorter than a window, "tile" or "pad".
        window_s: length of a window in seconds, if not the model's. Only networks that pool or
            attend over time take another length than the one they were trained with.
        num_windows: evenly spaced windows that stand for a song; 16 when not given.
        hop_s: a window every so many seconds instead.
        batch_size: windows of the model's length in one call of the network; longer windows go
            fewer at a time.

    Raises:
        ValueError: a setting out of range, both `num_windows` and `hop_s`, or a `window_s` that
            the network does not take.
    """

    def __init__(
        self,
        model: Model,
        variables: Any,
        *,
        labels: Sequence[str],
        task: str,
        short: str = "tile",
        window_s: float | None = None,
        num_windows: int | None = None,
        hop_s: float | None = None,
        batch_size: int = 16,
    ):
        check_cut(num_windows=num_windows, hop_s=hop_s)
        self._hop_s, self._num_windows = hop_s, 16 if num_windows is None else num_windows
        self.variables, self.labels, self.task = variables, tuple(labels), task
        self._short = short
        self.model = model if window_s is None else _with_window(model, window_s, variables)
        longer = max(1.0, self.model.window_samples / model.window_samples)
        self._batch_size = max(1, int(batch_size / longer))

        self._step = make_step(self.model, outputs=("scores", "embedding"), task=task)

    def __repr__(self) -> str:
        rate, window_s = self.model.features.sample_rate_hz, self.model.window_s
        shown = ", ".join(self.labels[:3]) + (", ..." if len(self.labels) > 3 else "")
        learnt = f"{len(self.labels)} labels ({shown})" if self.labels else "no labels"
        cut = f"every {self._hop_s:g} s" if self._hop_s else f"{self._num_windows} a song"
        return (
            f"Tagger({self.model.name}, {self.task}, {learnt}, windows of {window_s:.4g} s at "
            f"{rate} Hz, {cut})"
        )

    def predict(
        self, audio: Audio | Sequence[Audio], *, sample_rate_hz: int | None = None
    ) -> dict[str, float] | list[dict[str, float]]:
        """{label: score} of a song, or a list of them for a list of songs.

        Args:
            audio: a song, or a list of songs: path; the bytes of a file, or a file that is open
                for reading them; or an array [T], [T, C] or [C, T], whose channels are averaged:
                floating point with full scale 1, or integers with the full scale of their type.
            sample_rate_hz: of arrays; they are resampled to the model's rate.

        Raises:
            AudioError: a file that cannot be read or an array without usable samples.
            ValueError: an array of another shape, or one without `sample_rate_hz`; or the network
                has learnt no labels.

        Warns:
            UserWarning: once for a song of which only a part can be used, or whose samples are far
                outside -1..1.
        """
        self._check_labels()
        songs, single = _as_list(audio)
        scores = self._means("scores", songs, sample_rate_hz)
        named = [dict(zip(self.labels, map(float, row), strict=True)) for row in scores]
        return named[0] if single else named

    def embed(
        self, audio: Audio | Sequence[Audio], *, sample_rate_hz: int | None = None
    ) -> np.ndarray:
        """Float32 [D] for a song or [N, D] for a list: what the last layer sees, averaged.

        Arguments and errors as in `predict`.
        """
        songs, single = _as_list(audio)
        embeddings = self._means("embedding", songs, sample_rate_hz)
        return embeddings[0] if single else embeddings

    def taggram(
        self, audio: Audio, *, hop_s: float | None = None, sample_rate_hz: int | None = None
    ) -> dict[str, Any]:
        """Scores along a song.

        Args:
            audio: a song, see `predict`.
            hop_s: seconds between windows; when not given that of the tagger, or half a window.
            sample_rate_hz: of an array.

        Returns:
            {"times_s": [W] middles of the windows, "labels": K names, "scores": [W, K],
            "window_s": seconds of the song in each window}; `plot_taggram` draws it.
        """
        self._check_labels()
        checks.positive("hop_s", hop_s, unit="seconds")
        rate, window = self.model.features.sample_rate_hz, self.model.window_samples
        song = _Song(audio, rate=rate, sample_rate_hz=sample_rate_hz)
        hop_s = hop_s or self._hop_s or self.model.window_s / 2
        starts = cut(song.length, self.model, num_windows=1, hop_s=hop_s)
        found = [
            (starts[rows["index"]], rows["scores"])
            for rows in self._rows(song.windows(starts, window, self._short))
        ]
        if not found:
            raise AudioError(song.name, "nothing in it can be decoded")
        kept, scores = map(np.concatenate, zip(*found, strict=True))
        if not np.isfinite(scores).all():
            raise AudioError(song.name, NOT_FINITE)
        window_s = min(window, song.length) / rate
        return {
            "times_s": kept / rate + window_s / 2,
            "labels": self.labels,
            "scores": scores,
            "window_s": window_s,
        }

    def _check_labels(self) -> None:
        if not self.labels:
            raise ValueError(
                "this run was trained without labels, so it cannot tag; `embed` songs with it, or "
                "see what its embeddings are good for with `mclf probe`"
            )

    def _means(self, name: str, songs: Sequence[Audio], sample_rate_hz: int | None) -> np.ndarray:
        if not songs:
            raise ValueError("audio is an empty list; it must hold a song or more")
        rate = self.model.features.sample_rate_hz
        opened = [_Song(song, rate=rate, sample_rate_hz=sample_rate_hz) for song in songs]
        how = {"num_windows": self._num_windows, "hop_s": self._hop_s}

        def all_windows():
            for number, song in enumerate(opened):
                starts = cut(song.length, self.model, **how)
                for _, audio in song.windows(starts, self.model.window_samples, self._short):
                    yield number, audio

        found = average(self._rows(all_windows()), name, num_songs=len(opened))
        for number in np.flatnonzero(found["counts"] == 0):
            raise AudioError(opened[number].name, "nothing in it can be decoded")
        for number in np.flatnonzero(~np.isfinite(found["means"]).all(axis=1)):
            raise AudioError(opened[number].name, NOT_FINITE)
        return found["means"].astype(np.float32)

    def _rows(self, windows: Iterable[tuple[int, np.ndarray]]) -> Iterator[Rows]:
        return rows_of(self._step, self.variables, pack(windows, batch_size=self._batch_size))


class _Song:
    """A file or an array as windows at the model's rate; a file is never read whole."""

    def __init__(self, audio: Audio, *, rate: int, sample_rate_hz: int | None):
        self._rate, self._path, self._array = rate, None, None
        if not isinstance(audio, str | os.PathLike) and not hasattr(audio, "shape"):
            self.name, self._kept = "the file", _as_file(audio)
            self._path = self._kept.name
        elif isinstance(audio, str | os.PathLike):
            self.name = self._path = os.fspath(audio)
        if self._path is not None:
            try:
                heard = hear(self._path)
            except AudioError as error:
                raise AudioError(self.name, error.reason) from None
            self.length = resampled_length(
                heard.info.num_frames, source_rate_hz=heard.info.sample_rate_hz, sample_rate_hz=rate
            )
            part, peak, narrow = heard.info.part, heard.peak, ""
        else:
            self.name = "the array"
            self._array = _as_samples(audio, sample_rate_hz, rate)
            self.length = len(self._array)
            part, peak, narrow = "", float(np.abs(self._array).max(initial=0)), _too_narrow(audio)
        for said in filter(None, (part and f"used in part: {part}", too_loud(peak), narrow)):
            warnings.warn(f"{self.name}: {said}", stacklevel=4)
        if self.length < 1:
            raise AudioError(self.name, "it has no samples")

    def windows(
        self, starts: np.ndarray, window: int, short: str
    ) -> Iterator[tuple[int, np.ndarray]]:
        """(number of the start, float32 [window]) for each start that there is audio at."""
        if self._array is None:
            clips = read_windows(self._path, starts, sample_rate_hz=self._rate, num_samples=window)
        else:
            clips = (self._array[start : start + window] for start in starts)
        for number, audio in enumerate(clips):
            if len(audio):
                yield number, fit_length(audio, window, short=short)


def _with_window(model: Model, window_s: float, variables: Any) -> Model:
    """The model for windows of another length, if its network takes them."""
    checks.window_s("window_s", window_s)
    num_samples = round(window_s * model.features.sample_rate_hz)
    if num_samples == model.window_samples:
        return model
    if model.length == "fixed":
        raise ValueError(
            f"window_s is {window_s:g}, but {model.name} is made for one length and was trained "
            f"with {model.window_s:g} s; leave window_s out, and change by num_windows or hop_s "
            "where a song is listened to"
        )
    changed = dataclasses.replace(model, window_samples=num_samples)
    try:
        jax.eval_shape(changed.apply, variables, jax.ShapeDtypeStruct((1, num_samples), "float32"))
    except ValueError as error:
        raise ValueError(f"window_s={window_s:g} does not suit {model.name}: {error}") from error
    return changed


def _as_samples(audio: Any, sample_rate_hz: int | None, rate: int) -> np.ndarray:
    array = np.asarray(audio)
    if sample_rate_hz is None:
        raise ValueError("sample_rate_hz is needed for arrays: it cannot be read off them")
    checks.within("sample_rate_hz", sample_rate_hz, LOWEST_RATE_HZ, HIGHEST_RATE_HZ)
    array = _mono(array)
    if array.dtype.itemsize < 4:
        array = array.astype(np.float32)  # in which 1e10 has a place
    check_samples(array, path="the array", at_s=lambda sample: sample / sample_rate_hz)
    array = array.astype(np.float32, copy=False)
    return array if sample_rate_hz == rate else soxr.resample(array, sample_rate_hz, rate, "HQ")


def _too_narrow(audio: Any) -> str:
    """What is to be said of integers that use next to nothing of their type; "" if they do."""
    array = np.asarray(audio)
    if array.dtype.kind != "i":
        return ""
    peak = max(int(array.max(initial=0)), -int(array.min(initial=0)))
    full_scale = -int(np.iinfo(array.dtype).min)
    if not 0 < peak <= full_scale >> 16:
        return ""
    return (
        f"its samples reach {peak}, where full scale of {array.dtype} is {full_scale}: perhaps"
        " integers of fewer bits, such as int16, which should keep their type"
    )


def _mono(array: np.ndarray) -> np.ndarray:
    """Floating point [T] in -1..1 of samples of any type, the channels averaged."""
    channels = array.ndim == 2 and min(array.shape) <= _MOST_CHANNELS
    if not (array.ndim == 1 or channels) or array.dtype.kind not in "fiu":
        raise ValueError(
            f"got {array.dtype} {list(array.shape)}; an array of audio is [T], [T, C] or [C, T] "
            f"with at most {_MOST_CHANNELS} channels, of floating point numbers in -1..1 or of "
            "integers with the full scale of their type"
        )
    if array.dtype.kind in "iu":
        # Unsigned samples lie around the middle of their range.
        half = 2.0 ** (8 * array.dtype.itemsize - 1)
        array = array / half - (array.dtype.kind == "u")
    if array.ndim == 2:
        # Time is the longer axis; of as many samples as channels, the first.
        array = array.mean(axis=1 if array.shape[0] >= array.shape[1] else 0)
    return array


def _as_file(audio: bytes | BinaryIO) -> Any:
    """A file on disk of bytes, or of what is left of an open file; it goes with the object."""
    if not isinstance(audio, bytes) and hasattr(audio, "read"):
        audio = audio.read()
    if not isinstance(audio, bytes | bytearray | memoryview):
        raise ValueError(
            f"audio is a {type(audio).__name__}; it must be a path, bytes, a file that is open in "
            "binary mode, an array, or a list of these"
        )
    # It is decoded by the same code as every file, so that the same windows are heard.
    file = tempfile.NamedTemporaryFile(prefix="mclf-")  # noqa: SIM115 - it goes with its song
    file.write(audio)
    file.flush()
    return file


def _as_list(audio: Audio | Sequence[Audio]) -> tuple[list[Audio], bool]:
    many = isinstance(audio, Iterable) and not isinstance(
        audio, str | os.PathLike | bytes | bytearray | memoryview | np.ndarray | jax.Array
    )
    single = not many or hasattr(audio, "read")
    return ([audio], True) if single else (list(audio), False)
