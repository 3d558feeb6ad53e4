"""A tagger along songs that are annotated in time: scores of windows, of frames and of events."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jax.sharding import Mesh

from mclf_jax import metrics
from mclf_jax.audio.decode import AudioError
from mclf_jax.evaluation.windows import Step, song_rows, song_windows
from mclf_jax.metrics import along
from mclf_jax.metrics.along import Segment
from mclf_jax.run.experiment import Experiment


def taggrams(
    parts: Experiment, weights: Any, *, step: Step, mesh: Mesh, most: int = 60
) -> Callable[[str], dict[str, Any]]:
    """From the name of a song of a data set to its scores along time, as of `Tagger.taggram` but
    without "labels": windows that overlap by half, or `most` of them, if that is fewer.

    Arguments are those of `windows.song_batches`. The function raises AudioError of a song of which
    not all can be read.
    """
    source, model = parts.source, parts.model
    index_of = {source.item_id(i): i for i in range(len(source))}

    def taggram_of(item: str) -> dict[str, Any]:
        songs = np.array([index_of[item]])
        length_s = source.num_samples(int(songs[0])) / model.features.sample_rate_hz
        config = parts.config.copy_and_resolve_references()
        config.eval.hop_s = max(model.window_s / 2, length_s / most)
        of_song = dataclasses.replace(parts, config=config)
        starts = song_windows(of_song, songs)[:, 1]
        rows = song_rows(of_song, songs, weights, step=step, mesh=mesh)
        if len(rows["scores"]) < len(starts):
            raise AudioError(item, "a part of it cannot be read")
        window_s = min(model.window_s, length_s)
        times_s = starts / model.features.sample_rate_hz + window_s / 2
        return {"times_s": times_s, "scores": rows["scores"], "window_s": window_s}

    return taggram_of


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
        "taggrams": {path: of `Tagger.taggram`}, which `plot_along` draws,
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
    heard, targets, scores, durations_s, skipped, curves = {}, [], [], {}, [], {}
    for path, segments in truth.items():
        try:
            taggram = tagger.taggram(Path(root) / path, hop_s=hop_s)
        except AudioError as error:
            skipped.append((path, error.reason))
            continue
        curves[path] = taggram
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
        "taggrams": curves,
        "unknown": sorted(named - set(labels)),
        "skipped": skipped,
    }
