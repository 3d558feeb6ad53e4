"""Training: one loop and one step for every network and every objective."""

from mclf_jax.common.callable import make_callable
from mclf_jax.train.loop import Outcome, TrainingError, train

__all__ = ["Outcome", "TrainingError", "train"]

make_callable(__name__, train)
