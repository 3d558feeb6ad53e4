"""The same recording twice: exact copies by digest, near copies by landmarks, and where they are.

A pair that shares landmarks at one shift in time is compared once more, densely: what is reported
is that the spectrograms of the passage in common go up and down together.
"""

import dataclasses
import filecmp
from collections.abc import Sequence

import numpy as np
import soxr

from mclf_jax.common import threads
from mclf_jax.data.base.source import Source
from mclf_jax.data.check import candidates, fingerprint
from mclf_jax.data.check.candidates import Shared
from mclf_jax.data.check.measure import Measured, files_of

KINDS = ("same file", "same audio", "near duplicate", "shared passage")

MIN_SIMILARITY = 0.5
"""Correlation of the spectrograms. Measured on 25 pieces: copies after MP3 or Ogg at the lowest
quality, cut, or in noise at 20 dB .79 to 1, in noise at 10 dB .43 to .9 (22 of 25 above this),
another mix of a piece .59, the only two different pieces with landmarks in common .10."""

_NEAR_SHARE = 0.5  # of the shorter recording; less in common is a passage, such as a sample
_COMPARED_FRAMES = 900  # about 30 s, from the middle of the passage
_RANGE_DB = 50.0


@dataclasses.dataclass(frozen=True)
class Match:
    """Two items with the same sound."""

    first: int  # positions in the source, first < second
    second: int
    kind: str  # one of `KINDS`. A near duplicate has more than half of the shorter one in common
    offset_s: float  # add it to a time in the first for that in the second
    shared_s: float  # length of the passage in common
    similarity: float  # correlation of the two spectrograms there, at most 1


@dataclasses.dataclass(frozen=True)
class Duplicates:
    """All matches of a data set."""

    matches: tuple[Match, ...]  # exact copies are matched with the first of them only
    # Positions of items that are one recording (not a mere passage), two or more.
    clusters: tuple[tuple[int, ...], ...]
    num_too_short: int  # items of which only exact copies could be found
    keep_one_in: int  # the thinning of landmarks; 1 is none


def find(
    source: Source,
    measured: Sequence[Measured | str],
    *,
    num_workers: int | None,
    progress: str,
) -> Duplicates:
    """Looks for duplicates among the items that could be decoded."""
    exact, unique = _exact(source, measured)
    compared = [i for i in unique if _can_compare(measured[i])]
    marks = [measured[i].landmarks for i in compared]  # pyright: ignore
    index = candidates.build(marks)

    def look_up(a: int) -> list[Match]:
        found = []
        for b in candidates.partners(index, marks[a], item=a):
            shared = candidates.shared_passage(marks[a], marks[b])
            if shared is not None:
                match = _verify(source, measured, compared[a], compared[b], shared)
                found += [match] * (match.similarity >= MIN_SIMILARITY)
        return found

    near = [
        match
        for _, found in threads.each(
            look_up,
            range(len(compared)),
            total=len(compared),
            title="looking for duplicates",
            num_workers=num_workers,
            progress=progress,
        )
        for match in found
    ]
    matches = sorted([*exact, *near], key=lambda match: (match.first, match.second))
    durations = {i: m.duration_s for i, m in enumerate(measured) if isinstance(m, Measured)}
    return Duplicates(
        matches=tuple(matches),
        clusters=_clusters(matches),
        num_too_short=sum(not _can_compare(measured[i]) for i in unique),
        keep_one_in=candidates.thinning(sum(durations.values())),
    )


def _exact(source: Source, measured: Sequence[Measured | str]) -> tuple[list[Match], list[int]]:
    """Matches of equal digests, and the first item of each digest. Silence is not compared."""
    first_of: dict[str, int] = {}
    matches = []
    for i, found in enumerate(measured):
        if isinstance(found, str) or found.silent_share == 1 or found.peak == 0:
            continue
        first = first_of.setdefault(found.digest, i)
        if first != i:
            kind = KINDS[0] if _same_bytes(source, first, i) else KINDS[1]
            matches.append(Match(first, i, kind, 0.0, found.duration_s, 1.0))
    return matches, list(first_of.values())


def _same_bytes(source: Source, first: int, second: int) -> bool:
    files = files_of(source)
    if not files or files[first] == files[second]:
        return False
    try:
        return filecmp.cmp(files[first], files[second], shallow=False)
    except OSError:
        return False


def _can_compare(found: Measured) -> bool:
    long_enough = found.duration_s >= candidates.MIN_SHARED_S
    return long_enough and len(found.landmarks) >= candidates.MIN_VOTES


def _verify(
    source: Source, measured: Sequence[Measured | str], first: int, second: int, shared: Shared
) -> Match:
    num_frames = shared.stop_frame - shared.start_frame
    shorter_s = min(measured[first].duration_s, measured[second].duration_s)  # pyright: ignore
    shared_s = min(num_frames * fingerprint.HOP_S, shorter_s)
    is_near = shared_s >= _NEAR_SHARE * shorter_s
    return Match(
        first=first,
        second=second,
        kind=KINDS[2] if is_near else KINDS[3],
        offset_s=shared.offset_frames * fingerprint.HOP_S,
        shared_s=shared_s,
        similarity=_similarity(source, first, second, shared),
    )


def _similarity(source: Source, first: int, second: int, shared: Shared) -> float:
    """Correlation of the spectrograms of the passage, each frequency around its own mean."""
    num_frames = min(shared.stop_frame - shared.start_frame, _COMPARED_FRAMES)
    start = (shared.start_frame + shared.stop_frame - num_frames) // 2
    start = max(start, 0, -shared.offset_frames)
    left = _levels(source, first, start, num_frames)
    best = 0.0
    right = _levels(source, second, start + shared.offset_frames, num_frames)
    for lag in (-1, 0, 1):  # the two were not cut at the same sample
        a, b = left[max(0, -lag) :], right[max(0, lag) :]
        length = min(len(a), len(b))
        best = max(best, _correlation(a[:length], b[:length]))
    return best


def _levels(source: Source, index: int, start_frame: int, num_frames: int) -> np.ndarray:
    """Spectrogram in dB [F, M] of a part, as far down as codecs keep it."""
    rate_hz = source.info.sample_rate_hz
    length_s = (num_frames - 1) * fingerprint.HOP_S + fingerprint.N_FFT / fingerprint.RATE_HZ
    audio = source.read(
        index,
        start_sample=round(start_frame * fingerprint.HOP_S * rate_hz),
        num_samples=round(length_s * rate_hz),
    )
    levels = fingerprint.spectrogram_db(
        soxr.resample(audio, rate_hz, fingerprint.RATE_HZ, quality="MQ")
    )
    return np.maximum(levels, levels.max() - _RANGE_DB)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    norm = float(np.sqrt(np.square(a).sum(dtype=float) * np.square(b).sum(dtype=float)))
    return float((a * b).sum(dtype=float)) / norm if norm else 0.0


def _clusters(matches: Sequence[Match]) -> tuple[tuple[int, ...], ...]:
    """Items linked by matches of a whole recording, by union and find."""
    parent: dict[int, int] = {}

    def root(i: int) -> int:
        while parent.setdefault(i, i) != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for match in matches:
        if match.kind != KINDS[3]:
            a, b = root(match.first), root(match.second)
            parent[max(a, b)] = min(a, b)
    members: dict[int, list[int]] = {}
    for i in sorted(parent):
        members.setdefault(root(i), []).append(i)
    return tuple(tuple(items) for items in members.values())
