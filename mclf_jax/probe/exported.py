"""Whatever encoder is named becomes a run directory, which probes take."""

from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from mclf_jax import config as config_lib
from mclf_jax import models
from mclf_jax.audio.features import to_json
from mclf_jax.convert.run import write_converted
from mclf_jax.export import archive
from mclf_jax.export.bundle import Bundle
from mclf_jax.export.collect import bundle_of
from mclf_jax.export.huggingface import is_huggingface
from mclf_jax.run.directory import describe_run, read_meta
from mclf_jax.run.weights import digest
from mclf_jax.weights import find

_WEIGHTS = (".pth", ".pt", ".ckpt", ".safetensors", ".npz")


def is_exported(path: str | Path) -> bool:
    """Whether a path is of what `mclf export` wrote, or the name of what comes with the library."""
    path = find(path)
    return (path.is_file() and path.suffix == archive.SUFFIX) or is_huggingface(path)


def as_run(path: str | Path, *, out: Path) -> Path:
    """The run directory of an encoder: itself, or one that is made of an exported file.

    Args:
        path: of a run directory, a `.mclf` file or a folder in the layout of Hugging Face; or the
            name of a network that comes with the library.
        out: where one is made.

    Raises:
        FileNotFoundError: there is nothing.
        ValueError: it is no encoder of one network whose code is here, or `out` is of another one.
    """
    path = find(path)
    if (path / "meta.json").is_file():
        return path
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there; an encoder is a run or an exported file")
    if path.suffix in _WEIGHTS:
        raise ValueError(
            f"{path} is a file of weights or a probe; make a run of weights first: mclf convert "
            f"{path} --model NAME --labels LIST --out RUN"
        )
    bundle = bundle_of(path)
    if len(bundle.models) > 1 or bundle.models[0].module is None:
        what = "an ensemble" if len(bundle.models) > 1 else "a network whose code is not here"
        raise ValueError(f"{path} is {what}; an encoder is one network: take the run that it is of")
    weights = digest(bundle.variables[0])
    if (out / "meta.json").is_file():
        if read_meta(out)["data"]["fingerprint"] != weights:
            raise ValueError(f"{out} was made of other weights than {path} has; remove it")
        return out
    _write(bundle, out, version=path.name, weights=weights)
    return out


def _write(bundle: Bundle, out: Path, *, version: str, weights: str) -> None:
    model = bundle.models[0]
    data = {
        "name": "none",
        "version": version,
        "fingerprint": weights,
        "licence": bundle.about.get("data", {}).get("licence", "unknown"),
        "splits": {},
        "notes": [f"weights of {version}, their digest as fingerprint"],
        "num_skipped": 0,
    }
    meta = describe_run(model, task=bundle.task, labels=bundle.labels, data=data)
    variables = jax.tree.map(np.asarray, bundle.variables[0])
    write_converted(out, config=_config(bundle), meta=meta, variables=variables)


def _config(bundle: Bundle) -> ConfigDict:
    model, config = bundle.models[0], config_lib.base()
    config.data.update({"name": "none", "short": bundle.short})
    config.model.update({"name": model.name, "window_s": model.window_s})
    config.model.args = ConfigDict(models.used_arguments(model))
    features = to_json(model.features)
    config.features.update({k: v for k, v in features.items() if k in config.features})
    config.eval.update({"hop_s": bundle.hop_s, "aggregation": "mean"})
    config.eval.num_windows = bundle.num_windows or config.eval.num_windows
    return config_lib.validate(config)
