"""Which pairs of recordings share landmarks at one shift in time, out of all pairs."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mclf_jax.data.check import fingerprint
from mclf_jax.data.check.fingerprint import Landmarks

MAX_LANDMARKS = 1 << 25
"""Of a data set: those of 190 hours of music, in a gigabyte and a half; more is thinned out."""

MIN_SHARED_S = 3.0
"""A shorter passage in common is not looked for: single notes and drum hits are alike."""

MIN_VOTES = 12
_FIRST_VOTES = 6  # in the index, which lacks frequent hashes
_PER_ITEM = 4  # of one hash in one item: loops repeat themselves
_COMMON = 256  # a hash met so often tells nothing
_BIN_FRAMES = 4
_MIN_SHARE = 0.04  # of landmarks that agree, in a shared passage


class Index(NamedTuple):
    """All landmarks, by hash; arrays of one length."""

    hashes: np.ndarray
    items: np.ndarray
    frames: np.ndarray


class Shared(NamedTuple):
    """A passage that two recordings have in common."""

    start_frame: int  # of the passage in the first one
    stop_frame: int
    offset_frames: int  # add it to a frame of the first one for that of the second one
    votes: int  # landmarks that agree
    share: float  # of the passage's landmarks, in the recording that has fewer


def thinning(total_s: float) -> int:
    """`keep_one_in` for so much audio."""
    return max(1, math.ceil(total_s * fingerprint.PER_S / MAX_LANDMARKS))


def build(marks: Sequence[Landmarks]) -> Index:
    """The index of recordings; those without landmarks are not in it."""
    if not marks:
        return Index(np.zeros(0, np.uint32), np.zeros(0, np.int32), np.zeros(0, np.int32))
    hashes = np.concatenate([found.hashes for found in marks])
    items = np.repeat(np.arange(len(marks), dtype=np.int32), [len(found) for found in marks])
    frames = np.concatenate([found.frames for found in marks])
    order = np.argsort(hashes, kind="stable")  # within a hash by item, then by time
    hashes, items, frames = hashes[order], items[order], frames[order]
    again = np.zeros(len(hashes), bool)
    if len(hashes) > _PER_ITEM:
        same = (hashes[_PER_ITEM:] == hashes[:-_PER_ITEM]) & (
            items[_PER_ITEM:] == items[:-_PER_ITEM]
        )
        again[_PER_ITEM:] = same
    return Index(hashes[~again], items[~again], frames[~again])


def partners(index: Index, marks: Landmarks, *, item: int) -> list[int]:
    """Later items that agree with this one on one shift in time, as far as the index tells."""
    low = np.searchsorted(index.hashes, marks.hashes, "left")
    count = np.searchsorted(index.hashes, marks.hashes, "right") - low
    count[count > _COMMON] = 0
    hits = _ranges(low, count)
    frames = np.repeat(marks.frames, count)
    later = index.items[hits] > item
    hits, frames = hits[later], frames[later]
    found: set[int] = set()
    offsets = index.frames[hits].astype(np.int64) - frames
    for shift in (0, _BIN_FRAMES // 2):  # an edge between bins cannot halve the votes in both
        bins = (offsets + shift) // _BIN_FRAMES + (1 << 30)
        keys, votes = np.unique(
            (index.items[hits].astype(np.int64) << 32) | bins, return_counts=True
        )
        found.update((keys[votes >= _FIRST_VOTES] >> 32).tolist())
    return sorted(found)


def shared_passage(marks_a: Landmarks, marks_b: Landmarks) -> Shared | None:
    """What two recordings have in common at the shift that most landmarks agree on, if anything."""
    order = np.argsort(marks_b.hashes, kind="stable")
    hashes, frames_b = marks_b.hashes[order], marks_b.frames[order]
    low = np.searchsorted(hashes, marks_a.hashes, "left")
    count = np.searchsorted(hashes, marks_a.hashes, "right") - low
    if not count.any():
        return None
    hits = _ranges(low, count)
    of_a = np.repeat(np.arange(len(count)), count)
    offsets = frames_b[hits] - marks_a.frames[of_a]
    lowest = int(offsets.min())
    # Frames of the two are cut at other places: agreement is within one.
    votes = np.convolve(np.bincount(offsets - lowest), [1, 2, 1], "same")
    offset = int(votes.argmax()) + lowest
    agreed = np.unique(of_a[np.abs(offsets - offset) <= 1])
    return _densest(marks_a.frames[agreed], marks_a.frames, marks_b.frames - offset, offset=offset)


def _densest(
    agreed: np.ndarray, frames_a: np.ndarray, frames_b: np.ndarray, *, offset: int
) -> Shared | None:
    """The stretch in which more than `_MIN_SHARE` of the landmarks agree; all in frames of a.

    It is the stretch with the largest sum over its seconds of votes less those to be expected.
    """
    second = round(1 / fingerprint.HOP_S)
    num_seconds = int(max(frames_a[-1], frames_b[-1])) // second + 1

    def by_second(frames: np.ndarray) -> np.ndarray:
        inside = frames[frames >= 0] // second
        return np.bincount(inside, minlength=num_seconds)

    votes, in_a, in_b = by_second(agreed), by_second(frames_a), by_second(frames_b)
    excess = np.cumsum(np.r_[0, votes - _MIN_SHARE * np.minimum(in_a, in_b)])
    lowest = np.minimum.accumulate(excess)
    stop = int((excess - lowest).argmax())
    start = int(excess[: stop + 1].argmin())
    num_votes = int(votes[start:stop].sum())
    if num_votes < MIN_VOTES:
        return None
    inside = agreed[(agreed >= start * second) & (agreed < stop * second)]
    # The partner of the last landmark lies up to two seconds later.
    start_frame, stop_frame = int(inside[0]), int(inside[-1]) + second // 2
    if (stop_frame - start_frame) * fingerprint.HOP_S < MIN_SHARED_S:
        return None
    fewer = max(1, min(in_a[start:stop].sum(), in_b[start:stop].sum()))
    share = float(min(1.0, num_votes / fewer))
    return Shared(start_frame, stop_frame, offset, num_votes, share)


def _ranges(low: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Positions low, ..., low + count - 1 of each, one after the other."""
    before = np.cumsum(count) - count
    return np.repeat(low - before, count) + np.arange(count.sum())
