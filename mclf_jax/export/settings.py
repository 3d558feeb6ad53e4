"""The settings of a bundle as JSON, and a bundle of settings and weights."""

import dataclasses
import datetime
import json
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from mclf_jax import models
from mclf_jax.audio import features
from mclf_jax.audio.features import Waveform
from mclf_jax.common import checks
from mclf_jax.common.text import documents
from mclf_jax.data.base.source import TASKS
from mclf_jax.evaluation.aggregation import AGGREGATIONS, LEARNT
from mclf_jax.export.bundle import Bundle
from mclf_jax.metrics.confidence.scaling import Scaling
from mclf_jax.models import Model

FORMAT = 2
"""Version of what `to_json` writes, 1 without scaling, hidden layers, tree and unit; readers refuse
later ones."""
_NAMES = {how: f"{how}_scores" for how in (*AGGREGATIONS, LEARNT)}
"""How aggregations are called in files."""

_LIKE = {
    "format": int,
    "made": str,
    "task": str,
    "labels": [str],
    "networks": [
        {"name": str, "args": dict, "dtype": str, "features": dict, "window_samples": int}
    ],
    "listening": {"short": str, "aggregation": str},
    "thresholds": {str: float},
    "about": dict,
}


def to_json(bundle: Bundle) -> dict[str, Any]:
    """All of a bundle but its arrays, its program and its card, as JSON types."""
    return {
        "format": FORMAT if _is_new(bundle) else 1,
        "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "task": bundle.task,
        "labels": list(bundle.labels),
        "networks": [_network(model) for model in bundle.models],
        "head": len(bundle.head),
        "hidden": list(bundle.hidden),
        "listening": {
            "short": bundle.short,
            "num_windows": bundle.num_windows,
            "hop_s": bundle.hop_s,
            "aggregation": aggregation_name(bundle),
        },
        **({"tree": list(bundle.tree)} if bundle.tree else {}),
        **({"unit": [list(pair) for pair in bundle.unit]} if bundle.unit else {}),
        "thresholds": dict(bundle.thresholds),
        **scaling_of(bundle),
        "about": dict(bundle.about),
    }


def _is_new(bundle: Bundle) -> bool:
    return bundle.scaling is not None or bool(bundle.hidden or bundle.tree or bundle.unit)


def scaling_of(bundle: Bundle) -> dict[str, Any]:
    """{"scaling": {"scale", "bias"}} of a bundle whose scores are put right; else nothing."""
    if bundle.scaling is None:
        return {}
    return {"scaling": {"scale": list(bundle.scaling.scale), "bias": list(bundle.scaling.bias)}}


def _scaling(settings: Mapping[str, Any], *, name: str) -> Scaling | None:
    if "scaling" not in settings:
        return None
    found = settings["scaling"]
    documents.check(found, {"scale": [float], "bias": [float]}, name=name, field="scaling")
    if len(found["scale"]) not in (1, len(settings["labels"])):
        raise ValueError(f"{name}: scaling has {len(found['scale'])} scales; it must have 1 or K")
    try:
        return Scaling(tuple(found["scale"]), tuple(found["bias"]))
    except ValueError as error:
        raise ValueError(f"{name}: scaling: {error}") from error


def aggregation_name(bundle: Bundle) -> str:
    """How scores of windows become those of a song, as files say it: "mean_scores"."""
    return _NAMES[bundle.aggregation]


def check(settings: Any, *, name: str) -> None:
    """Raise a ValueError that names file and field unless settings are as of `to_json`."""
    documents.check(settings, {"format": int}, name=name)
    if settings["format"] > FORMAT:
        raise ValueError(
            f"{name} has format {settings['format']}, and this version of mclf_jax reads up to "
            f"{FORMAT}: update mclf_jax"
        )
    documents.check(settings, _LIKE, name=name)
    checks.choice(f"{name}: task", settings["task"], TASKS)
    aggregation = settings["listening"]["aggregation"]
    checks.choice(f"{name}: listening.aggregation", aggregation, _NAMES.values())
    documents.check(settings.get("hidden", []), [str], name=name, field="hidden")
    checks.choice(f"{name}: listening.short", settings["listening"]["short"], ("tile", "pad"))
    tree = settings.get("tree", [])
    documents.check(tree, [int], name=name, field="tree")
    columns = range(-1, len(tree))
    if tree and (len(tree) != len(settings["labels"]) or any(k not in columns for k in tree)):
        raise ValueError(f"{name}: tree is {tree}; it must have a column, or -1, for each label")
    unit = settings.get("unit", [])
    documents.check(unit, [[float]], name=name, field="unit")
    if unit and (len(unit) != len(settings["labels"]) or any(len(pair) != 2 for pair in unit)):
        raise ValueError(
            f"{name}: unit is {unit}; it must have a scale and an offset of each label"
        )
    if not settings["networks"]:
        raise ValueError(f"{name}: networks is empty; it must name one or more")
    if unknown := sorted(set(settings["thresholds"]) - set(settings["labels"])):
        raise ValueError(f"{name}: thresholds has {unknown[0]!r}, which is none of its labels")
    for network in settings["networks"]:
        checks.at_least(f"{name}: window_samples", network["window_samples"], 1)


def from_json(
    settings: Mapping[str, Any],
    *,
    arrays: Mapping[str, np.ndarray],
    name: str,
    card: str = "",
    program: Any = None,
) -> Bundle:
    """The bundle of settings that `check` has seen, and of the arrays of `flatten`.

    Networks from outside whose code is not here are left to the program.

    Raises:
        ValueError: there is no such network and no program, or its weights are not all there, are
            of other shapes or not finite.
    """
    count = max(1, len(settings["labels"]))
    built = [_build(n, count, name=name, required=program is None) for n in settings["networks"]]
    tree = unflatten(arrays, name=name)
    variables = tuple(tree.get("networks", {}).get(str(i), {}) for i in range(len(built)))
    if program is None:
        for model, found in zip(built, variables, strict=True):
            wanted = jax.eval_shape(model.init, jax.random.key(0))
            _check_shapes(found, wanted, of=model.name, name=name)
    else:  # which says what it takes, and nothing has to be traced for it
        shapes = [_Shape(tuple(each.shape)) for each in program.in_avals]
        (weights, _), _ = jax.tree.unflatten(program.in_tree, shapes)
        for model, found, wanted in zip(built, variables, weights["networks"], strict=True):
            _check_shapes(found, wanted, of=model.name, name=name)
    head = [tree.get("head", {}).get(str(i)) for i in range(settings.get("head", 0))]
    if not all(layer is not None and set(layer) == {"kernel", "bias"} for layer in head):
        raise ValueError(f"{name}: weights of the probe are missing; make it again")
    listening = settings["listening"]
    return Bundle(
        models=tuple(built),
        variables=variables,
        task=settings["task"],
        labels=tuple(settings["labels"]),
        short=listening["short"],
        num_windows=listening.get("num_windows"),
        hop_s=listening.get("hop_s"),
        aggregation={name: how for how, name in _NAMES.items()}[listening["aggregation"]],
        hidden=tuple(settings.get("hidden", ())),
        head=tuple(head),
        tree=tuple(settings.get("tree", ())),
        unit=tuple((scale, offset) for scale, offset in settings.get("unit", ())),
        thresholds=settings["thresholds"],
        scaling=_scaling(settings, name=name),
        about=settings["about"] | {"made": settings["made"]},
        card=card,
        program=program,
    )


def flatten(weights: Any, *, leaf: Callable[[Any], Any] = np.asarray) -> dict[str, Any]:
    """{"networks/0/params/layer1.conv/kernel": array} of `Bundle.weights`."""
    if isinstance(weights, Mapping):
        parts = weights.items()
    elif isinstance(weights, list | tuple):
        parts = ((str(number), part) for number, part in enumerate(weights))
    else:
        return {"": leaf(weights)}
    return {
        f"{key}/{rest}" if rest else key: array
        for key, part in parts
        for rest, array in flatten(part, leaf=leaf).items()
    }


def unflatten(arrays: Mapping[str, np.ndarray], *, name: str) -> dict[str, Any]:
    """The tree of `flatten`, lists as dictionaries; every array as float32 and finite."""
    checks.finite(f"the weights of {name}", arrays)
    tree: dict[str, Any] = {}
    for path, array in arrays.items():
        *folders, last = path.split("/")
        place = tree
        for folder in folders:
            place = place.setdefault(folder, {})
            if not isinstance(place, dict):
                raise ValueError(f"{name}: {path} is an array within an array; it is damaged")
        half = array.dtype in (np.float16, np.float32)
        place[last] = array.astype(np.float32) if half else array
    return tree


def _network(model: Model) -> dict[str, Any]:
    module = model.module
    return {
        "name": model.name,
        "args": json.loads(json.dumps(models.used_arguments(model))),
        # Other than the labels where a probe stands in place of the last layer.
        "num_labels": module.num_labels,
        "dtype": getattr(module, "dtype", "float32"),
        "features": features.to_json(model.features),
        "window_samples": model.window_samples,
    }


@dataclasses.dataclass(frozen=True)
class _Shape:
    shape: tuple[int, ...]


def _check_shapes(variables: Any, wanted: Any, *, of: str, name: str) -> None:
    wanted = flatten(wanted, leaf=lambda x: x.shape)
    there = flatten(variables, leaf=np.shape)
    wrong = [
        f"{key} is {there.get(key, 'absent')}, not {wanted.get(key, 'wanted')}"
        for key in sorted(wanted.keys() | there.keys())
        if wanted.get(key) != there.get(key)
    ]
    if wrong:
        raise ValueError(f"{name}: these weights are not of its {of}: {checks.few(wrong)}")


def _build(settings: Mapping[str, Any], num_labels: int, *, name: str, required: bool) -> Model:
    try:
        found = features.from_json(settings["features"])
        return models.build(
            settings["name"],
            num_labels=settings.get("num_labels", num_labels),
            features=found,
            window_s=settings["window_samples"] / found.sample_rate_hz,
            dtype=settings["dtype"],
            **settings["args"],
        )
    except (ValueError, TypeError, OSError, ImportError) as error:
        rate = settings["features"].get("sample_rate_hz")
        if required or not isinstance(rate, int):
            raise ValueError(f"{name}: its network cannot be built: {error}") from error
        return Model(
            name=settings["name"],
            module=None,
            features=Waveform(sample_rate_hz=rate),
            window_samples=settings["window_samples"],
            length="fixed",
        )
