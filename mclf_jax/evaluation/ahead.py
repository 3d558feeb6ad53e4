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

    def put(self, window: Any, stopped: threading.Event) -> None:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                return self.windows.put(window, timeout=0.1)
        return None


def each_song(
    paths: Sequence[str],
    *,
    rows: Callable[[Iterable[tuple[int, np.ndarray]]], Iterator[Rows]],
    name: str,
    starts: Callable[[int], np.ndarray],
    rate: int,
    window: int,
    short: str,
) -> Iterator[dict[str, Any]]:
    """Means over the windows of each song, in the order of the songs, as soon as they are known.

    Memory grows neither with the number of songs nor with their length.

    Args:
        paths: of audio files.
        rows: from (song, float32 [window]) to rows of whole batches, as `windows.rows_of` of
            `windows.pack` gives them.
        name: of the values in these rows, [W, ...].
        starts: from the samples of a song to the first ones of its windows.
        rate, window: of the network, in Hz and samples.
        short: "tile" or "pad".

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

    ended, come, sums = set(), collections.Counter(), {}
    following = 0

    def finished() -> Iterator[dict[str, Any]]:
        nonlocal following
        while following in ended and come[following] == counts[following]:
            song, total = open_songs.pop(following), sums.pop(following, None)
            ended.remove(following)
            count = come.pop(following, 0)
            counts.pop(following, None)
            following += 1
            yield _outcome(song, name, total, count)

    pool = ThreadPoolExecutor(num_workers)
    try:
        for found in rows(all_windows(pool)):
            for number, values in zip(found["index"].tolist(), found[name], strict=True):
                values = values.astype(np.float64)
                sums[number] = sums[number] + values if number in sums else values
                come[number] += 1
            yield from finished()
        yield from finished()
    finally:  # who is interrupted waits for no song
        stopped.set()
        pool.shutdown(wait=False, cancel_futures=True)


def _outcome(song: _Decoding, name: str, total: Any, count: int) -> dict[str, Any]:
    error = song.error
    if error is None and not count:
        error = AudioError(song.path, "nothing in it can be decoded")
    if error is None and not np.isfinite(total).all():
        error = AudioError(song.path, NOT_FINITE)
    if error is None:
        mean = (total / count).astype(np.float32)
        return {"path": song.path, "duration_s": song.duration_s, name: mean}
    if isinstance(error, AudioError):
        return {"path": song.path, "error": error}
    raise error
