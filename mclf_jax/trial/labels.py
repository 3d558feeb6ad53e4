"""Labels of a model and of a data set that mean the same, by their names and by synonyms.

N songs, K labels of a model, L labels of a data set, M labels that both have.
"""

import dataclasses
import os
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mclf_jax.common import checks
from mclf_jax.common.text import documents
from mclf_jax.data.views import taxonomy as taxonomy_lib
from mclf_jax.metrics.inputs import among

Synonyms = str | os.PathLike | Mapping[str, Any]
_PARTS = ("rename", "merge", "drop", "parents")


@dataclasses.dataclass(frozen=True)
class Matched:
    """Which labels are the same.

    Attributes:
        labels: M names, as the data set has them and in its order.
        of_model: the places [K] of each in the model; more than one where synonyms say so.
        of_data: the places [L] of each in the data set.
        renamed: {name in the model: name in the data set} where these differ.
        only_model, only_data: labels of one side alone.
        unknown: names among the synonyms that neither side has.
    """

    labels: tuple[str, ...]
    of_model: tuple[tuple[int, ...], ...]
    of_data: tuple[tuple[int, ...], ...]
    renamed: dict[str, str]
    only_model: tuple[str, ...]
    only_data: tuple[str, ...]
    unknown: tuple[str, ...]


def normal_form(label: str) -> str:
    """What is left of a label without case, punctuation and the kind before "---".

    >>> normal_form("Hip-Hop"), normal_form("genre---hiphop"), normal_form("Drum & Bass")
    ('hiphop', 'hiphop', 'drumandbass')
    """
    text = unicodedata.normalize("NFKC", label.rpartition("---")[2]).casefold()
    return "".join(c for c in text.replace("&", "and") if c.isalnum()) or text


def read_synonyms(synonyms: Synonyms | None) -> dict[str, tuple[str, ...]]:
    """{name: names that mean the same}; "" is what means nothing here, of a taxonomy's `drop`.

    Args:
        synonyms: {name: name or names}, whichever side has them; or a taxonomy, whose `rename`,
            `merge` and `drop` are used (see `data.views.taxonomy`); or a JSON or TOML file of
            either. None: there are none.

    Raises:
        ValueError: it cannot be read, or is neither.
    """
    if synonyms is None:
        return {}
    where = "synonyms"
    if not isinstance(synonyms, Mapping):
        where = os.fspath(synonyms)
        synonyms = _read_file(Path(where).expanduser())
    if not isinstance(synonyms, Mapping):
        raise ValueError(f"{where} must hold names and what means the same, got {synonyms!r}")
    if set(synonyms) <= set(_PARTS) and not any(isinstance(v, str) for v in synonyms.values()):
        found = taxonomy_lib.read(synonyms)
        pairs = {new: (old,) for old, new in found.rename.items()}
        for new, old in found.merge.items():
            pairs[new] = (*pairs.get(new, ()), *old)
        return pairs | ({"": found.drop} if found.drop else {})
    pairs = {}
    for name, same in synonyms.items():
        same = (same,) if isinstance(same, str) else same
        if not isinstance(same, Sequence) or not all(isinstance(each, str) for each in same):
            raise ValueError(f"{where}: {name!r} is {same!r}; it must be a name or a list of names")
        pairs[name] = tuple(same)
    return pairs


def _read_file(path: Path) -> Any:
    try:
        if path.suffix != ".toml":
            return documents.read(path, origin="theirs")
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ValueError(f"synonyms {str(path)!r} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"synonyms {str(path)!r} is not TOML: {error}") from error


def match(
    of_model: Sequence[str], of_data: Sequence[str], *, synonyms: Mapping[str, Iterable[str]]
) -> Matched:
    """Labels of both sides that are called the same.

    A name that both have is the same label. Of the others, those of one normal form are; and all
    whose names are tied by synonyms, which may be written in any normal form, too.

    Args:
        of_model: K names.
        of_data: L names.
        synonyms: of `read_synonyms`.
    """
    shared = set(of_model) & set(of_data)

    def key(label: str) -> str:
        return f"= {label}" if label in shared else normal_form(label)

    tied: dict[str, str] = {}

    def root(name: str) -> str:
        while name in tied:
            name = tied[name]
        return name

    places: dict[str, tuple[list[int], list[int]]] = {}
    for side, labels in enumerate((of_model, of_data)):
        for place, label in enumerate(labels):
            places.setdefault(key(label), ([], []))[side].append(place)
    # A synonym names a label as it is, and whatever has its normal form.
    by_form: dict[str, list[str]] = {}
    for label in (*of_model, *of_data):
        by_form.setdefault(normal_form(label), []).append(key(label))

    def keys(name: str) -> list[str]:
        exact = [f"= {name}"] * (name in shared)
        return exact or by_form.get(normal_form(name), [])

    unknown: list[str] = []
    for name, same in synonyms.items():
        found = []
        for each in (name, *same):
            found += keys(each)
            if each and not keys(each):
                unknown.append(each)
        if not name:  # what is dropped
            for each in found:
                places.pop(each, None)
            continue
        for one in found[1:]:
            if (low := root(one)) != (high := root(found[0])):
                tied[low] = high
    groups: dict[str, tuple[list[int], list[int]]] = {}
    for name, sides in places.items():
        for side in (0, 1):
            groups.setdefault(root(name), ([], []))[side].extend(sides[side])
    both = [(sorted(model), sorted(data)) for model, data in groups.values() if model and data]
    both.sort(key=lambda sides: sides[1])
    used = [{place for sides in both for place in sides[side]} for side in (0, 1)]
    labels = tuple(of_data[data[0]] for _, data in both)
    return Matched(
        labels=labels,
        of_model=tuple(tuple(model) for model, _ in both),
        of_data=tuple(tuple(data) for _, data in both),
        renamed={
            of_model[place]: label
            for label, (model, _) in zip(labels, both, strict=True)
            for place in model
            if of_model[place] != label
        },
        only_model=tuple(name for k, name in enumerate(of_model) if k not in used[0]),
        only_data=tuple(name for k, name in enumerate(of_data) if k not in used[1]),
        unknown=tuple(dict.fromkeys(unknown)),
    )


def thresholds_of(
    matched: Matched, thresholds: Mapping[str, float], of_model: Sequence[str], *, task: str
) -> dict[str, float]:
    """{label: threshold} of the labels that are one of the model's, by its thresholds of tags."""
    found = {}
    for label, places in zip(matched.labels, matched.of_model, strict=True):
        name = of_model[places[0]]
        if task == "multi_label" and len(places) == 1 and name in thresholds:
            found[label] = float(thresholds[name])
    return found


def common_task(of_model: str, of_data: str) -> str:
    """By what both are judged: tags where only one of them has a single label for each song.

    Raises:
        ValueError: one of them has numbers, and the other has not.
    """
    if (of_model == "regression") != (of_data == "regression"):
        raise ValueError(
            f"the model is of task {of_model!r} and the data of {of_data!r}; numbers and labels "
            "cannot be compared: take other data"
        )
    return of_model if of_model == of_data else "multi_label"


def merged(matched: Matched, scores: np.ndarray, *, of_model: str) -> np.ndarray:
    """Scores [N, M] of the labels that both have, of those [N, K] of a model; see `joined`."""
    merge = np.sum if of_model == "single_label" else np.max
    return np.stack([merge(scores[:, list(p)], axis=1) for p in matched.of_model], axis=1)


def joined(
    matched: Matched, scores: np.ndarray, targets: np.ndarray, *, of_model: str, of_data: str
) -> dict[str, np.ndarray]:
    """Scores and targets of the labels that both have.

    Several labels of a model that are one of the data have the sum of their probabilities (single
    label) or the highest score (tags); several of the data that are one of the model are there if
    any is. Between single labels, probabilities are those among the M labels, and songs of another
    label are left out; where the model gives tags, such songs have none of them.

    Args:
        matched: of `match`.
        scores: float [N, K].
        targets: int [N] or [N, L].
        of_model, of_data: tasks.

    Returns:
        "scores" [n, M], "targets" [n] or [n, M], and "kept", bool [N], the n songs that are left.

    Raises:
        ValueError: numbers are to be joined.
    """
    task = common_task(of_model, of_data)
    several = [places for places in (*matched.of_model, *matched.of_data) if len(places) > 1]
    if task == "regression" and several:
        raise ValueError("several numbers cannot be one: leave them out of the synonyms")
    scores = merged(matched, scores, of_model=of_model)
    kept = np.ones(len(scores), bool)
    if of_data == "single_label":
        place = np.full(int(targets.max(initial=0)) + 1, -1)
        for k, old in enumerate(matched.of_data):
            place[[o for o in old if o < len(place)]] = k
        targets = place[targets]
        if task == "multi_label":
            targets = (targets[:, None] == np.arange(len(matched.labels))).astype(np.float32)
        else:
            kept = targets >= 0
    else:
        targets = np.stack([_any(targets[:, list(p)]) for p in matched.of_data], axis=1)
    scores, targets = scores[kept], targets[kept]
    if task == "single_label":
        scores = among(scores)
    return {"scores": scores, "targets": targets, "kept": kept}


def _any(columns: np.ndarray) -> np.ndarray:
    """Of columns [N, c]: 1 where one is, else NaN where one is, else 0; numbers as they are."""
    if columns.shape[1] == 1:
        return columns[:, 0]
    there = (columns == 1).any(axis=1)
    return np.where(there, 1.0, np.where(np.isnan(columns).any(axis=1), np.nan, 0.0))


def told(matched: Matched) -> list[str]:
    """What is missing on either side, and what was matched under another name: lines to read."""
    lines = []
    if matched.renamed:
        pairs = [f"{ours} = {theirs}" for ours, theirs in matched.renamed.items()]
        lines.append(f"matched under another name: {checks.few(pairs)}")
    for labels, where in ((matched.only_model, "the model"), (matched.only_data, "the data")):
        if labels:
            lines.append(f"{len(labels)} labels of {where} alone: {checks.few(labels)}")
    if matched.unknown:
        lines.append(f"synonyms that neither side has: {checks.few(matched.unknown)}")
    return lines
