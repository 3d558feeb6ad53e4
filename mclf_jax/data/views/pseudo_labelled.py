"""Songs with a teacher's predictions for labels: the confident ones, as many of each class.

numpy only, like all that becomes a data set.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mclf_jax.common import checks
from mclf_jax.data.base.source import Source
from mclf_jax.data.catalogue.items import UNLABELLED
from mclf_jax.data.views.base import derived

TARGETS = ("soft", "hard")
_SHOWN = 12  # classes in a note


class PseudoLabelled(NamedTuple):
    """Songs to learn from.

    Attributes:
        source: whose labels are predictions, float32 [K] for both tasks; NaN of items that there
            is no prediction of, and of tags that it is not confident about.
        indices: int64 [M], of the songs; some more than once if classes were balanced.
    """

    source: Source
    indices: np.ndarray


def pseudo_labelled(
    source: Source,
    indices: np.ndarray,
    probabilities: np.ndarray,
    *,
    task: str,
    label_names: Sequence[str],
    targets: str = "soft",
    threshold: float = 0.0,
    per_class: int = 0,
    seed: int = 0,
) -> PseudoLabelled:
    """A view of a source in which items are labelled as a teacher predicts.

    Args:
        source: of which; its own labels are not looked at.
        indices: int [N], the items that there are predictions of, each once.
        probabilities: [N, K], of them.
        task: of the teacher, "single_label" or "multi_label".
        label_names: K names, of the teacher's outputs.
        targets: "soft", the probabilities, or "hard", the most probable answer.
        threshold: single-label, items with less confidence are left out: that is the
            largest probability. Of tags, each is a question of its own, and its confidence the
            larger one of p and 1 - p: tags below it become NaN, and items without any tag left
            are left out.
        per_class: then so many items for each predicted class, the most confident ones; of a class
            with fewer, each as often as any other, and what is missing drawn at random (Xie et al.
            2020 take 130,000). Classes that are never predicted stay empty. 0: as they come.
            Tags cannot be balanced so, because a song has several.
        seed: of that draw.

    Raises:
        ValueError: an argument is not allowed, or no item is left.
    """
    indices, probabilities = np.asarray(indices, np.int64), np.asarray(probabilities, np.float32)
    _check(indices, probabilities, task, label_names, targets, threshold, per_class)
    single = task == "single_label"
    # Of the song [N, 1], or of each tag [N, K].
    certain = np.maximum(probabilities, 1 - probabilities)
    if single:
        certain = probabilities.max(axis=1, keepdims=True)
    confident = certain >= np.float32(threshold)
    kept = confident.any(axis=1)
    if not kept.any():
        raise ValueError(
            f"objective.args.threshold is {threshold}, and no prediction is that confident: the "
            f"largest confidence is {certain.max():.3f}; lower it"
        )
    rows = _hardened(probabilities, task) if targets == "hard" else probabilities
    labels = np.full((len(source), len(label_names)), np.nan, np.float32)
    labels[indices] = np.where(confident, rows, np.float32(np.nan))

    chosen = indices[kept]
    notes = [f"{targets} pseudo-labels of {kept.sum()} of {len(kept)} unlabelled songs"]
    if threshold:
        share = "" if single else f", and {confident[kept].mean():.1%} of their tags"
        notes[0] += f", of confidence {threshold:g} and more{share}"
    if single:
        predicted = probabilities[kept].argmax(axis=1)
        counts = np.bincount(predicted, minlength=len(label_names))
        notes.append("predicted: " + _listed(label_names, counts))
    if per_class:
        positions = _balanced(predicted, certain[kept, 0], per_class=per_class, seed=seed)
        chosen = chosen[positions]
        notes.append(_balance_note(label_names, counts, per_class))
    seen = derived(
        source,
        labels,
        settings=["pseudo-labels", targets, threshold, per_class, seed],
        note="; ".join(notes),
        splits={UNLABELLED: chosen},
        labels_in_order=tuple(label_names),
        task=task,
        parents={},
    )
    return PseudoLabelled(seen, chosen)


def _balanced(
    predicted: np.ndarray, confidence: np.ndarray, *, per_class: int, seed: int
) -> np.ndarray:
    """Positions, `per_class` for each class that is predicted at all."""
    rng, positions = np.random.default_rng(seed), []
    by_confidence = np.argsort(-confidence, kind="stable")
    for one in np.unique(predicted):
        of_class = by_confidence[predicted[by_confidence] == one][:per_class]
        times, more = divmod(per_class, len(of_class))
        positions += [np.tile(of_class, times), rng.permutation(of_class)[:more]]
    return np.concatenate(positions)


def _hardened(probabilities: np.ndarray, task: str) -> np.ndarray:
    if task == "single_label":
        return np.eye(probabilities.shape[1], dtype=np.float32)[probabilities.argmax(axis=1)]
    return (probabilities > 0.5).astype(np.float32)


def _listed(names: Sequence[str], counts: np.ndarray) -> str:
    """The most frequent ones with their counts."""
    order = [i for i in np.argsort(-counts, kind="stable") if counts[i]]
    more = f" and {len(order) - _SHOWN} labels more" if len(order) > _SHOWN else ""
    return ", ".join(f"{names[i]} {counts[i]}" for i in order[:_SHOWN]) + more


def _balance_note(names: Sequence[str], counts: np.ndarray, per_class: int) -> str:
    note = f"balanced to {per_class} of each predicted class"
    for text, there in (
        ("only the most confident of {}", counts > per_class),
        ("some more than once of {}", (counts > 0) & (counts < per_class)),
        ("none is predicted as {}", counts == 0),
    ):
        if there.any():
            few = [names[i] for i in np.flatnonzero(there).tolist()]
            more = f" and {len(few) - _SHOWN} more" if len(few) > _SHOWN else ""
            note += "; " + text.format(", ".join(few[:_SHOWN]) + more)
    return note


def _check(
    indices: np.ndarray,
    probabilities: np.ndarray,
    task: str,
    label_names: Sequence[str],
    targets: str,
    threshold: float,
    per_class: int,
) -> None:
    checks.choice("task", task, ("single_label", "multi_label"))
    checks.choice("objective.args.targets", targets, TARGETS)
    checks.within("objective.args.threshold", threshold, 0, 1, ends="[)")
    checks.at_least("objective.args.per_class", per_class, 0)
    if per_class and task == "multi_label":
        raise ValueError(
            f"objective.args.per_class is {per_class}, but a song with several tags is of no one "
            "class to balance by; set it to 0"
        )
    expected = (len(indices), len(label_names))
    if probabilities.shape != expected:
        raise ValueError(f"probabilities must be of shape {expected}, got {probabilities.shape}")
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise ValueError("probabilities must be in [0, 1]")
    if len(np.unique(indices)) != len(indices):
        raise ValueError("indices must be of each item once")
