"""Sound that does not end: scores of the last seconds, again and again, in bounded memory."""

import collections
import dataclasses
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import soxr

from mclf_jax.api import Tagger
from mclf_jax.audio.decode import AudioError
from mclf_jax.audio.files.sound import HIGHEST_RATE_HZ, LOWEST_RATE_HZ
from mclf_jax.common import checks
from mclf_jax.data.base.windows import fit_length
from mclf_jax.evaluation.windows import NOT_FINITE

LATE = ("compute", "skip")


@dataclasses.dataclass(frozen=True)
class Moment:
    """What is heard in one window.

    Attributes:
        time_s: the middle of the window, in seconds since the first sample.
        end_s: its end: nothing later was heard for it.
        scores: {label: score}, means over the last `smooth_s`.
        took_s: that the network took.
    """

    time_s: float
    end_s: float
    scores: dict[str, float]
    took_s: float


class Stream:
    """Scores of a sound as it comes, those of `Tagger.taggram` of all of it.

    It holds one window and one block of samples at a time. What happens is in an answer at most
    `hop_s` and the time of the network later, and in all of its window after `window_s`.

    Args:
        tagger: that has learnt labels.
        sample_rate_hz: of the samples that will come.
        hop_s: seconds between windows; half a window when not given.
        smooth_s: seconds over which answers are averaged; 0 for each by itself.

    Raises:
        ValueError: a setting out of range, or a tagger without labels.
    """

    def __init__(
        self,
        tagger: Tagger,
        *,
        sample_rate_hz: int,
        hop_s: float | None = None,
        smooth_s: float = 0.0,
    ):
        checks.within("sample_rate_hz", sample_rate_hz, LOWEST_RATE_HZ, HIGHEST_RATE_HZ)
        checks.positive("hop_s", hop_s, unit="seconds")
        checks.at_least("smooth_s", smooth_s, 0)
        if not tagger.labels:
            raise ValueError("this network has learnt no labels, so it cannot tag a stream")
        self.rate, self.window = tagger.bundle.sample_rate_hz, tagger.bundle.window_samples
        self.window_s, self.hop_s = tagger.bundle.window_s, hop_s or tagger.bundle.window_s / 2
        self.num_skipped = 0
        self._tagger = tagger
        self._resampler = None
        if sample_rate_hz != self.rate:
            self._resampler = soxr.ResampleStream(
                sample_rate_hz, self.rate, 1, dtype="float32", quality="HQ"
            )
        self._held = np.zeros(0, np.float32)
        self._first = 0  # number of the first sample that is held
        self._next = 0  # number of the window that is next
        recent = max(1, round(smooth_s / self.hop_s))
        self._recent: collections.deque[np.ndarray] = collections.deque(maxlen=recent)
        self._last_start: int | None = None
        # The network is compiled before sound comes, not while it waits.
        self._scores(np.zeros(self.window, np.float32))

    def feed(self, samples: np.ndarray, *, late: str = "compute") -> Iterator[Moment]:
        """Answers for which there is sound now.

        Args:
            samples: float [T] or [T, C], full scale 1; any number of them.
            late: where several windows have come together, "compute" all, or "skip" to the last,
                for a source that cannot wait; how many were skipped is in `num_skipped`.

        Raises:
            AudioError: samples that are not finite.
        """
        checks.choice("late", late, LATE)
        samples = np.asarray(samples, np.float32)
        samples = samples.mean(axis=1) if samples.ndim == 2 else samples
        if not np.isfinite(samples).all():
            raise AudioError("the stream", "its samples are not all finite")
        # A second at a time, so that memory does not grow with what is given at once.
        block = max(self.rate, self.window)
        for first in range(0, len(samples), block):
            some = samples[first : first + block]
            if self._resampler is not None:
                some = self._resampler.resample_chunk(some)
            self._hold(some)
            last = first + block >= len(samples)
            yield from self._answers(late=late if last else "compute")

    def finish(self) -> Iterator[Moment]:
        """What is left at the end of the sound: its very last window."""
        if self._resampler is not None:
            self._hold(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))
        yield from self._answers(late="compute")
        num_samples = self._first + len(self._held)
        start = max(0, num_samples - self.window)
        if len(self._held) and self._last_start != start:
            short = self._tagger.bundle.short
            yield self._answer(
                start, fit_length(self._held[-self.window :], self.window, short=short)
            )

    def _hold(self, samples: np.ndarray) -> None:
        self._held = np.concatenate([self._held, samples.astype(np.float32, copy=False)])

    def _answers(self, *, late: str) -> Iterator[Moment]:
        ready = []
        while (start := self._start(self._next)) + self.window <= self._first + len(self._held):
            ready.append(start)
            self._next += 1
            if late == "compute":
                yield self._hear(ready.pop())
        if ready:
            self.num_skipped += len(ready) - 1
            yield self._hear(ready[-1])
        # The last window stays, as the sound may end here.
        keep = min(self._start(self._next), self._first + len(self._held) - self.window)
        if keep > self._first:
            self._held = self._held[keep - self._first :].copy()
            self._first = keep

    def _start(self, number: int) -> int:
        return int(np.round(number * max(1.0, self.hop_s * self.rate)))

    def _hear(self, start: int) -> Moment:
        return self._answer(start, self._held[start - self._first :][: self.window])

    def _answer(self, start: int, audio: np.ndarray) -> Moment:
        begun = time.perf_counter()
        self._recent.append(self._scores(audio))
        took_s = time.perf_counter() - begun
        self._last_start = start
        scores = np.mean(self._recent, axis=0)
        heard = min(self.window, self._first + len(self._held))
        named = dict(zip(self._tagger.labels, map(float, scores), strict=True))
        middle_s, end_s = start / self.rate + heard / self.rate / 2, (start + heard) / self.rate
        return Moment(middle_s, end_s, named, took_s)

    def _scores(self, audio: np.ndarray) -> np.ndarray:
        scores = self._tagger.score_windows(audio[None])[0]
        if not np.isfinite(scores).all():
            raise AudioError("the stream", NOT_FINITE)
        return scores


def read_microphone(*, sample_rate_hz: int, block_s: float) -> Iterator[dict[str, Any]]:
    """{"samples" [T], "lost": whether some before them were lost} as the microphone hears them.

    Raises:
        ImportError: the extra `microphone` is not installed.
        OSError: there is no microphone, or it cannot be used.
    """
    import queue

    try:
        import sounddevice
    except ImportError as error:
        raise ImportError(
            "--microphone needs sounddevice: pip install 'mclf-jax[microphone]'"
        ) from error
    # What waits is bounded: where nobody takes it, it is lost, and that is told.
    waiting: queue.Queue[np.ndarray] = queue.Queue(maxsize=64)
    lost = [False]

    def put(samples, frames, when, status):
        lost[0] |= bool(status)
        try:
            waiting.put_nowait(samples[:, 0].copy())
        except queue.Full:
            lost[0] = True

    try:
        with sounddevice.InputStream(
            samplerate=sample_rate_hz,
            channels=1,
            dtype="float32",
            blocksize=max(1, round(block_s * sample_rate_hz)),
            callback=put,
        ):
            while True:
                blocks = [waiting.get()]
                while not waiting.empty():
                    blocks.append(waiting.get_nowait())
                was_lost, lost[0] = lost[0], False
                yield {"samples": np.concatenate(blocks), "lost": was_lost}
    except sounddevice.PortAudioError as error:
        raise OSError(f"the microphone cannot be used: {error}") from error
