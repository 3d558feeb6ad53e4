"""A trained model to use: tags, taggrams and embeddings of songs of any length."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from mclf_jax.audio.decode import AudioError
from mclf_jax.audio.files.versions import warn_of_others
from mclf_jax.common import checks
from mclf_jax.evaluation import aggregation as aggregation_lib
from mclf_jax.evaluation.ahead import each_song
from mclf_jax.evaluation.song import Audio, Song, as_list
from mclf_jax.evaluation.windows import (
    NOT_FINITE,
    Rows,
    average,
    check_cut,
    cut,
    pack,
    rows_of,
)
from mclf_jax.export.bundle import (
    Bundle,
    listening_by,
    make_step,
    right_scores,
    takes_words,
    with_window,
    with_words,
)
from mclf_jax.export.collect import Paths, bundle_of
from mclf_jax.metrics.along import Segment, segments_of
from mclf_jax.models import Model


def load(
    run: Paths,
    *,
    window_s: float | None = None,
    num_windows: int | None = None,
    hop_s: float | None = None,
    aggregation: str | None = None,
    layer: str | int | None = None,
    words: Sequence[str] | None = None,
) -> "Tagger":
    """The tagger of a run directory, with the weights of its best checkpoint, or of a file.

    Args:
        run: made by `mclf train` or `mclf convert`, or a `.mclf` file of `mclf export`, or a probe
            that `mclf probe` kept; or a list of runs and files, whose scores are averaged.
        window_s, num_windows, hop_s: how songs are cut, see `Tagger`; what the run was evaluated
            with when not given.
        aggregation: how scores of a song come from those of its windows: "mean", "max", "median",
            "vote" or "noisy_or", see `evaluation.aggregation`; `eval.aggregation` of the run when
            not given. With another one there are no thresholds, as they were chosen for that.
        layer: whose output `embed` gives: a name, a number counted from 1, or "all" one after the
            other, see `models.hidden`; what the last layer reads when not given.
        words: tags, phrases or captions in place of labels, such as ("slow piano", "sad"), each
            scored by itself; for networks that were trained beside words (`configs/words.py`).
            Scores are above .5 where a song has more of it than those of training on average.

    Raises:
        FileNotFoundError: not a run directory, or nothing was trained in it yet.
        ValueError: songs cannot be cut so for this network, its scores not be put together so, it
            has no such layer, knows no words but its labels, or the file is damaged.

    Warns:
        UserWarning: other versions of decoders or the resampler are installed than in training.
    """
    bundle = bundle_of(run)
    for about in (bundle.about, *bundle.about.get("members", ())):
        if warn_of_others(about.get("audio", {})):
            break
    if words is not None:
        bundle = with_words(bundle, words)
    bundle = listening_by(bundle, aggregation=aggregation, layer=layer)
    return Tagger.of(bundle, window_s=window_s, num_windows=num_windows, hop_s=hop_s)


class Tagger:
    """A network with its weights and labels, applied to files or arrays.

    Songs are read window by window and go through the network in batches of few shapes, so
    memory does not grow with their length. The scores of a song are the means over its
    windows, as in evaluation, or what `eval.aggregation` says in place of means.

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
        if num_windows is None and hop_s is None:
            num_windows = 16
        names = tuple(labels)
        bundle = Bundle((model,), (variables,), task, names, short, num_windows, hop_s)
        self._use(bundle, window_s=window_s, batch_size=batch_size)

    @classmethod
    def of(
        cls,
        bundle: Bundle,
        *,
        window_s: float | None = None,
        num_windows: int | None = None,
        hop_s: float | None = None,
        batch_size: int = 16,
    ) -> "Tagger":
        """The tagger of a bundle, which cuts songs as that says where nothing else is asked for."""
        check_cut(num_windows=num_windows, hop_s=hop_s)
        if num_windows is not None or hop_s is not None:
            bundle = dataclasses.replace(bundle, num_windows=num_windows, hop_s=hop_s)
        tagger = cls.__new__(cls)
        tagger._use(bundle, window_s=window_s, batch_size=batch_size)
        return tagger

    def _use(self, bundle: Bundle, *, window_s: float | None, batch_size: int) -> None:
        longer = 1.0
        if window_s is not None:
            changed = with_window(bundle, window_s)
            longer = max(1.0, changed.window_samples / bundle.window_samples)
            bundle = changed
        self.bundle, self.model = bundle, bundle.models[0]
        self.labels, self.task = bundle.labels, bundle.task
        self._batch_size = max(1, int(batch_size / longer))
        self._weights, self._step = jax.device_put(bundle.weights), make_step(bundle)

    @property
    def variables(self) -> Any:
        """Of the network's module; of the first one's in an ensemble."""
        return self.bundle.variables[0]

    @property
    def thresholds(self) -> Mapping[str, float]:
        """{label: score from which on a song is said to have it}; empty if none is known."""
        return self.bundle.thresholds

    def __repr__(self) -> str:
        rate, window_s = self.model.features.sample_rate_hz, self.model.window_s
        shown = ", ".join(self.labels[:3]) + (", ..." if len(self.labels) > 3 else "")
        learnt = f"{len(self.labels)} labels ({shown})" if self.labels else "no labels"
        hop_s, count = self.bundle.hop_s, self.bundle.num_windows
        cut = f"every {hop_s:g} s" if hop_s else f"{count} a song"
        return (
            f"Tagger({self.bundle.name}, {self.task}, {learnt}, windows of {window_s:.4g} s at "
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
        songs, single = as_list(audio)
        scores = self._means("scores", songs, sample_rate_hz)
        named = [dict(zip(self.labels, map(float, row), strict=True)) for row in scores]
        return named[0] if single else named

    def tags(self, scores: Mapping[str, float]) -> list[str]:
        """The labels that a song has by its scores, of `predict`, in the order of the labels.

        Of tags those whose score reaches their threshold, .5 where none is known; of labels of
        which a song has one, the best.

        Raises:
            ValueError: the network predicts numbers, which are no tags, or has learnt no labels.

        >>> tagger.tags({"rock": 0.8, "vocal": 0.3})  # doctest: +SKIP
        ['rock']
        """
        self._check_labels()
        if self.task == "regression":
            raise ValueError("this run predicts numbers, and no tags")
        if self.task == "single_label":
            return [max(self.labels, key=lambda name: scores[name])]
        return [name for name in self.labels if scores[name] >= self.thresholds.get(name, 0.5)]

    def predict_files(self, paths: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Scores of many files, equal to those of `predict` to rounding, each as soon as known.

        Files are decoded ahead in threads, and windows of several songs share a batch.

        Args:
            paths: of audio files.

        Yields:
            For each, in order, {"path", "duration_s", "scores": float32 [K]}, or, of one that
            cannot be used, {"path", "error": AudioError}.

        Raises:
            ValueError: the network has learnt no labels.
        """
        self._check_labels()
        yield from self._each(paths, names=("scores",))

    def embed_files(self, paths: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Embeddings of many files, equal to those of `embed` to rounding; see `predict_files`.

        Yields:
            For each, in order, {"path", "duration_s", "embedding": float32 [D]}, or, of one that
            cannot be used, {"path", "error": AudioError}.
        """
        yield from self._each(paths, names=("embedding",))

    def hear_files(self, paths: Sequence[str]) -> Iterator[dict[str, Any]]:
        """As `predict_files`, with "embedding" float32 [D] too; without "scores" where no labels
        were learnt."""
        yield from self._each(
            paths, names=("scores", "embedding") if self.labels else ("embedding",)
        )

    def _each(self, paths: Sequence[str], *, names: Sequence[str]) -> Iterator[dict[str, Any]]:
        how = {"num_windows": self.bundle.num_windows, "hop_s": self.bundle.hop_s}
        found = each_song(
            paths,
            rows=self._rows,
            names=names,
            starts=lambda length: cut(length, self.model, **how),
            rate=self.model.features.sample_rate_hz,
            window=self.model.window_samples,
            short=self.bundle.short,
            how=self.bundle.aggregation,
            task=self.task,
        )
        for each in found:
            if "scores" in each:
                each["scores"] = right_scores(self.bundle, each["scores"])
            yield each

    @property
    def identity(self) -> str:
        """Hex digest of all that scores of a song depend on: weights, labels, features and windows.

        Taggers with the same one say the same of a song.
        """
        from mclf_jax.run.weights import digest

        bundle = self.bundle
        networks = [(m.name, m.window_samples, repr(m.features)) for m in bundle.models]
        cuts: tuple[Any, ...] = (bundle.short, bundle.num_windows, bundle.hop_s)
        if bundle.aggregation != "mean" or bundle.hidden:  # else as it always was
            cuts += (bundle.aggregation, bundle.hidden)
        if bundle.scaling is not None:
            cuts += (bundle.scaling,)
        for more in filter(None, (bundle.tree, bundle.unit)):
            cuts += (more,)
        return digest(bundle.weights, known=repr((networks, bundle.task, bundle.labels, cuts)))

    def embed(
        self, audio: Audio | Sequence[Audio], *, sample_rate_hz: int | None = None
    ) -> np.ndarray:
        """Float32 [D] for a song or [N, D] for a list: what the last layer sees, averaged; or the
        output of the layer that the tagger was loaded with.

        Arguments and errors as in `predict`.
        """
        songs, single = as_list(audio)
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
        song = Song(audio, rate=rate, sample_rate_hz=sample_rate_hz)
        hop_s = hop_s or self.bundle.hop_s or self.model.window_s / 2
        starts = cut(song.length, self.model, num_windows=1, hop_s=hop_s)
        found = [
            (starts[rows["index"]], rows["scores"])
            for rows in self._rows(song.windows(starts, window, self.bundle.short))
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
            "scores": right_scores(self.bundle, scores),
            "window_s": window_s,
        }

    def segments(
        self,
        audio: Audio | Mapping[str, Any],
        *,
        thresholds: Mapping[str, float] | float | None = None,
        merge_gap_s: float = 0.0,
        min_s: float = 0.0,
        **how: Any,
    ) -> list[Segment]:
        """From when to when a song has which labels; see `metrics.along.segments_of`.

        Args:
            audio: a song, see `predict`, or what `taggram` gave of one.
            thresholds: of all labels, or {label: threshold}; those of the tagger when not given,
                .5 where it has none (0 for single labels).
            merge_gap_s: neighbours of one label that are so near become one.
            min_s: what is shorter then is dropped.
            **how: of `taggram`: `hop_s`, `sample_rate_hz`.

        Raises:
            AudioError, ValueError: see `taggram`; or the network predicts numbers.
        """
        self._check_labels()
        if self.task == "regression":
            raise ValueError("this run predicts numbers, of which there are no segments")
        found = audio if isinstance(audio, Mapping) else self.taggram(audio, **how)
        limits = self.thresholds if thresholds is None else thresholds
        settings = {"merge_gap_s": merge_gap_s, "min_s": min_s}
        return segments_of(found, task=self.task, thresholds=limits, **settings)

    def score_windows(self, windows: np.ndarray) -> np.ndarray:
        """Scores [W, K] of windows, float32 [W, T] at the model's rate and of its length."""
        self._check_labels()
        found = [rows["scores"] for rows in self._rows(enumerate(windows))]
        return right_scores(self.bundle, np.concatenate(found))

    def _check_labels(self) -> None:
        if not self.labels and takes_words(self.bundle):
            raise ValueError(
                "this run was trained beside words and has no labels of its own: say what to look "
                "for, --words 'slow piano, sad' (words=('slow piano', 'sad'))"
            )
        if not self.labels:
            raise ValueError(
                "this run was trained without labels, so it cannot tag; `embed` songs with it, or "
                "see what its embeddings are good for with `mclf probe`"
            )

    def _means(self, name: str, songs: Sequence[Audio], sample_rate_hz: int | None) -> np.ndarray:
        if not songs:
            raise ValueError("audio is an empty list; it must hold a song or more")
        rate = self.model.features.sample_rate_hz
        opened = [Song(song, rate=rate, sample_rate_hz=sample_rate_hz) for song in songs]
        how = {"num_windows": self.bundle.num_windows, "hop_s": self.bundle.hop_s}

        def all_windows():
            for number, song in enumerate(opened):
                starts = cut(song.length, self.model, **how)
                for _, audio in song.windows(starts, self.model.window_samples, self.bundle.short):
                    yield number, audio

        rows, num_songs = self._rows(all_windows()), len(opened)
        if name == "scores":
            said = {"how": self.bundle.aggregation, "task": self.task}
            found = aggregation_lib.song_scores(rows, num_songs=num_songs, **said)
        else:
            found = average(rows, name, num_songs=num_songs)
        for number in np.flatnonzero(found["counts"] == 0):
            raise AudioError(opened[number].name, "nothing in it can be decoded")
        for number in np.flatnonzero(~np.isfinite(found["means"]).all(axis=1)):
            raise AudioError(opened[number].name, NOT_FINITE)
        means = found["means"].astype(np.float32)
        return right_scores(self.bundle, means) if name == "scores" else means

    def _rows(self, windows: Iterable[tuple[int, np.ndarray]]) -> Iterator[Rows]:
        return rows_of(self._step, self._weights, pack(windows, batch_size=self._batch_size))
