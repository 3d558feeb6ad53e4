"""Along time: segments with labels, made of scores of windows, and judged against true ones."""

from mclf_jax.metrics.along.scores import event_scores, frame_scores, window_targets
from mclf_jax.metrics.along.segments import Segment, read, segments_of, write_csv, write_labels

__all__ = [
    "Segment",
    "event_scores",
    "frame_scores",
    "read",
    "segments_of",
    "window_targets",
    "write_csv",
    "write_labels",
]
