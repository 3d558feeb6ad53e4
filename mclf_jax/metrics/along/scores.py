"""How well segments are found, by frames and by events, in the way of sed_eval.

Mesaros, Heittola and Virtanen (2016), "Metrics for polyphonic sound event detection". Songs are
{song: segments}; counts are added up over all songs. Where `observed` says which labels of a song
somebody looked for, the others count neither as right nor as wrong; a score without anything to
count is NaN.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mclf_jax.common import checks
from mclf_jax.metrics.along.segments import Segment

Songs = Mapping[str, Sequence[Segment]]


def frame_scores(
    found: Songs,
    truth: Songs,
    *,
    durations_s: Mapping[str, float],
    frame_s: float = 1.0,
    observed: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """Precision, recall and F1 of frames; a label is in a frame if it sounds anywhere in it.

    Args:
        found, truth: segments of each song; songs are those of `truth`.
        durations_s: of each song; what lies behind is cut off.
        frame_s: length of a frame; 1 s as sed_eval's segments.
        observed: labels that were looked for in a song, all if not given.

    Returns:
        {"precision", "recall", "f1", "error_rate", "f1_macro", "labels": {label: the first three
        and "tp", "fp", "fn"}}. The error rate has substitutions, deletions and insertions over the
        true labels of frames.

    >>> true, heard = [Segment(0, 4, "a")], [Segment(1, 5, "a")]
    >>> frame_scores({"x": heard}, {"x": true}, durations_s={"x": 8.0})["f1"]
    0.75
    """
    checks.positive("frame_s", frame_s, unit="seconds")
    labels = _labels(found, truth)
    counts = {label: np.zeros(3) for label in labels}
    wrong = num_true = 0.0
    for song in truth:
        num_frames = max(1, math.ceil(durations_s[song] / frame_s - 1e-9))
        misses, alarms = np.zeros(num_frames), np.zeros(num_frames)
        for label in _looked_for(song, labels, observed):
            is_true = _frames(truth[song], label, num_frames, frame_s)
            is_found = _frames(found.get(song, ()), label, num_frames, frame_s)
            tp, fp, fn = is_true & is_found, is_found & ~is_true, is_true & ~is_found
            counts[label] += tp.sum(), fp.sum(), fn.sum()
            misses, alarms = misses + fn, alarms + fp
            num_true += is_true.sum()
        # Substitutions, deletions and insertions together: the larger of the two in each frame.
        wrong += float(np.maximum(misses, alarms).sum())
    error_rate = wrong / float(num_true) if num_true else math.nan
    return _scores(counts) | {"error_rate": error_rate}


def event_scores(
    found: Songs,
    truth: Songs,
    *,
    onset_s: float = 0.2,
    offset: str = "ignore",
    offset_s: float = 0.2,
    offset_share: float = 0.5,
    observed: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """Precision, recall and F1 of events: a found one is right if its label is, and its onset is at
    most `onset_s` from that of a true one that no other is matched with.

    Args:
        found, truth: segments of each song; songs are those of `truth`.
        onset_s: tolerance of onsets, .2 s as in sed_eval; half a hop of windows is the finest that
            a taggram can be.
        offset: "ignore", or "required": ends are near too.
        offset_s, offset_share: tolerance of ends, the larger of seconds and share of the true
            length.
        observed: labels that were looked for in a song, all if not given.

    Returns:
        {"precision", "recall", "f1", "f1_macro", "labels": {label: the first three and "tp", "fp",
        "fn"}}; as many pairs are matched as can be.

    >>> true, heard = [Segment(0, 4, "a"), Segment(6, 8, "a")], [Segment(0.1, 5, "a")]
    >>> event_scores({"x": heard}, {"x": true})["recall"]
    0.5
    """
    checks.choice("offset", offset, ("ignore", "required"))
    for name, value in (("onset_s", onset_s), ("offset_s", offset_s)):
        checks.at_least(name, value, 0)
    labels = _labels(found, truth)
    counts = {label: np.zeros(3) for label in labels}
    for song in truth:
        for label in _looked_for(song, labels, observed):
            real = [one for one in truth[song] if one.label == label]
            said = [one for one in found.get(song, ()) if one.label == label]
            onsets = _apart([one.start_s for one in real], [one.start_s for one in said])
            fits = onsets <= onset_s + 1e-9
            if offset == "required":
                lengths = np.array([one.end_s - one.start_s for one in real])
                allowed = np.maximum(offset_s, offset_share * lengths)[:, None]
                ends = _apart([one.end_s for one in real], [one.end_s for one in said])
                fits &= ends <= allowed + 1e-9
            right = 0
            if fits.any():
                from scipy import sparse
                from scipy.sparse import csgraph

                pairs = csgraph.maximum_bipartite_matching(sparse.csr_array(fits), "column")
                right = int((pairs >= 0).sum())
            counts[label] += right, len(said) - right, len(real) - right
    return _scores(counts)


def window_targets(
    truth: Sequence[Segment],
    *,
    times_s: Sequence[float],
    window_s: float,
    labels: Sequence[str],
    observed: Sequence[str] | None = None,
    share: float = 0.5,
) -> np.ndarray:
    """What windows should say, [W, K]: 1 where a label fills at least `share` of the window, else
    0, NaN for labels that are not among `observed`."""
    checks.within("share", share, 0, 1, ends="(]")
    middles = np.asarray(times_s, float)
    starts, stops = middles - window_s / 2, middles + window_s / 2
    targets = np.zeros((len(middles), len(labels)))
    for k, label in enumerate(labels):
        if observed is not None and label not in observed:
            targets[:, k] = np.nan
            continue
        filled, until = np.zeros(len(middles)), -math.inf
        for one in sorted((s for s in truth if s.label == label), key=lambda s: s.start_s):
            begin = max(one.start_s, until)  # what overlaps counts once
            filled += np.clip(np.minimum(stops, one.end_s) - np.maximum(starts, begin), 0, None)
            until = max(until, one.end_s)
        targets[:, k] = filled >= share * window_s - 1e-9
    return targets


def _labels(*songs: Songs) -> list[str]:
    return sorted({one.label for each in songs for segments in each.values() for one in segments})


def _looked_for(song: str, labels: list[str], observed) -> list[str]:
    if observed is None or song not in observed:
        return labels
    return [label for label in labels if label in observed[song]]


def _frames(segments, label: str, num_frames: int, frame_s: float) -> np.ndarray:
    active = np.zeros(num_frames, bool)
    for one in segments:
        if one.label == label:
            first = math.floor(one.start_s / frame_s + 1e-9)
            active[first : math.ceil(one.end_s / frame_s - 1e-9)] = True
    return active


def _apart(real: list[float], said: list[float]) -> np.ndarray:
    return np.abs(np.array(real, float)[:, None] - np.array(said, float)[None])


def _scores(counts: Mapping[str, np.ndarray]) -> dict[str, Any]:
    of_labels = {}
    for label, (tp, fp, fn) in counts.items():
        if tp + fp + fn:
            of_labels[label] = _rates(tp, fp, fn) | {"tp": int(tp), "fp": int(fp), "fn": int(fn)}
    total = sum(counts.values()) if counts else np.zeros(3)
    f1s = [one["f1"] for one in of_labels.values()]
    macro = float(np.mean(f1s)) if f1s else math.nan
    return _rates(*total) | {"f1_macro": macro, "labels": of_labels}


def _rates(tp: float, fp: float, fn: float) -> dict[str, float]:
    def over(whole: float) -> float:
        return float(tp / whole) if whole else math.nan

    f1 = float(2 * tp / (2 * tp + fp + fn)) if tp + fp + fn else math.nan
    return {"precision": over(tp + fp), "recall": over(tp + fn), "f1": f1}
