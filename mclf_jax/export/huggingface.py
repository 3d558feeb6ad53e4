"""The layout of the Hugging Face Hub, written and read as a directory; nothing is uploaded.

README.md                  the card, with the metadata that the Hub reads
config.json                id2label, problem_type, and under "mclf" the settings of a bundle
model.safetensors          arrays by the names of `settings.flatten`
preprocessor_config.json   what a waveform goes through, in the words of `transformers`
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import numpy as safetensors

from mclf_jax.common import checks, files
from mclf_jax.common.text import documents
from mclf_jax.export import settings
from mclf_jax.export.archive import WEIGHTS, load_arrays, stored
from mclf_jax.export.bundle import Bundle

_CONFIG, _WEIGHTS, _README = "config.json", "model.safetensors", "README.md"
PROBLEM_TYPES = {
    "single_label": "single_label_classification",
    "multi_label": "multi_label_classification",
    "regression": "regression",
}
_METRIC_NAMES = {"roc_auc_macro": "roc_auc", "pr_auc_macro": "average_precision"}


def write_huggingface(bundle: Bundle, directory: str | Path, *, weights: str = "float32") -> Path:
    """Write a bundle as a directory of that layout.

    Args:
        bundle: whose networks are here.
        directory: new or empty, or one that was written before.
        weights: of `archive.WEIGHTS`.

    Raises:
        ValueError: the directory holds other things.
    """
    directory = Path(directory)
    checks.choice("weights", weights, WEIGHTS)
    if directory.is_dir() and any(directory.iterdir()) and not is_huggingface(directory):
        raise ValueError(f"--out is {directory}, which holds other things; take a new folder")
    directory.mkdir(parents=True, exist_ok=True)
    known = settings.to_json(bundle)
    labels = dict(enumerate(bundle.labels))
    config = {
        "architectures": [model.name for model in bundle.models],
        "model_type": "mclf_jax",
        "id2label": {str(number): label for number, label in labels.items()},
        "label2id": {label: number for number, label in labels.items()},
        "problem_type": PROBLEM_TYPES[bundle.task],
        "mclf": known,
    }
    preprocessor = {
        "feature_extractor_type": "MclfFeatureExtractor",
        "sampling_rate": bundle.sample_rate_hz,
        "max_length": bundle.window_samples,
        "padding_value": 0.0,
        "mclf": {"listening": known["listening"], "features": known["networks"][0]["features"]},
    }
    arrays = stored(settings.flatten(bundle.weights), weights=weights)
    with files.replacing(directory / _WEIGHTS) as temporary:
        temporary.write_bytes(safetensors.save(arrays, metadata={"format": "flax"}))
    files.write_json(directory / "preprocessor_config.json", preprocessor)
    files.write_text(directory / _README, _readme(bundle))
    files.write_json(directory / _CONFIG, config)
    return directory


def is_huggingface(directory: Path) -> bool:
    """Whether a directory looks like one of this layout, of whatever kind of network."""
    return (directory / _WEIGHTS).is_file() and (directory / _CONFIG).is_file()


def read_huggingface(directory: str | Path) -> Bundle:
    """The bundle of a directory of `write_huggingface`, or of a copy of it from the Hub.

    Raises:
        ValueError: it was written by something else, or is damaged.
    """
    directory = Path(directory)
    path = directory / _CONFIG
    config = documents.read(path, origin="theirs")
    if not isinstance(config, dict) or "mclf" not in config:
        kind = config.get("model_type") if isinstance(config, dict) else None
        raise ValueError(
            f"{path} is of model_type {kind!r}; what `mclf export --to huggingface` wrote is of "
            "'mclf_jax'. Other networks are not read; see `mclf convert` for their weights"
        )
    name = f"{path}: mclf"
    settings.check(config["mclf"], name=name)
    labels = {str(number): label for number, label in enumerate(config["mclf"]["labels"])}
    if config.get("id2label") != labels:
        raise ValueError(f"{path}: id2label are not the labels of mclf; restore it from a copy")
    readme = directory / _README
    text = readme.read_text(encoding="utf-8", errors="replace") if readme.is_file() else ""
    return settings.from_json(
        config["mclf"],
        arrays=load_arrays((directory / _WEIGHTS).read_bytes, name=str(directory / _WEIGHTS)),
        name=str(directory),
        card=re.sub(r"\A---\n.*?\n---\n+", "", text, flags=re.DOTALL),
    )


def _readme(bundle: Bundle) -> str:
    """The card under the metadata; JSON is YAML, and leaves no label to be misread."""
    lines = [f"{key}: {json.dumps(value)}" for key, value in _metadata(bundle).items()]
    return "---\n" + "\n".join(lines) + "\n---\n\n" + bundle.card


def _metadata(bundle: Bundle) -> dict[str, Any]:
    about = bundle.about
    data = about.get("data", {})
    found: dict[str, Any] = {
        "library_name": "mclf_jax",
        "pipeline_tag": "audio-classification",
        "tags": ["music", "audio", "jax", *dict.fromkeys(model.name for model in bundle.models)],
        "license": "other",
        "license_name": str(about.get("licence") or "unknown"),
    }
    results = [
        {
            "task": {"type": "audio-classification"},
            "dataset": {"name": data.get("name", "unknown"), "type": data.get("name", "unknown")}
            | {"split": split},
            "metrics": _metrics(values),
        }
        for split, values in about.get("metrics", {}).items()
    ]
    if results:
        found["model-index"] = [{"name": bundle.name, "results": results}]
    return found


def _metrics(values: Mapping[str, float | None]) -> list[dict[str, Any]]:
    return [
        {"type": _METRIC_NAMES.get(name, name), "name": name, "value": value}
        for name, value in values.items()
        if value is not None
    ]
