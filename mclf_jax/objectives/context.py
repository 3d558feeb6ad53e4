"""What objectives are made of, before their own settings: the network, the task and the run."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from ml_collections import ConfigDict

from mclf_jax.augment import Chains
from mclf_jax.data.base import targets as target_lib
from mclf_jax.data.base.targets import Targets
from mclf_jax.models import Model

PyTree = Any


class Teacher(Protocol):
    """A trained network whose predictions are learnt.

    Attributes:
        model: the network with its features.
        variables: of the model's module, arrays on the host.
    """

    model: Model
    variables: PyTree


@dataclasses.dataclass(frozen=True, eq=False)
class Context:
    """What every objective is given; each reads what it needs.

    Attributes:
        model: what is trained.
        chains: augmentations on the device. An objective that judges itself uses them in
            evaluation, too, by the key that it is given, if it compares views.
        task: of the data set, one of `data.base.source.TASKS`.
        label_names: of the outputs, K.
        parents: {label: parent}, where the labels are in a hierarchy.
        total_steps: of the run.
        label_smoothing: of labelled songs, for "single_label".
        pos_weight: [K] or a number, of labelled songs, for "multi_label".
        distance: for "regression": "squared_error", or "cosine" of whole vectors, such as those of
            collaborative filtering, which asks nothing of their length.
        num_sampled: for "single_label" with very many labels, how many are drawn for each step
            (`losses.sampled_softmax_cross_entropy`); 0 for the softmax over all.
        teacher: whose predictions are learnt, where `Traits.needs_teacher`; or which makes what is
            heard into codes or vectors, where `Traits.may_take_teacher`.
    """

    model: Model
    _: dataclasses.KW_ONLY
    chains: Chains = Chains()
    task: str = "single_label"
    label_names: tuple[str, ...] = ()
    parents: Mapping[str, str] = dataclasses.field(default_factory=dict)
    total_steps: int = 1
    label_smoothing: float = 0.0
    pos_weight: np.ndarray | float = 1.0
    distance: str = "squared_error"
    num_sampled: int = 0
    teacher: Teacher | None = None


def context_of(
    model: Model,
    config: ConfigDict,
    *,
    chains: Chains,
    task: str,
    label_names: tuple[str, ...],
    targets: Callable[[], Targets],
    total_steps: int,
    parents: Mapping[str, str] | None = None,
    teacher: Teacher | None = None,
) -> Context:
    """The context that a config asks for, in its sections `objective` and `augment`.

    Args:
        model: what is trained.
        config: of the experiment.
        chains: all that change examples in training; those of waveforms are left to the pipeline
            unless the config has them on the device.
        task: of the data set.
        label_names: of the outputs.
        targets: gives those of the training items, int [N], float [N, K] or tags.
        total_steps: of the run.
        parents: {label: parent}, where the labels are in a hierarchy.
        teacher: opened by whoever asks, where `Traits` say so.
    """
    settings = config.objective
    if config.augment.on != "device":  # the pipeline has done that
        chains = chains._replace(waveform=None)
    pos_weight: np.ndarray | float = 1.0
    if settings.pos_weight == "balanced" and task == "multi_label":
        pos_weight = balanced_pos_weight(targets())
    return Context(
        model,
        chains=chains,
        task=task,
        label_names=label_names,
        parents=dict(parents or {}),
        total_steps=total_steps,
        label_smoothing=settings.label_smoothing,
        pos_weight=pos_weight,
        distance=settings.distance,
        num_sampled=settings.num_sampled,
        teacher=teacher,
    )


def balanced_pos_weight(targets: Targets, *, largest: float = 20.0) -> np.ndarray:
    """Negatives over positives of each label, [N, K] -> [K], clipped to [1, largest].

    Songs for which a label is NaN, not observed, are neither.
    """
    num_labels = targets.shape[1]
    positives = target_lib.count_positives(targets, num_labels=num_labels).astype("f4")
    negatives = target_lib.count_observed(targets, num_labels=num_labels).astype("f4") - positives
    return np.clip(negatives / np.maximum(positives, 1), 1.0, largest).astype("f4")
