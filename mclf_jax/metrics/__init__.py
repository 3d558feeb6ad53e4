"""From song scores and targets to the numbers that a run is judged by."""

from mclf_jax.metrics.bootstrap import confidence_interval
from mclf_jax.metrics.compute import (
    HEADLINES,
    HIERARCHICAL,
    NAMES,
    Metrics,
    compute,
    direction,
    hierarchical,
    hierarchical_names,
)

__all__ = [
    "HEADLINES",
    "HIERARCHICAL",
    "NAMES",
    "Metrics",
    "compute",
    "confidence_interval",
    "direction",
    "hierarchical",
    "hierarchical_names",
]
