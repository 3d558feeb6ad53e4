"""What training can start from: the best checkpoint of a run, what was exported, or weights."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from mclf_jax.audio.features import to_json
from mclf_jax.common import checks, parallel
from mclf_jax.convert.from_torch import check_filter_bank, without_constants
from mclf_jax.convert.keys import torch_key, turn
from mclf_jax.convert.unwrap import has_last_layer, unwrap
from mclf_jax.convert.weights import SUFFIXES
from mclf_jax.export import archive
from mclf_jax.export.collect import bundle_of
from mclf_jax.export.huggingface import is_huggingface
from mclf_jax.models import Model
from mclf_jax.models.names import name_of, path_of
from mclf_jax.models.two_towers import hears_words
from mclf_jax.run.weights import load_variables, open_run, why_unfit
from mclf_jax.weights import find

OTHER_FEATURES = ("refuse", "allow")


class Pretrained(NamedTuple):
    """Variables under names of their own, and what is known about them.

    Attributes:
        origin: for people, such as "runs/clmr (clmr_sample_cnn, simclr, step 400)".
        arrays: name -> array.
        name: (collection, module, ..., leaf) of a network's variable -> its name in `arrays`.
        turn: (path, array) -> the array in this library's layout.
        labels: (task, labels) that the last layer was trained for, or why that is not known.
        notes: differences that may be meant.
    """

    origin: str
    arrays: Mapping[str, np.ndarray]
    name: Callable[[Sequence[str]], str]
    turn: Callable[[Sequence[str], np.ndarray], np.ndarray]
    labels: tuple[str, tuple[str, ...]] | str
    notes: tuple[str, ...]


def read(path: str | Path, *, model: Model, other_features: str = "refuse") -> Pretrained:
    """Read a run directory, what was exported, or a file of one of `convert.weights.SUFFIXES`.

    Args:
        path: of `mclf train`, `mclf convert` or `mclf export`, the name of a network that comes
            with the library (`mclf_jax.weights`), or weights under their published keys.
        model: that is to start from them; "two_towers" also from a run of its audio tower alone.
        other_features: "refuse" those that were trained on other features than the model's, or
            "allow" them, with a note.

    Raises:
        FileNotFoundError: there is nothing, or no checkpoint in the run yet.
        ValueError: of another architecture, other features, or numbers that are not finite.
    """
    checks.choice("init.other_features", other_features, OTHER_FEATURES)
    path = find(path)
    if path.suffix == archive.SUFFIX or is_huggingface(path):
        return _read_exported(path, model=model, other_features=other_features)
    if path.is_dir():
        return _read_run(path, model=model, other_features=other_features)
    if not path.exists():
        raise FileNotFoundError(f"init.path is {str(path)!r}: there is no such file or folder")
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(
            f"init.path is {str(path)!r}; it must be a run directory, what `mclf export` wrote, "
            f"or a file of weights ({', '.join(SUFFIXES)})"
        )
    return _read_weights(path, model=model, other_features=other_features)


def _read_run(run: Path, *, model: Model, other_features: str) -> Pretrained:
    opened = open_run(run)
    place, notes = _compare(run, opened.model, model, other_features=other_features)
    best = load_variables(run, opened.model, parallel.make_mesh())
    return Pretrained(
        origin=f"{run} ({opened.model.name}, {opened.config.objective.name}, step {best['step']})",
        arrays=_named(best["variables"], place),
        name=lambda path: name_of(path[1:]),
        turn=lambda path, array: array,
        labels=why_unfit(opened) or (opened.meta["task"], tuple(opened.meta["labels"])),
        notes=notes,
    )


def _read_exported(path: Path, *, model: Model, other_features: str) -> Pretrained:
    bundle = bundle_of(path)
    if len(bundle.models) > 1 or bundle.models[0].module is None or bundle.head:
        raise ValueError(
            f"init.path: {path} is an ensemble, a probe or a network whose code is not here; it "
            "must be one network: take the run that it was exported from"
        )
    place, notes = _compare(path, bundle.models[0], model, other_features=other_features)
    return Pretrained(
        origin=f"{path.name} ({bundle.name})",
        arrays=_named(bundle.variables[0], place),
        name=lambda path: name_of(path[1:]),
        turn=lambda path, array: array,
        labels=(bundle.task, bundle.labels) if bundle.labels else "it has learnt no labels",
        notes=notes,
    )


def _compare(
    path: Path, trained: Model, model: Model, *, other_features: str
) -> tuple[str, tuple[str, ...]]:
    """Where in `model` a trained network belongs, "" for all of it, and how they differ."""
    place = ""
    if hears_words(model) and trained.name == model.module.encoder:
        place, model = "tower.", dataclasses.replace(model, module=model.module.tower)
    elif trained.name != model.name:
        raise ValueError(
            f"init.path: {path} holds a {trained.name}, and model.name is {model.name!r}; they "
            "must be the same"
        )
    there, here = to_json(trained.features), to_json(model.features)
    differing = [
        f"features.{field} was {there.get(field)!r} and is {here.get(field)!r}"
        for field in {**there, **here}
        if there.get(field) != here.get(field)
    ]
    if differing and other_features == "refuse":
        raise ValueError(
            f"init.path: {path} was trained on other features: {'; '.join(differing)}. Make them "
            "the same, or set init.other_features to 'allow'"
        )
    return place, (*differing, *_other_arguments(trained, model))


def _named(variables: Any, place: str) -> dict[str, np.ndarray]:
    leaves = jax.tree_util.tree_leaves_with_path(variables)
    return {place + name_of(path_of(key)[1:]): np.asarray(leaf) for key, leaf in leaves}


def _other_arguments(trained: Model, model: Model) -> list[str]:
    """Settings of the network that do not show in shapes, or not plainly."""
    skipped = {"num_labels", "dtype", "remat", "parent", "name", "second_opinion", "opinion_on"}
    values = [
        (f"model.args.{field.name}", getattr(trained.module, field.name, None), value)
        for field in dataclasses.fields(model.module)
        if field.name not in skipped
        and not field.name.endswith(("dropout_rate", "stochastic_depth_rate"))
        for value in [getattr(model.module, field.name)]
    ]
    values.append(("model.window_s", trained.window_s, model.window_s))
    return [f"{name} was {old!r} and is {new!r}" for name, old, new in values if old != new]


def _read_weights(path: Path, *, model: Model, other_features: str) -> Pretrained:
    arrays, left_out, _ = unwrap(model.name, path)
    checks.finite(f"init.path, {path}", without_constants(arrays))
    notes = ["the file does not say which features it was trained on"]
    if any(key.endswith("mel_scale.fb") for key in arrays):
        notes = []
        try:
            check_filter_bank(arrays, model.features)
        except ValueError as error:
            if other_features == "refuse":
                raise ValueError(
                    f"init.path: {path}: {error}. Or set init.other_features to 'allow'"
                ) from error
            notes = [str(error)]
    if left_out:
        notes.append(f"left out: {', '.join(left_out)}")
    return Pretrained(
        origin=str(path),
        arrays=without_constants(arrays),
        name=torch_key,
        turn=turn,
        labels="the file does not say its labels; `mclf convert` it with them, and take the run"
        if has_last_layer(model.name, arrays)
        else "the file has no last layer",
        notes=tuple(notes),
    )
