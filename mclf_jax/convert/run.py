"""Published weights become a run directory, and the weights of a run a file for PyTorch."""

import hashlib
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from mclf_jax import config as config_lib
from mclf_jax import models
from mclf_jax.audio.features import to_json
from mclf_jax.common import parallel
from mclf_jax.common.text import tables
from mclf_jax.convert.from_torch import from_torch
from mclf_jax.convert.shapes import sizes_of
from mclf_jax.convert.to_torch import to_torch
from mclf_jax.convert.unwrap import has_last_layer, unwrap
from mclf_jax.convert.weights import write_weights
from mclf_jax.data.catalogue.label_lists import LABEL_LISTS, LabelList, label_list
from mclf_jax.models import Model, architecture, presets
from mclf_jax.models.fronts import musicnn
from mclf_jax.objectives.views import embedding_size
from mclf_jax.run import checkpoint, experiment
from mclf_jax.run.directory import describe_run, write_run
from mclf_jax.run.weights import load_variables, open_run, why_unfit

# Fields that using a network depends on; the others are about training it.
_USED_FIELDS = (
    "model.args.",
    "model.window_s",
    "model.dtype",
    "features.",
    "data.short",
    "eval.num_windows",
    "eval.hop_s",
)


def run_from_weights(
    weights: str | Path,
    *,
    model: str,
    labels: LabelList | None,
    out: str | Path,
    overrides: Sequence[str] = (),
    preset: str = presets.PUBLISHED,
    licence: str = "unknown",
) -> dict[str, Any]:
    """Make a run directory of a file of weights, which `load`, predict and embed work on.

    An encoder without a last layer, such as a checkpoint of CLMR, becomes a run without labels:
    it embeds, can be probed, and training can start from it, and to predict is an error.

    Args:
        weights: a file that `read_weights` takes.
        model: one of `models.ARCHITECTURES`.
        labels: of the last layer's outputs, in their order; see `read_labels`. Of no use to an
            encoder.
        out: the directory to make.
        overrides: "--config.model.args.num_heads=4", "--config.features.n_mels=128" and the like.
        preset: one of `presets.PRESETS[model]`, for what does not show in shapes.
        licence: of the weights, kept in meta.json.

    Returns:
        {"model": the network, "num_parameters": that were in the file, "last_layer": "trained" or
        "none", "left_out": what else was in the file, for people}.

    Raises:
        FileNotFoundError: there is no such file of weights.
        ValueError: `out` holds a run already, the weights do not fit what was asked for, or the
            labels of their last layer are missing.
    """
    weights, out = Path(weights), Path(out)
    if (out / "config.json").exists():
        raise ValueError(f"{out} holds a run already; take another --out, or remove it")
    if weights.is_dir():
        raise ValueError(f"{weights} is a folder; to write the weights of a run, take --to torch")
    arrays, left_out, projector_inputs = unwrap(model, weights)
    head, is_tagger = architecture(model).head, has_last_layer(model, arrays)
    config = _config(model, arrays, overrides, preset=preset)
    if not is_tagger:
        labels = LabelList((), "multi_label", f"none, as there is no last layer ({head})")
        config.objective.name = "simclr" if projector_inputs else "supervised"
    elif labels is None:
        raise ValueError(f"{weights} has a last layer ({head}): give its labels (--labels)")
    network = experiment.build_model(config, num_labels=max(1, len(labels.labels)))
    if projector_inputs:
        _check_embedding(network, weights, size=projector_inputs)
    variables = from_torch(
        model,
        arrays,
        num_labels=len(labels.labels) or None,
        last_layer="fresh",
        preset=preset,
        features=network.features,
        window_s=network.window_s,
        **config.model.args.to_dict(),
    )
    variables = jax.tree.map(lambda leaf: leaf.astype(np.float32), variables)

    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    notes = [f"weights of {weights.name}, its sha256 as fingerprint; labels: {labels.source}"]
    if left_out:
        notes.append(f"left out of {weights.name}: {', '.join(left_out)}")
    data = {
        "name": "none",
        "version": weights.name,
        "fingerprint": digest,
        "licence": licence,
        "splits": {},
        "notes": notes,
        "num_skipped": 0,
    }
    meta = describe_run(network, task=labels.task, labels=labels.labels, data=data)
    write_converted(out, config=config, meta=meta, variables=variables)
    read = [part for name, part in variables["params"].items() if is_tagger or name != head]
    return {
        "model": network,
        "num_parameters": sum(leaf.size for leaf in jax.tree.leaves(read)),
        "last_layer": "trained" if is_tagger else "none",
        "left_out": left_out,
    }


def write_converted(out: Path, *, config: ConfigDict, meta: dict[str, Any], variables: Any) -> None:
    """Write a run directory of weights that are there.

    Args:
        out: the directory to make.
        config, meta: of the run, see `run.directory.describe_run`.
        variables: of its network.
    """
    out.mkdir(parents=True, exist_ok=True)
    checkpoints = checkpoint.open_checkpoints(out / "checkpoints")
    try:
        checkpoint.save_best(checkpoints, 0, variables)
    finally:
        checkpoint.close(checkpoints)
    write_run(out, config=config, meta=meta, skipped=())


def read_labels(name_or_file: str, *, task: str | None = None) -> LabelList:
    """A list of `LABEL_LISTS` by name, or the lines of a text file.

    Args:
        name_or_file: the name of a list, or the path of a file with one label a line, in the
            order of the outputs.
        task: one of `data.base.source.TASKS`; that of the list, or "multi_label" for a file, when
            not given.

    Raises:
        ValueError: neither a list nor a file, or a file that is not UTF-8, or without labels or
            with one twice.
    """
    if name_or_file in LABEL_LISTS:
        named = label_list(name_or_file)
        return named._replace(task=task or named.task)
    path = Path(name_or_file)
    if not path.is_file():
        raise ValueError(
            f"labels {name_or_file!r} are neither a list ({', '.join(LABEL_LISTS)}) nor a text "
            "file with one label a line"
        )
    line_of: dict[str, int] = {}
    for number, line in tables.read_lines(path):
        if (first := line_of.setdefault(line.strip(), number)) != number:
            raise ValueError(
                f"{path}, line {number}: the file has labels twice: {line.strip()}, which is in"
                f" line {first} too"
            )
    if not line_of:
        raise ValueError(f"{path} has no labels; expected one a line")
    return LabelList(tuple(line_of), task or "multi_label", f"the file {path.name}")


def weights_from_run(run: str | Path, out: str | Path) -> dict[str, Any]:
    """Write the best weights of a run under the keys of the published PyTorch class.

    Beside them goes a text file of the labels, in the order of the outputs. Where a run has learnt
    no labels, its last layer, which nothing has trained, stays out, and there is no such file.

    Args:
        run: a run directory.
        out: the file to write, of one of `convert.weights.SUFFIXES`.

    Returns:
        {"model": the network, "labels_file": a path or None, "command": that makes a run of it
        again}.

    Raises:
        FileNotFoundError: not a run directory, or nothing was trained in it yet.
        ValueError: another suffix.
    """
    opened, out = open_run(run), Path(out)
    config, meta, model = opened.config, opened.meta, opened.model
    best = load_variables(run, model, parallel.make_mesh(1))
    arrays = to_torch(model, best["variables"])
    command, labels_file = ["mclf", "convert", out, "--model", model.name], None
    if not why_unfit(opened):
        labels_file = out.with_suffix(".labels.txt")
        text = "".join(f"{label}\n" for label in meta["labels"])
        command += ["--labels", labels_file, "--task", meta["task"]]
    else:
        head = architecture(model.name).head
        arrays = {k: array for k, array in arrays.items() if not k.startswith(f"{head}.")}
    write_weights(out, arrays)
    if labels_file is not None:
        labels_file.write_text(text, encoding="utf-8", errors="surrogateescape")
    command += ["--out", "RUN", *_changes(config, model, arrays)]
    return {
        "model": model,
        "labels_file": labels_file,
        "command": shlex.join(map(str, command)),
    }


def _config(
    name: str, arrays: dict[str, np.ndarray], overrides: Sequence[str], *, preset: str
) -> ConfigDict:
    for text in overrides:
        field = text.removeprefix("--config.").partition("=")[0]
        if not field.startswith(_USED_FIELDS) or field == "features.on":
            raise ValueError(
                f"{text}: it would change nothing about weights that are trained already; "
                f"allowed: {', '.join(_USED_FIELDS)}"
            )
    config = config_lib.base()
    config.data.name = "none"
    config.model.name = name
    version = presets.preset(name, preset)
    config.features.update(version.pop("features", {}))
    config.model.window_s = version.pop("window_s", config.model.window_s)
    arguments = models.arguments_of(name) | version | sizes_of(name, arrays)
    config.model.args = ConfigDict(arguments)
    config = config_lib.apply_overrides(config, overrides, origin=f"--model {name}")
    config = config_lib.validate(config)
    if name == "musicnn":  # what it takes by itself need not be set
        bands = experiment.build_model(config, num_labels=1).input_shape[-1]
        if tuple(config.model.args.heights) == musicnn.usual_heights(bands):
            config.model.args.heights = ()
    return config


def _check_embedding(model: Model, weights: Path, *, size: int) -> None:
    """Raise a ValueError unless the network's embedding is what a projector took."""
    if (found := embedding_size(model)) != size:
        raise ValueError(
            f"the projector in {weights} took embeddings of {size} numbers, and of "
            f"{model.window_s:.4g} s at {model.features.sample_rate_hz} Hz {model.name} makes "
            f"{found}; set features.sample_rate_hz and model.window_s to what it was trained on"
        )


def _changes(config: ConfigDict, model: Model, arrays: dict[str, np.ndarray]) -> list[str]:
    """Overrides for what is neither published nor to be seen in the weights."""
    used = models.used_arguments(model)
    published = models.architecture(model.name, used)
    arguments, shown = models.arguments_of(model.name), sizes_of(model.name, arrays)
    used = {name: value for name, value in used.items() if name not in shown}
    changes = {f"model.args.{k}": v for k, v in used.items() if v != arguments[k]}
    features, used = to_json(published.features), to_json(model.features)
    changes |= {f"features.{k}": v for k, v in used.items() if v != features.get(k)}
    if model.window_s != published.window_samples / published.features.sample_rate_hz:
        changes["model.window_s"] = model.window_s
    for field in ("data.short", "eval.num_windows", "eval.hop_s"):
        section, name = field.split(".")
        if config[section][name] != config_lib.base()[section][name]:
            changes[field] = config[section][name]
    return [f"--config.{field}={value}" for field, value in changes.items()]
