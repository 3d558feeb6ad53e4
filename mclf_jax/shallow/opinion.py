"""Fits the second opinion of a network (`models.layers.opinion`) on the songs that it trains on."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from mclf_jax.data import pipeline
from mclf_jax.evaluation.windows import make_step, song_rows, song_windows
from mclf_jax.models import Model, freezing
from mclf_jax.models.freezing import Freezing
from mclf_jax.models.layers.opinion import COLLECTION, EMBEDDING, MFCC, empty, window_statistics
from mclf_jax.objectives import Objective
from mclf_jax.objectives.supervised import tree_of_run
from mclf_jax.run.experiment import Experiment
from mclf_jax.run.state import TrainState
from mclf_jax.shallow.embeddings import Embeddings, keep_labelled, rows_of

PLACE = "second_opinion"
"""The argument of networks that have one, and its name among their variables."""
STRENGTH = 10.0
SHARES = {MFCC: 1 / 2, EMBEDDING: 2 / 3}
"""Of the machine in both logits. Where a last layer learns of the same embedding, the machine alone
is nearly as good as any mean of them."""
STEEPNESS = 3.0
"""Logits of a margin of 1. It, shares and strength were chosen on songs of no test split."""

PyTree = Any
_ALL_BUT_THE_LAST = ("*", "!{head}")


def has_opinion(parts: Experiment, objective: Objective) -> bool:
    """Whether the network has room for one, and learns labels each for itself."""
    return (
        getattr(parts.model.module, PLACE, 0) > 0
        and objective.traits.predicts_labels
        and objective.evaluate is None
        and not tree_of_run(parts.config, parts.source.info)
    )


def check_frozen(model: Model, frozen: Freezing) -> None:
    """Raise a ValueError if the machine would read an embedding that training changes."""
    if model.module.opinion_on != EMBEDDING:
        return
    read = freezing.plan(model, freeze=_ALL_BUT_THE_LAST).first_steps.keys()
    read = {name for name in read if not name.startswith(f"{PLACE}.")}
    if training := sorted(k for k in read if frozen.first_steps.get(k) != freezing.NEVER):
        raise ValueError(
            f"model.args.opinion_on is {EMBEDDING!r}, which changes, as {training[0]} trains: set "
            f"init.freeze to {_ALL_BUT_THE_LAST}, model.args.opinion_on to {MFCC!r}, or "
            f"model.args.{PLACE} to 0"
        )


def fit_opinion(parts: Experiment, variables: PyTree, *, mesh: Mesh) -> dict[str, np.ndarray]:
    """The variables of a second opinion, float32: an SVM of each label, one against all others.

    A margin m becomes the logit `STEEPNESS` m, and counts as `SHARES` say, less if there is not
    room for all songs: half of that, if for half of them. A Gaussian kernel of 1/D, C = 10: nothing
    is chosen on valid songs, of which there may be three.

    Args:
        parts: data, features and windows (`eval`) of the run; its network has the argument
            `PLACE`.
        variables: of the network, whose embedding is read if `opinion_on` says so.
        mesh: over which its batches are split.

    Raises:
        ValueError: there is no song with a label, or none could be read.
    """
    from sklearn.preprocessing import StandardScaler

    count = getattr(parts.model.module, PLACE)
    songs, targets = keep_labelled(parts.source, np.sort(parts.train_indices))
    all_songs = len(songs)
    if not all_songs:
        raise ValueError("no song of train has a label")
    if all_songs > count:
        drawn = np.sort(np.random.default_rng(0).choice(all_songs, count, replace=False))
        songs, targets = songs[drawn], targets[drawn]
    what = parts.model.module.opinion_on
    share = SHARES[what] * min(1.0, count / all_songs)
    if what == EMBEDDING:
        read = _embeddings(parts, songs, variables, mesh=mesh)
    else:
        read = _statistics(parts, songs)
    rows = rows_of(read, songs, targets).thin(count)
    if not len(rows.songs):
        raise ValueError("no song of train that has a label could be read")
    info = parts.source.info
    made = empty(rows.vectors.shape[1], num_labels=len(info.labels), num_references=count)
    scaler = StandardScaler().fit(rows.vectors)
    x = np.asarray(scaler.transform(rows.vectors))
    made["mean"][:], made["scale"][:] = scaler.mean_, scaler.scale_
    made["references"][: len(x)] = x
    if info.task == "single_label":
        y = np.eye(len(info.labels))[rows.targets[rows.position]]
    else:
        y = rows.targets[rows.position]
    steepness = 1.0 if info.task == "regression" else STEEPNESS
    for label, column in enumerate(y.T):
        known = np.flatnonzero(~np.isnan(column))
        weights, bias = _machine(info.task, x[known], column[known])
        made["weights"][known, label] = share * steepness * weights
        made["bias"][label] = share * steepness * bias
    made["share"] = np.float32(1 - share)
    return made


def install(state: TrainState, fitted: dict[str, np.ndarray], *, shardings: Any) -> TrainState:
    """The state with a fitted opinion, also in its moving average.

    Args:
        state: of a network with the argument `PLACE`.
        fitted: of `fit_opinion`.
        shardings: of the state, or a tree like it.
    """

    def placed(model: PyTree, like: PyTree) -> PyTree:
        # Copies, because a step donates its state and a buffer can be donated only once.
        copy = jax.jit(lambda tree: jax.tree.map(jnp.copy, tree), out_shardings=like[COLLECTION])
        return {**model, COLLECTION: copy({PLACE: fitted})}

    def replaced(tree: PyTree, like: PyTree) -> PyTree:
        return {**tree, "model": placed(tree["model"], like["model"])}

    ema = state.ema
    if ema:
        ema = {**ema, "model_state": replaced(ema["model_state"], shardings.ema["model_state"])}
    return state.replace(model_state=replaced(state.model_state, shardings.model_state), ema=ema)


def _machine(task: str, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights [N] of the windows, and a bias; where there is nothing to learn, the bias alone."""
    from sklearn.svm import SVC, SVR

    weights = np.zeros(len(y))
    if len(np.unique(y)) < 2:
        constant = float(y[0]) if len(y) else 0.0
        return weights, constant if task == "regression" or not len(y) else 2 * constant - 1
    how = {"C": STRENGTH, "gamma": 1 / x.shape[1]}
    if task == "regression":
        mean, scale = y.mean(), y.std()
        machine = SVR(**how).fit(x, (y - mean) / scale)
    else:
        mean, scale = 0.0, 1.0
        machine = SVC(**how).fit(x, y)
    weights[machine.support_] = scale * machine.dual_coef_[0]
    return weights, float(scale * machine.intercept_[0] + mean)


def _embeddings(
    parts: Experiment, songs: np.ndarray, variables: PyTree, *, mesh: Mesh
) -> Embeddings:
    """Of the windows of songs that evaluation would hear."""
    rows = song_rows(
        parts,
        songs,
        variables,
        step=make_step(parts.model, outputs=("embedding",), mesh=mesh),
        mesh=mesh,
        title="embeddings (second opinion)",
        progress=parts.config.runtime.progress,
    )
    return Embeddings(rows["index"].astype(np.int64), rows["embedding"])


def _statistics(parts: Experiment, songs: np.ndarray) -> Embeddings:
    """Of MFCCs, of the same windows."""
    batches = pipeline.evaluation_batches(
        parts.source,
        song_windows(parts, songs),
        inputs=parts.inputs,
        batch_size=parts.config.eval.batch_size,
    )
    index, vectors = [], []
    for batch in parts.iterate(batches):
        if "features" not in batch:
            batch["features"] = parts.model.features(np.asarray(batch["audio"]))
        good = batch["valid"] > 0
        index.append(batch["index"][good])
        vectors.append(window_statistics(np.asarray(batch["features"])[good]))
    found, of = np.concatenate(vectors), np.concatenate(index)
    order = np.argsort(of, kind="stable")
    return Embeddings(of[order].astype(np.int64), found[order])
