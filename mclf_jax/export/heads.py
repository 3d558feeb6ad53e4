"""Fitted probes, kept: layers in place of a network's last one, and which network they are for.

A file of safetensors, "0/kernel", "0/bias", "1/kernel" and so on, with the rest as JSON under
"mclf" of its metadata. The network stays where it is, in its run.
"""

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors import numpy as safetensors

from mclf_jax.common import checks, files
from mclf_jax.common.text import documents
from mclf_jax.data.base.source import TASKS
from mclf_jax.evaluation.aggregation import LEARNT
from mclf_jax.export import settings
from mclf_jax.export.archive import stored
from mclf_jax.run.weights import digest

SUFFIX = ".safetensors"
KINDS = ("linear", "mlp", "attention")
"""Probes that are layers; the others hold the windows that they were fitted on."""
NOT_KEPT = (
    f"of the probes on the run, {', '.join(KINDS[:-1])} and {KINDS[-1]} are kept where they got "
    "all labels (fraction 1); the other kinds hold the windows that they were fitted on, and "
    "cannot leave"
)

_KEY = "mclf"
_LIKE = {
    "kind": str,
    "run": str,
    "step": int,
    "weights": str,
    "task": str,
    "labels": [str],
    "short": str,
    "num_windows": (int, None),
    "hop_s": (float, None),
    "thresholds": {str: float},
    "about": dict,
    "digest": str,
}


@dataclasses.dataclass(frozen=True, eq=False)
class Head:
    """A fitted probe.

    Attributes:
        kind: of `KINDS`.
        run: directory of the network whose embeddings it takes.
        step: of the checkpoint.
        weights: `run.weights.digest` of the network's variables.
        task, labels, short, num_windows, hop_s, thresholds: see `Bundle`.
        about: JSON types for readers: data, metrics, how it was fitted.
        layers: {"kernel" [D, ...], "bias"} each, float32, with ReLU between them.
        hidden, aggregation: see `Bundle`.
    """

    kind: str
    run: Path
    step: int
    weights: str
    task: str
    labels: tuple[str, ...]
    short: str
    num_windows: int | None
    hop_s: float | None
    thresholds: Mapping[str, float]
    about: Mapping[str, Any]
    layers: tuple[Mapping[str, np.ndarray], ...]
    hidden: tuple[str, ...] = ()
    aggregation: str = "mean"


def write_head(head: Head, path: str | Path) -> Path:
    """Write a fitted probe, whole or not at all; a run that it lies in can be moved with it."""
    path = Path(path).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    run, folder = head.run.resolve(), path.parent.resolve()
    known = {name: getattr(head, name) for name in _LIKE if name not in ("run", "digest")}
    known |= {"hidden": list(head.hidden), "aggregation": head.aggregation}
    known["run"] = os.path.relpath(run, folder) if folder.is_relative_to(run) else str(run)
    known["digest"] = digest(head.layers)
    text = json.dumps(files.without_nan(known), allow_nan=False)
    arrays = stored(settings.flatten(head.layers), weights="float32")
    with files.replacing(path) as temporary:
        temporary.write_bytes(safetensors.save(arrays, metadata={_KEY: text}))
    return path


def read_head(path: str | Path) -> Head:
    """What `write_head` wrote.

    Raises:
        FileNotFoundError: there is no such file; says which there are.
        ValueError: it is none of them, or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; {NOT_KEPT}")
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(_KEY)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}); probe the run again") from error
    if text is None:
        raise ValueError(
            f"{path} holds weights, but is no probe of `mclf probe`; make a run of weights of "
            "others by `mclf convert`"
        )
    known = documents.parse(text, _LIKE, name=str(path))
    checks.choice(f"{path}: task", known["task"], TASKS)
    tree = settings.unflatten(arrays, name=str(path))
    layers = tuple(tree.get(str(number)) for number in range(len(tree)))
    if digest(layers) != known.pop("digest"):
        raise ValueError(f"{path} is damaged: its weights are not those written; probe again")
    fields = {name: known[name] for name in _LIKE if name in known}
    # Those of earlier versions have neither.
    fields |= {"aggregation": known.get("aggregation", "mean")}
    checks.choice(f"{path}: aggregation", fields["aggregation"], ("mean", LEARNT))
    fields |= {"hidden": tuple(known.get("hidden", ()))}
    fields |= {"run": (path.parent / known["run"]).resolve(), "labels": tuple(known["labels"])}
    return Head(**fields, layers=layers)
