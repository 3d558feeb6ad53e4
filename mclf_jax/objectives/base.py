"""What a training paradigm is to the loop and to the step: two pure functions, and its traits."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:  # checks of configs and `mclf --help` do without
    import jax

PyTree = Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Traits:
    """What the rest of the package has to know of an objective before it is built.

    Attributes:
        module: below `mclf_jax.objectives`, with a function of the objective's name; "" for one
            from outside.
        needs_labels: of the songs that it trains on; it cannot take the split "unlabelled" there.
        predicts_labels: the network's last layer learns them, so that it can be scored, can tag
            songs, can teach, and its last layer can be taken over. Others are probed.
        takes_unlabelled: songs of which nothing is known stand beside the others in each batch,
            under "unlabelled".
        takes_mixtures: of the songs of a batch and of their labels, as mixup makes them.
        by_song: the loss of a song is of that song alone, and nothing counts batches, so that
            parts of a batch add up to it (`train.accumulate`).
        needs_teacher: learns what the network of an earlier run, `objective.args.teacher`, says.
        needs_words: of each song, as `data.words` finds them for its arguments `words`, `unseen`
            and `dropout`; a batch has "words" [B, E] and "words_id" [B].
        may_take_teacher: hears with the network of an earlier run, `objective.args.teacher`, if
            that is not "": one without labels will do.
        reloads_best: later phases of `optim.phases` start from the best network so far. Not where
            something beside the network goes on, such as a queue, which would not fit it.
        whole_batches: arguments, with their defaults, which must be multiples of
            `train.batch_size`.
        against_collapse: what keeps its embeddings apart, for people; "" if they cannot collapse.
        methods: published methods that it is with some arguments, {name: these}; the first one
            whose arguments a config has is what people call it.
    """

    module: str = ""
    needs_labels: bool = False
    predicts_labels: bool = False
    takes_unlabelled: bool = False
    takes_mixtures: bool = False
    by_song: bool = False
    needs_teacher: bool = False
    needs_words: bool = False
    may_take_teacher: bool = False
    reloads_best: bool = False
    whole_batches: Mapping[str, int] = dataclasses.field(default_factory=dict)
    against_collapse: str = ""
    methods: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)


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
            one, "features" [B, V, F, M] or "audio" [B, V, T], and "start" [B, V], the first sample
            of each view.
        evaluate: the same in evaluation mode, for the validation split; None where that is scored
            by its labels.
        num_views: windows of a song in one example.
        traits: of the objective; `objectives.build` adds them.
    """

    init: Callable[[jax.Array], dict[str, PyTree]]
    loss: Callable[[PyTree, PyTree, dict[str, jax.Array], jax.Array], Loss]
    evaluate: Callable[[PyTree, PyTree, dict[str, jax.Array], jax.Array], Loss] | None = None
    num_views: int = 1
    traits: Traits | None = None
