"""A bundle: trained networks and all that is needed to use them on songs, wherever it came from."""

import dataclasses
import functools
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mclf_jax.common import checks
from mclf_jax.evaluation import aggregation
from mclf_jax.evaluation.aggregation import LEARNT
from mclf_jax.evaluation.windows import Unit, in_unit
from mclf_jax.losses.paths import Tree
from mclf_jax.metrics.confidence.scaling import Scaling
from mclf_jax.models import Model, two_towers
from mclf_jax.models.hidden import find_layers, outputs_with_hidden
from mclf_jax.objectives.supervised import task_scores

PyTree = Any
OUTPUTS = ("scores", "attention", "embedding")
"""What is said of a window, "attention" where weights of windows are learnt."""


@dataclasses.dataclass(frozen=True, eq=False)
class Bundle:
    """Networks with their weights, and what these mean.

    Attributes:
        models: one, or the members of an ensemble, which hear the same windows. `module` is None
            where the code of a network from outside is not here, and only `program` can run.
        variables: of their modules.
        task: one of `data.base.source.TASKS`; between softmax, sigmoid and plain numbers.
        labels: K names, in the order of the outputs; none for a network that has learnt none.
        short: what to do with audio shorter than a window, "tile" or "pad".
        num_windows: evenly spaced windows that stand for a song; None if `hop_s` is given.
        hop_s: a window every so many seconds instead.
        head: layers of a fitted probe, {"kernel" [D, ...], "bias"} each, with ReLU between them,
            in place of the last layer of the network; none without a probe. With aggregation
            "attention", its outputs beyond the K labels are the attention.
        tree: of labels that are scored along their paths the column above each, -1 at the top, see
            `losses.paths`; () where each is scored on its own.
        unit: (scale, offset) of each number, by which outputs become what the data have, see
            `Info.unit`; scores are in it.
        thresholds: {label: score from which on a song is said to have it}; empty if none is known.
        scaling: puts scores right that networks give (`right_scores`); None leaves them.
        about: JSON types for readers: data, versions, date, licence, network of each member.
        card: what is told of it in Markdown; may be empty.
        program: the same computation as a `jax.export.Exported`, if it came with one.
        aggregation: how scores of a song come from those of its windows, of
            `evaluation.aggregation`.
        hidden: layers that make the embedding, see `models.hidden`; none for the network's own.
    """

    models: tuple[Model, ...]
    variables: tuple[PyTree, ...]
    task: str
    labels: tuple[str, ...]
    short: str
    num_windows: int | None
    hop_s: float | None
    head: tuple[Mapping[str, Any], ...] = ()
    tree: Tree = ()
    unit: Unit = ()
    thresholds: Mapping[str, float] = dataclasses.field(default_factory=dict)
    scaling: Scaling | None = None
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    card: str = ""
    program: Any = None
    aggregation: str = "mean"
    hidden: tuple[str, ...] = ()

    @property
    def sample_rate_hz(self) -> int:
        return self.models[0].features.sample_rate_hz

    @property
    def window_samples(self) -> int:
        return self.models[0].window_samples

    @property
    def window_s(self) -> float:
        return self.models[0].window_s

    @property
    def name(self) -> str:
        """Of the network, or of those of an ensemble."""
        names = [model.name for model in self.models]
        return names[0] if len(names) == 1 else " + ".join(names)

    @property
    def weights(self) -> dict[str, Any]:
        """All arrays as one tree: {"networks": [variables], "head": [layers]}."""
        return {"networks": list(self.variables), "head": [dict(layer) for layer in self.head]}


def window_outputs(bundle: Bundle, weights: PyTree, audio: jax.Array) -> dict[str, jax.Array]:
    """What networks say of windows: pure, from the waveform on, in evaluation mode.

    Args:
        bundle: whose `models`, `task`, `labels`, `aggregation`, `hidden` and `head` are used.
        weights: `bundle.weights`, or arrays of the same shapes.
        audio: float32 [B, T] at the bundle's rate, T its `window_samples`.

    Returns:
        {"scores": [B, K], "embedding": [B, D]} and, but for ensembles, "logits" [B, K], and
        "attention" [B, K] or [B, 1] where it is learnt. Members of an ensemble have their scores
        averaged, and their embeddings one after the other.
    """
    found = []
    for model, variables in zip(bundle.models, weights["networks"], strict=True):
        x = model.inputs({"audio": jnp.asarray(audio)})
        outputs = outputs_with_hidden(model, variables, x, hidden=bundle.hidden)
        embedding, logits = outputs["embedding"].astype("float32"), outputs["logits"]
        if bundle.head:
            logits = _apply_head(weights["head"], embedding)
        more = {}
        if bundle.aggregation == LEARNT:
            logits, more["attention"] = jnp.split(logits, [len(bundle.labels)], axis=-1)
        scores = in_unit(task_scores(bundle.task, logits, tree=bundle.tree), bundle.unit)
        found.append({"scores": scores, "logits": logits, "embedding": embedding, **more})
    if len(found) == 1:
        return found[0]
    return {
        "scores": sum(each["scores"] for each in found) / len(found),
        "embedding": jnp.concatenate([each["embedding"] for each in found], axis=-1),
    }


def right_scores(bundle: Bundle, scores: np.ndarray) -> np.ndarray:
    """What is said of songs: their mean scores [..., K], put right as `mclf calibrate` found.

    Of a window it is what would be said of a song that sounds so all along.
    """
    return scores if bundle.scaling is None else bundle.scaling.apply(bundle.task, scores)


def _apply_head(layers: Sequence[Mapping[str, jax.Array]], x: jax.Array) -> jax.Array:
    for number, layer in enumerate(layers):
        x = jax.nn.relu(x) if number else x
        x = jnp.matmul(x, layer["kernel"], precision="highest") + layer["bias"]
    return x


def make_step(bundle: Bundle) -> Any:
    """(weights, batch of `evaluation.windows.pack`) -> rows with `OUTPUTS`, jitted.

    Of the bundle's own program where it has one.
    """
    if bundle.program is None:
        num_learnt = len(bundle.labels) if bundle.aggregation == LEARNT else 0
        how = {"hidden": bundle.hidden, "num_learnt": num_learnt, "tree": bundle.tree}
        how |= {"unit": bundle.unit}
        return make_live_step(bundle.models, bundle.task, len(bundle.head), **how)

    def step(weights, batch):
        return _with_rows(bundle.program.call(weights, batch["audio"]), batch)

    return _jit(step)


@functools.lru_cache(maxsize=4)  # taggers of the same network share what is compiled
def make_live_step(
    models: tuple[Model, ...],
    task: str,
    num_layers: int,
    *,
    hidden: tuple[str, ...],
    num_learnt: int,
    tree: Tree = (),
    unit: Unit = (),
) -> Any:
    """The step of networks that are here, and of a head of so many layers.

    Args:
        models, task, hidden, tree, unit: of a bundle.
        num_layers: of its head.
        num_learnt: labels beside which there is attention; 0 without it.
    """
    like = Bundle(models, (), task, ("",) * num_learnt, "pad", 1, None, head=({},) * num_layers)
    how = LEARNT if num_learnt else "mean"
    like = dataclasses.replace(like, hidden=hidden, aggregation=how, tree=tree, unit=unit)

    def step(weights, batch):
        return _with_rows(window_outputs(like, weights, batch["audio"]), batch)

    return _jit(step)


def _jit(step: Any) -> Any:
    """Compiled soon: a song from the shell waits longer for LLVM than for the network.

    On processors most of the work is done by libraries, and with LLVM at its first level the rest
    took as long as at its third, compiled in .6 of the time (benchmarks/NOTES.md).
    """
    soon = {"xla_backend_optimization_level": 1} if jax.default_backend() == "cpu" else None
    return jax.jit(step, compiler_options=soon)


def _with_rows(found: Mapping[str, Any], batch: Mapping[str, Any]) -> dict[str, Any]:
    rows = {name: batch[name] for name in ("row", "index", "valid")}
    return rows | {name: found[name] for name in OUTPUTS if name in found}


def listening_by(
    bundle: Bundle, *, aggregation: str | None = None, layer: str | int | None = None
) -> Bundle:
    """The bundle with what is asked for, see `with_aggregation` and `with_layer`."""
    if aggregation is not None:
        bundle = with_aggregation(bundle, aggregation)
    return bundle if layer is None else with_layer(bundle, layer)


def with_aggregation(bundle: Bundle, how: str) -> Bundle:
    """The bundle with another way from windows to songs.

    Raises:
        ValueError: it is unknown or not for the task, or the bundle's own is learnt.

    Warns:
        UserWarning: thresholds and scaling are left out, since they are of the scores of its own.
    """
    if bundle.aggregation == LEARNT:
        raise ValueError(
            f"aggregation is {how!r}, but this probe has learnt how its windows make a song; leave "
            "it out"
        )
    aggregation.check(how, task=bundle.task, field="aggregation")
    if how == bundle.aggregation:
        return bundle
    if bundle.thresholds or bundle.scaling is not None:
        warnings.warn(
            f"aggregation is {how!r}: thresholds and calibration are left out, which were fitted "
            f"to {bundle.aggregation!r}; for {how!r}, set eval.aggregation and calibrate again",
            stacklevel=2,
        )
    return dataclasses.replace(bundle, aggregation=how, thresholds={}, scaling=None)


def with_layer(bundle: Bundle, layer: str | int) -> Bundle:
    """The bundle whose embedding is the output of another layer of its network.

    Raises:
        ValueError: there is no such layer, or it is not known which network is meant.
    """
    if bundle.head or len(bundle.models) > 1:
        what = "the fitted probe reads layers of its own" if bundle.head else "it has several"
        raise ValueError(f"layer is {layer!r}, but {what}; give the run of one network")
    model = bundle.models[0]
    if model.module is None:
        raise ValueError(f"layer is {layer!r}, but the code of {model.name} is not here")
    hidden = find_layers(model, layer, field="layer")
    return dataclasses.replace(bundle, hidden=hidden, program=None)


def takes_words(bundle: Bundle) -> bool:
    """Whether a bundle can be asked for words, see `with_words`."""
    return len(bundle.models) == 1 and two_towers.hears_words(bundle.models[0]) and not bundle.head


def with_words(bundle: Bundle, words: Sequence[str], *, task: str = "multi_label") -> Bundle:
    """The bundle with words for labels, which training need not have shown; see
    `models.two_towers.with_words`.

    Raises:
        ValueError: its network knows no words but its labels, or words are none, empty or twice.
    """
    if not takes_words(bundle):
        raise ValueError(
            f"words are {', '.join(words)}, but {bundle.name} knows no others than the labels that "
            "it has learnt: it has no text tower; train one with --config words"
        )
    model, variables = two_towers.with_words(
        bundle.models[0], bundle.variables[0], words, task=task
    )
    return dataclasses.replace(
        bundle,
        models=(model,),
        variables=(variables,),
        labels=tuple(words),
        task=task,
        tree=(),
        unit=(),
        thresholds={},
        scaling=None,
        program=None,
    )


def with_window(bundle: Bundle, window_s: float) -> Bundle:
    """The bundle for windows of another length, if its networks take them.

    Raises:
        ValueError: they do not.
    """
    checks.window_s("window_s", window_s)
    num_samples = round(window_s * bundle.sample_rate_hz)
    if num_samples == bundle.window_samples:
        return bundle
    if fixed := [model for model in bundle.models if model.length == "fixed"]:
        raise ValueError(
            f"window_s is {window_s:g}, but {fixed[0].name} is made for one length and was trained "
            f"with {fixed[0].window_s:g} s; leave window_s out, and change by num_windows or hop_s "
            "where a song is listened to"
        )
    models = tuple(dataclasses.replace(m, window_samples=num_samples) for m in bundle.models)
    x = jax.ShapeDtypeStruct((1, num_samples), "float32")
    for model, variables in zip(models, bundle.variables, strict=True):
        try:
            jax.eval_shape(model.apply, variables, x)
        except ValueError as error:
            name = model.name
            raise ValueError(f"window_s={window_s:g} does not suit {name}: {error}") from error
    return dataclasses.replace(bundle, models=models, program=None)
