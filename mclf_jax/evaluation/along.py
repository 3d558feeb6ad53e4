"""A tagger along songs that are annotated in time: scores of windows, of frames and of events."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mclf_jax import metrics
from mclf_jax.audio.decode import AudioError
from mclf_jax.metrics import along
from mclf_jax.metrics.along import Segment


def evaluate_along(
    tagger: Any,
    truth: Mapping[str, Sequence[Segment]],
    *,
    root: str | Path = ".",
    observed: Mapping[str, Sequence[str]] | None = None,
    hop_s: float | None = None,
    onset_s: float | None = None,
    frame_s: float = 1.0,
    **how: Any,
) -> dict[str, Any]:
    """Scores of a tagger on songs of which it is known when they have which label.

    Args:
        tagger: of `api.load`.
        truth: {path: segments}, such as of `metrics.along.read`.
        root: where paths are relative to.
        observed: {path: labels that were looked for}, all if not given: the others do not count.
        hop_s: between windows, see `Tagger.taggram`.
        onset_s: tolerance of events; half a hop, the finest that the windows can tell, but at
            least .2 s, if not given.
        frame_s: length of frames.
        **how: of `Tagger.segments`.

    Returns:
        {"windows": metrics of all windows of all songs, "frames": of `along.frame_scores`,
        "events": of `along.event_scores`, "onset_s", "frame_s", "found": {path: segments},
        "unknown": labels of the truth that the tagger has not, "skipped": [(path, reason)]}.

    Raises:
        ValueError: no song can be read, or truth and tagger have no label in common.
    """
    named = {one.label for segments in truth.values() for one in segments}
    labels = [label for label in tagger.labels if label in named]
    if not labels:
        raise ValueError(
            f"no label of the truth ({', '.join(sorted(named)) or 'none'}) is one of the tagger's"
            f" ({', '.join(tagger.labels)})"
        )
    columns = [tagger.labels.index(label) for label in labels]
    heard, targets, scores, durations_s, skipped = {}, [], [], {}, []
    for path, segments in truth.items():
        try:
            taggram = tagger.taggram(Path(root) / path, hop_s=hop_s)
        except AudioError as error:
            skipped.append((path, error.reason))
            continue
        heard[path] = [s for s in tagger.segments(taggram, **how) if s.label in labels]
        times_s, window_s = taggram["times_s"], taggram["window_s"]
        durations_s[path] = float(times_s[-1] + window_s / 2)
        looked_for = None if observed is None else observed.get(path)
        of_windows = {"times_s": times_s, "window_s": window_s, "labels": labels}
        targets.append(along.window_targets(segments, **of_windows, observed=looked_for))
        scores.append(taggram["scores"][:, columns])
    if not heard:
        raise ValueError(f"not one song can be read, such as {skipped[0][0]}: {skipped[0][1]}")
    known = {path: [s for s in truth[path] if s.label in labels] for path in heard}
    computed = metrics.compute(
        "multi_label", np.concatenate(scores), np.concatenate(targets), labels=labels
    )
    if onset_s is None:
        hop_s = hop_s or tagger.bundle.hop_s or tagger.model.window_s / 2  # as of `taggram`
        onset_s = max(0.2, hop_s / 2)
    return {
        "windows": computed.values,
        "frames": along.frame_scores(
            heard, known, durations_s=durations_s, frame_s=frame_s, observed=observed
        ),
        "events": along.event_scores(heard, known, onset_s=onset_s, observed=observed),
        "onset_s": onset_s,
        "frame_s": frame_s,
        "found": heard,
        "unknown": sorted(named - set(labels)),
        "skipped": skipped,
    }
