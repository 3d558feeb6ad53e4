"""What a model is, as JSON in the form of the models that essentia publishes.

https://essentia.upf.edu/models.html: a file beside each model, whose fields other software reads.
"""

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mclf_jax.common.text import documents
from mclf_jax.export.bundle import Bundle
from mclf_jax.export.settings import aggregation_name, scaling_of

_SCORES = {"single_label": "Softmax", "multi_label": "Sigmoid", "regression": "Identity"}
_TYPES = {"single_label": "multi-class classifier", "multi_label": "auto-tagging"}


def describe(bundle: Bundle, model: Any, *, weights: str) -> dict[str, Any]:
    """The description of a bundle that was made a `onnx.ModelProto`, as JSON types.

    Beside essentia's fields, `inference` says how windows are cut, how their scores become those of
    a song, and how these are put right, where they are: sigmoid(scale logit(p) + bias) of tags, and
    softmax(scale log(p)) of single labels.
    """
    from importlib import metadata

    data = bundle.about.get("data") or {}
    purposes = {
        "scores": {"op": _SCORES[bundle.task], "output_purpose": "predictions"},
        "embedding": {"output_purpose": "embeddings"},
        "logits": {"output_purpose": "logits"},
        "attention": {"output_purpose": "logarithms of the weights of windows"},
    }
    return {
        "name": bundle.name,
        "type": _TYPES.get(bundle.task, bundle.task),
        "link": "",
        "version": "1",
        "description": f"Waveform in, scores and embedding out; weights stored as {weights}.",
        "release_date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "framework": "jax",
        "framework_version": metadata.version("jax"),
        "classes": list(bundle.labels),
        "model_types": ["onnx"],
        "license": str(bundle.about.get("licence") or "unknown"),
        "dataset": {
            "name": str(data.get("name", "unknown")),
            "metrics": dict(bundle.about.get("metrics") or {}),
        },
        "schema": {
            "inputs": [_tensor(value) for value in model.graph.input],
            "outputs": [_tensor(value) | purposes[value.name] for value in model.graph.output],
        },
        "inference": {
            "sample_rate": bundle.sample_rate_hz,
            "algorithm": "onnxruntime",
            "window_samples": bundle.window_samples,
            "num_windows": bundle.num_windows,
            "hop_s": bundle.hop_s,
            "short": bundle.short,
            "aggregation": aggregation_name(bundle),
            "thresholds": dict(bundle.thresholds),
            **scaling_of(bundle),
            "audio": dict(bundle.about.get("audio") or {}),
        },
    }


def is_description(path: Path) -> bool:
    """Whether a file is one of `describe`, or of essentia."""
    try:
        found = documents.read(path)
    except (ValueError, OSError):
        return False
    return isinstance(found, Mapping) and {"schema", "inference"} <= found.keys()


def _tensor(value: Any) -> dict[str, Any]:
    shape = value.type.tensor_type.shape.dim
    return {
        "name": value.name,
        "type": "float",
        "shape": [size.dim_param or size.dim_value for size in shape],
    }
