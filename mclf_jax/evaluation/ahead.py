"""Many songs: decoded ahead in threads, their windows sharing batches of the network."""

import collections
import contextlib
import itertools
import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from mclf_jax.audio.decode import AudioError
from mclf_jax.evaluation.aggregation import combine
from mclf_jax.evaluation.song import Song
from mclf_jax.evaluation.windows import NOT_FINITE, Rows

_WAITING = 16  # windows of a song that is ahead of the network
_END = object()


class _Decoding:
    """A song on its way through a thread: no more than `_WAITING` of its windows are held."""

    def __init__(self, path: str):
        self.path, self.duration_s = path, 0.0
        self.error: Exception | None = None
        self.windows: queue.Queue = queue.Queue(_WAITING)
        self.count = 0  # of windows that the network has heard
        self.sums: dict[str, np.ndarray] = {}
        self.kept: list[dict[str, np.ndarray]] = []

    def put(self, window: Any, stopped: threading.Event) -> None:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                return self.windows.put(window, timeout=0.1)
        return None

    def add(self, values: dict[str, np.ndarray], *, how: str) -> None:
        """What the network says of a window; no more than sums are held of what is averaged."""
        self.count += 1
        if how != "mean" and "scores" in values:
            names = ("scores", "attention")
            self.kept.append({name: values.pop(name) for name in names if name in values})
        for name, value in values.items():
            value = value.astype(np.float64)
            self.sums[name] = self.sums[name] + value if name in self.sums else value

    def values(self, *, how: str, task: str) -> dict[str, np.ndarray]:
        """Of the song, float64."""
        found = {name: total / self.count for name, total in self.sums.items()}
        if self.kept:
            rows = {name: np.stack([each[name] for each in self.kept]) for name in self.kept[0]}
            found["scores"] = combine(rows, how, task=task)
        return found


def each_song(
    paths: Sequence[str],
    *,
    rows: Callable[[Iterable[tuple[int, np.ndarray]]], Iterator[Rows]],
    names: Sequence[str],
    starts: Callable[[int], np.ndarray],
    rate: int,
    window: int,
    short: str,
    how: str = "mean",
    task: str = "multi_label",
) -> Iterator[dict[str, Any]]:
    """What is said of each song, in the order of the songs, as soon as it is known.

    Memory grows neither with the number of songs nor, but for scores that are not averaged, with
    their length.

    Args:
        paths: of audio files.
        rows: from (song, float32 [window]) to rows of whole batches, as `windows.rows_of` of
            `windows.pack` gives them.
        names: of the values that are wanted, "scores", "embedding", [W, ...] in these rows.
        starts: from the samples of a song to the first ones of its windows.
        rate, window: of the network, in Hz and samples.
        short: "tile" or "pad".
        how, task: of scores, see `aggregation.combine`; all else is averaged.

    Yields:
        {"path", "duration_s", name: float32 [...]}, or {"path", "error": AudioError}.
    """
    stopped, num_workers = threading.Event(), os.cpu_count() or 1
    open_songs: dict[int, _Decoding] = {}
    counts: collections.Counter = collections.Counter()  # of windows sent to the network

    def decode(song: _Decoding) -> None:
        try:
            heard = Song(song.path, rate=rate, sample_rate_hz=None)
            song.duration_s = heard.length / rate
            for _, audio in heard.windows(starts(heard.length), window, short):
                song.put(audio, stopped)
                if stopped.is_set():
                    return
        except Exception as error:  # raised again where the song is waited for
            song.error = error
        song.put(_END, stopped)

    def all_windows(pool: ThreadPoolExecutor) -> Iterator[tuple[int, np.ndarray]]:
        left, ahead = enumerate(paths), collections.deque()
        while True:
            # In the order in which they are waited for, so that none keeps another one's thread.
            for number, path in itertools.islice(left, 2 * num_workers - len(ahead)):
                open_songs[number] = _Decoding(path)
                ahead.append(number)
                pool.submit(decode, open_songs[number])
            if not ahead:
                return
            number = ahead.popleft()
            song = open_songs[number]
            while (audio := song.windows.get()) is not _END:
                counts[number] += 1
                yield number, audio
            ended.add(number)

    ended, following = set(), 0

    def finished() -> Iterator[dict[str, Any]]:
        nonlocal following
        while following in ended and open_songs[following].count == counts[following]:
            song = open_songs.pop(following)
            ended.remove(following)
            counts.pop(following, None)
            following += 1
            yield _outcome(song, how=how, task=task)

    pool = ThreadPoolExecutor(num_workers)
    try:
        for found in rows(all_windows(pool)):
            wanted = [*names, *(["attention"] if "attention" in found else [])]
            for row, number in enumerate(found["index"].tolist()):
                open_songs[number].add({name: found[name][row] for name in wanted}, how=how)
            yield from finished()
        yield from finished()
    finally:  # who is interrupted waits for no song
        stopped.set()
        pool.shutdown(wait=False, cancel_futures=True)


def _outcome(song: _Decoding, *, how: str, task: str) -> dict[str, Any]:
    error, values = song.error, {}
    if error is None and not song.count:
        error = AudioError(song.path, "nothing in it can be decoded")
    if error is None:
        values = song.values(how=how, task=task)
        if not all(np.isfinite(value).all() for value in values.values()):
            error = AudioError(song.path, NOT_FINITE)
    if error is None:
        values = {name: value.astype(np.float32) for name, value in values.items()}
        return {"path": song.path, "duration_s": song.duration_s, **values}
    if isinstance(error, AudioError):
        return {"path": song.path, "error": error}
    raise error
