"""A probe from beginning to end: fit on windows, choose on valid songs, score test songs.

What `classifiers` need not know is here: songs and windows, labels that nobody observed, classes
without a song. Shapes as there.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.linalg import block_diag
from scipy.special import logit
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from mclf_jax import metrics
from mclf_jax.data.base import targets as target_lib
from mclf_jax.evaluation.aggregation import LEARNT
from mclf_jax.metrics import counted
from mclf_jax.metrics.inputs import validate
from mclf_jax.metrics.thresholds import best_f1_thresholds
from mclf_jax.shallow import classifiers, descent
from mclf_jax.shallow.classifiers import TRANSDUCTIVE, Layers, Predict
from mclf_jax.shallow.descent import Learnt
from mclf_jax.shallow.embeddings import Rows

Learn = Callable[[str, np.ndarray, np.ndarray], classifiers.Candidates]

KINDS = (*classifiers.KINDS, *TRANSDUCTIVE, LEARNT)
"""Names of all probes."""
OF_A_MIX = ("linear", "mlp", LEARNT)
"""Those that can learn how layers are mixed: they are learnt by gradient descent then."""

# Numbers in the training vectors up to which more threads than one get in each other's way.
_SMALL = 4_000_000
# The logit of what never is, or always: sigmoid and softmax make exactly 0 and 1 of it, and it can
# be kept in float16.
_SURE = 3e4


@dataclasses.dataclass(frozen=True)
class Fitted:
    """What became of a probe.

    Attributes:
        scores: [N, K] of the test songs.
        valid_scores: of the valid songs.
        setting: that was chosen, such as {"C": 0.1}.
        valid_score: of it, the headline of the task; -inf where the songs define none.
        thresholds: {tag: score} from which on a song has it, with the best F1 on the valid songs;
            for tags alone, and those that there are songs with and without.
        layers: {"kernel", "bias"} each, that say the same of plain embeddings, see `as_layers`;
            none for kinds that are no layers.
        aggregation: of windows, "mean" or "attention".
    """

    scores: np.ndarray
    valid_scores: np.ndarray
    setting: dict[str, Any]
    valid_score: float
    thresholds: dict[str, float]
    layers: tuple[Mapping[str, np.ndarray], ...]
    aggregation: str = "mean"


@dataclasses.dataclass(frozen=True, eq=False)
class Joined:
    """A `Predict` for all labels, made of some for a few labels each.

    Attributes:
        task: one of `data.base.source.TASKS`.
        constant: [K], what is said of labels that are in none of the parts.
        parts: (labels, what predicts them) each.
    """

    task: str
    constant: np.ndarray
    parts: tuple[tuple[np.ndarray, Predict], ...] = ()

    def __call__(self, z: np.ndarray) -> np.ndarray:
        scores = np.tile(self.constant, (len(z), 1))
        for columns, predict in self.parts:
            scores[:, columns] = predict(z)
        return scores


def in_own_unit(fitted: Fitted, unit: Sequence[tuple[float, float]]) -> Fitted:
    """What says numbers as the data have them, by `Info.unit`; () changes nothing."""
    if not len(unit):
        return fitted
    scale, offset = np.array(unit, np.float32).T
    layers = [dict(layer) for layer in fitted.layers]
    if layers:  # beside whose numbers may be the attention
        of_last, count = {name: a.copy() for name, a in layers[-1].items()}, len(unit)
        of_last["kernel"][:, :count] *= scale
        of_last["bias"][:count] = of_last["bias"][:count] * scale + offset
        layers[-1] = of_last
    scores = {
        name: target_lib.in_own_unit(getattr(fitted, name), unit)
        for name in ("scores", "valid_scores")
    }
    return dataclasses.replace(fitted, layers=tuple(layers), **scores)


def as_layers(
    predict: Joined | Learnt, *, scaler: StandardScaler
) -> tuple[dict[str, np.ndarray], ...]:
    """Dense layers, ReLU between them, that take embeddings as they are before `scaler`.

    Returns:
        {"kernel", "bias"} each, float32; none if a part of it is something else than layers.
    """
    made = list(predict.layers) if isinstance(predict, Learnt) else _joined_layers(predict, scaler)
    if not made:
        return ()
    first = made[0]["kernel"] / np.asarray(scaler.scale_)[:, None]
    made[0] = {"kernel": first, "bias": made[0]["bias"] - scaler.mean_ @ first}
    return tuple({name: a.astype(np.float32) for name, a in layer.items()} for layer in made)


def _joined_layers(joined: Joined, scaler: StandardScaler) -> list[Mapping[str, np.ndarray]]:
    """Of standardised embeddings: hidden units of the parts stand beside each other.

    Labels with a constant have a kernel of 0.
    """
    parts = [predict for _, predict in joined.parts if isinstance(predict, Layers)]
    if len(parts) < len(joined.parts):
        return []
    logits = {"multi_label": logit, "single_label": _log}.get(joined.task, np.asarray)
    bias = np.clip(logits(joined.constant), -_SURE, _SURE)
    kernel = np.zeros((len(np.asarray(scaler.scale_)), len(bias)))
    made: list[Mapping[str, np.ndarray]] = [{"kernel": kernel, "bias": bias}]
    if parts:
        made = []
        for number, layers in enumerate(zip(*(part.layers for part in parts), strict=True)):
            join = block_diag if number else lambda *kernels: np.concatenate(kernels, axis=1)
            kernel = join(*(layer["kernel"] for layer in layers))
            made.append({"kernel": kernel, "bias": np.concatenate([x["bias"] for x in layers])})
        learnt, last = np.concatenate([columns for columns, _ in joined.parts]), made[-1]
        kernel = np.zeros((len(last["kernel"]), len(bias)))
        kernel[:, learnt], bias[learnt] = last["kernel"], last["bias"]
        made[-1] = {"kernel": kernel, "bias": bias}
    return made


def _log(probabilities: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(probabilities)


def fit(
    kind: str,
    task: str,
    *,
    train: Rows,
    valid: Rows,
    test: Rows,
    labels: tuple[str, ...],
    seed: int,
    max_windows: int,
    unlabelled: Rows | None = None,
    widths: Sequence[int] = (),
) -> Fitted:
    """Fit a probe and score the test songs.

    Args:
        kind: one of `KINDS`.
        task: one of `data.base.source.TASKS`.
        train, valid, test: of the splits.
        labels: the K names.
        seed: of the weights and batches of what is learnt in epochs, and of which unlabelled songs
            are taken where there are too many; the others draw nothing.
        max_windows: to train on, unlabelled ones among them.
        unlabelled: other songs, of none of the splits, whose targets are not looked at; for
            kinds of `TRANSDUCTIVE`, the others leave them alone.
        widths: of the layers in the vectors, to be mixed by what is learnt; none: no mix.

    Raises:
        ValueError: the kind is not for the task.
    """
    max_windows = min(max_windows, classifiers.MAX_WINDOWS.get(kind, max_windows))
    if kind in TRANSDUCTIVE:
        train, others = _thin_alike(train, unlabelled, max_windows, seed=seed)
        nodes = np.concatenate([train.vectors, others])
        scaler = StandardScaler().fit(nodes)
        others = scaler.transform(nodes)[len(train.vectors) :]
        learn = functools.partial(TRANSDUCTIVE[kind], unlabelled=others)
    else:
        train = train.thin(max_windows)
        scaler = StandardScaler().fit(train.vectors)
        learn = classifiers.KINDS.get(kind)
    x = np.asarray(scaler.transform(train.vectors))
    of_valid, of_test = scaler.transform(valid.vectors), scaler.transform(test.vectors)
    aggregation, patience = "mean", classifiers.PATIENCE.get(kind, np.inf)
    if widths or kind == LEARNT:
        aggregation, patience = (LEARNT if kind == LEARNT else "mean"), descent.PATIENCE
        design = descent.Design(
            task,
            len(labels),
            tuple(widths) or (x.shape[1],),
            num_hidden=0 if kind == "linear" else descent.HIDDEN_UNITS,
            aggregation=aggregation,
        )
        candidates = descent.candidates(design, x, train.position, train.targets, seed=seed)
    else:
        candidates = _candidates(
            functools.partial(learn, seed=seed),
            task,
            x,
            train.targets[train.position],
            num_labels=len(labels),
            takes_unknown=kind in TRANSDUCTIVE,
        )
    best, best_score, since_best = None, None, 0
    small = train.vectors.size < _SMALL
    with threadpool_limits(1 if small else None, user_api="blas"):
        for setting, predict in candidates:
            of_songs = _song_scores(predict, valid, of_valid)
            score = _score(task, of_songs, valid.targets, labels)
            if best is None or score > best_score:
                best, best_score, since_best = (setting, predict, of_songs), score, 0
            else:
                since_best += 1
            if since_best >= patience:
                break
        setting, predict, of_songs = best
        if isinstance(predict, Learnt) and predict.mix:
            setting = {**setting, "mix": [round(weight, 4) for weight in predict.mix]}
        return Fitted(
            scores=_song_scores(predict, test, of_test),
            valid_scores=of_songs,
            setting=setting,
            valid_score=best_score[0],
            thresholds=_thresholds(task, of_songs, valid.targets, labels),
            layers=as_layers(predict, scaler=scaler),
            aggregation=aggregation,
        )


def _song_scores(predict: Predict | Learnt, rows: Rows, z: np.ndarray) -> np.ndarray:
    """[N, K] of songs, of their windows standardised [W, D]."""
    if isinstance(predict, Learnt):
        return predict.of_songs(z, rows.position, num_songs=len(rows.songs))
    return rows.song_means(predict(z))


def _score(
    task: str, scores: np.ndarray, targets: np.ndarray, labels: tuple[str, ...]
) -> tuple[float, float]:
    """How good song scores are, to compare: the headline of the task, then squared errors.

    Few songs make many ties, and PR-AUC takes any scores in the right order for right, be they
    probabilities or not: the second number (of probabilities the Brier score) tells them apart.
    """
    headline = metrics.HEADLINES[task][0]
    scores, targets = validate(task, scores, targets, labels)
    # The same value as of `metrics.compute`, without all the others: there are many candidates.
    value = float(counted.value(headline, task, scores, targets)[0])
    truth = np.eye(len(labels))[targets] if task == "single_label" else targets
    errors = np.square(scores - truth)[~np.isnan(truth)]
    return (value if np.isfinite(value) else -np.inf), -float(errors.mean())


def _thresholds(
    task: str, scores: np.ndarray, targets: np.ndarray, labels: tuple[str, ...]
) -> dict[str, float]:
    if task != "multi_label":
        return {}
    found = best_f1_thresholds(scores, targets)
    return {name: float(t) for name, t in zip(labels, found, strict=True) if t == t}


def _thin_alike(
    train: Rows, unlabelled: Rows | None, max_windows: int, *, seed: int
) -> tuple[Rows, np.ndarray]:
    """Rows with labels and vectors [V, D] without, about as many of each song, in that limit.

    Where there are more songs than that, unlabelled ones are left out.
    """
    if unlabelled is None:
        none = np.zeros(0, np.int64)
        unlabelled = Rows(none, none, train.vectors[:0], train.targets[:0])
    unlabelled = unlabelled.draw_songs(max(0, max_windows - len(train.songs)), seed=seed)
    num_songs = len(train.songs) + len(unlabelled.songs)
    for_train = -(-max_windows * len(train.songs) // num_songs)
    train = train.thin(for_train)
    return train, unlabelled.thin(max_windows - for_train).vectors


def _candidates(
    learn: Learn,
    task: str,
    x: np.ndarray,
    y: np.ndarray,
    *,
    num_labels: int,
    takes_unknown: bool,
) -> Iterator[tuple[dict[str, Any], Joined]]:
    """Candidates for all K labels, made of those for labels that can be learnt together.

    That is all of them if `learn` takes targets that are NaN.
    """
    if task == "single_label":
        yield from _single_label(learn, x, y, num_labels=num_labels)
        return
    parts = list((_together if takes_unknown else _parts)(learn, task, x, y))
    constant = _constant(task, y)
    if not parts:
        yield {"constant": True}, Joined(task, constant)
        return
    for together in zip(*(candidates for _, candidates in parts), strict=True):
        predicts = (predict for _, predict in together)
        columns = (columns for columns, _ in parts)
        yield together[0][0], Joined(task, constant, tuple(zip(columns, predicts, strict=True)))


def _single_label(
    learn: Learn, x: np.ndarray, y: np.ndarray, *, num_labels: int
) -> Iterator[tuple[dict[str, Any], Joined]]:
    """Classes without a song have probability 0."""
    there, y = np.unique(y, return_inverse=True)
    if len(there) == 1:
        yield {"constant": True}, Joined("single_label", np.eye(num_labels)[there[0]])
        return
    for setting, predict in learn("single_label", x, y):
        yield setting, Joined("single_label", np.zeros(num_labels), ((there, predict),))


def _parts(
    learn: Learn, task: str, x: np.ndarray, y: np.ndarray
) -> Iterator[tuple[np.ndarray, classifiers.Candidates]]:
    """(labels, candidates for them): those observed for the same windows are learnt together."""
    observed = ~np.isnan(y)
    patterns, pattern_of_label = np.unique(observed, axis=1, return_inverse=True)
    for number, seen in enumerate(patterns.T):
        columns = np.flatnonzero(pattern_of_label.ravel() == number)
        if task == "multi_label":
            columns = columns[_has_both(y[np.ix_(seen, columns)])]
        if seen.any() and len(columns):
            targets = y[np.ix_(seen, columns)]
            targets = targets.astype(np.int64) if task == "multi_label" else targets
            yield columns, learn(task, x[seen], targets)


def _together(
    learn: Learn, task: str, x: np.ndarray, y: np.ndarray
) -> Iterator[tuple[np.ndarray, classifiers.Candidates]]:
    """The same for all labels at once: windows for which one is not observed are kept."""
    columns = np.arange(y.shape[1])
    if task == "multi_label":
        columns = columns[_has_both(y)]
    if len(columns):
        yield columns, learn(task, x, y[:, columns])


def _has_both(y: np.ndarray) -> np.ndarray:
    """Of which tags there are examples with and without, [W, K] -> bool [K]."""
    return (y == 1).any(axis=0) & (y == 0).any(axis=0)


def _constant(task: str, y: np.ndarray) -> np.ndarray:
    """What is said of labels that there is nothing to learn of, [K]: their mean, if any."""
    observed = ~np.isnan(y)
    unknown = 0.5 if task == "multi_label" else 0.0
    means = np.nansum(y, axis=0) / np.maximum(observed.sum(axis=0), 1)
    return np.where(observed.any(axis=0), means, unknown)
