"""What a training paradigm is to the loop and to the step: two pure functions."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

PyTree = Any


class Loss(NamedTuple):
    """What an objective's `loss` returns.

    Attributes:
        per_example: [B]; the step takes the mean over the valid rows of the global batch.
        state: the new non-trained state (running statistics, queues).
        metrics: name -> [B], averaged like the loss.
    """

    per_example: jax.Array
    state: PyTree
    metrics: dict[str, jax.Array]


class Objective(NamedTuple):
    """A training paradigm.

    Attributes:
        init: key -> {"params": ..., "state": ...}, the model's under "model" and, beside it,
            whatever else the objective trains or keeps (a projector, a queue).
        loss: (params, state, batch, key) -> Loss, pure. `batch` holds "features" [B, F, M]
            or "audio" [B, T], "label", "valid", "index" and "group" [B]; with `num_views` above
            one, "features" [B, V, F, M] or "audio" [B, V, T].
        evaluate: the same in evaluation mode, for the validation split; None where that is scored
            by its labels.
        num_views: windows of a song in one example.
    """

    init: Callable[[jax.Array], dict[str, PyTree]]
    loss: Callable[[PyTree, PyTree, dict[str, jax.Array], jax.Array], Loss]
    evaluate: Callable[[PyTree, PyTree, dict[str, jax.Array], jax.Array], Loss] | None = None
    num_views: int = 1
