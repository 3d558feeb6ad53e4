"""ONNX with the front end inside: waveform in, scores and embedding out, and no Python needed."""

import contextlib
import dataclasses
import importlib
import importlib.metadata
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mclf_jax.audio import fourier
from mclf_jax.common import checks, files
from mclf_jax.evaluation.aggregation import LEARNT
from mclf_jax.export import essentia, settings
from mclf_jax.export.archive import stored
from mclf_jax.export.bundle import Bundle, window_outputs
from mclf_jax.export.verify import Outputs

SUFFIX = ".onnx"
WEIGHTS = ("float32", "float16", "int8")
# Read by onnxruntime and onnxruntime-web from 1.18 on (May 2024).
OPSET = 21
_MOST_BYTES = 2**31 - 1
# Smaller arrays, such as biases, statistics and the bands of sinc filters, stay as they are.
_LEAST_PACKED = 1024


def write_onnx(bundle: Bundle, path: str | Path, *, weights: str = "float32") -> Path:
    """Write a bundle for onnxruntime, and beside it as `.json` what essentia says of a model.

    Input "audio" [B, T]; outputs "scores" [B, K], "embedding" [B, D] and, but for ensembles,
    "logits" [B, K], for any B; "attention" where weights of windows are learnt; "embedding" alone
    where no labels were learnt. Settings are JSON in
    the metadata of the file, by the names of `settings.to_json`.

    Args:
        bundle: whose networks are here.
        path: of the file, which ends in `.onnx`.
        weights: of `WEIGHTS`: how they are stored; the runtime turns them back into float32 when
            it opens the file, and int8 has a scale for each index of an array's last axis.

    Raises:
        ImportError: jax2onnx is not installed, or does not go with this JAX.
        ValueError: another ending, an operation that jax2onnx does not know, weights that float16
            cannot hold, or a file beyond the 2 GB of its format.
    """
    path = Path(path)
    checks.choice("weights", weights, WEIGHTS)
    if path.suffix != SUFFIX:
        raise ValueError(f"--out is {path}; it must end in {SUFFIX}")
    described = path.with_suffix(".json")
    if described.exists() and not essentia.is_description(described):
        raise ValueError(
            f"{described} would be written beside {path}, and it is something else; "
            "take another name"
        )
    model = make_onnx(bundle, weights=weights)
    if (size := model.ByteSize()) > _MOST_BYTES:
        raise ValueError(
            f"{path} would have {size / 1e9:.1f} GB, and ONNX ends at 2.1; take --weights float16 "
            "or int8, or --to mclf"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(path) as temporary:
        temporary.write_bytes(model.SerializeToString())
    files.write_json(described, essentia.describe(bundle, model, weights=weights))
    return path


def make_onnx(bundle: Bundle, *, weights: str = "float32") -> Any:
    """The `onnx.ModelProto` that `write_onnx` writes."""
    jax2onnx = _library("jax2onnx")
    onnx = _library("onnx")
    bundle = _in_float32(bundle)
    flat, tree = jax.tree_util.tree_flatten_with_path(bundle.weights)
    arrays = {
        jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(jax.numpy.asarray(array))
        for path, array in flat
    }
    outputs = ["embedding"]
    if bundle.labels:
        outputs = ["scores", *outputs] + ["logits"] * (len(bundle.models) == 1)
        outputs += ["attention"] * (bundle.aggregation == LEARNT)

    def function(audio, *values):
        found = window_outputs(bundle, jax.tree.unflatten(tree, values), audio)
        return tuple(found[name] for name in outputs)

    # Weights are inputs while jax2onnx looks at the graph, which takes it minutes otherwise.
    shapes = [jax.ShapeDtypeStruct(array.shape, array.dtype) for array in arrays.values()]
    with _quiet(), fourier.as_products():
        try:
            model = jax2onnx.to_onnx(
                function,
                inputs=[("B", bundle.window_samples), *shapes],
                input_names=["audio", *arrays],
                output_names=outputs,
                model_name=bundle.name,
                opset=OPSET,
            )
        except Exception as error:
            if "jax._src" in str(error):
                version = importlib.metadata.version("jax2onnx")
                raise ImportError(
                    f"jax2onnx {version} does not go with JAX {jax.__version__} ({error}); "
                    "install an earlier JAX, such as 0.10, or take --to mclf"
                ) from error
            kinds = ", ".join(model.features.kind for model in bundle.models)
            raise ValueError(
                f"jax2onnx cannot write {bundle.name} with features {kinds} as ONNX "
                f"({' '.join(str(error).split()) or type(error).__name__}); take --to mclf"
            ) from error
    graph = model.graph
    # Some of the shapes that jax2onnx notes between nodes are not so; runtimes infer them.
    del graph.value_info[:]
    inputs = [value for value in graph.input if value.name == "audio"]
    del graph.input[:]
    graph.input.extend(inputs)
    _put_in(graph, {name: arrays[name] for name in _used(graph) if name in arrays}, weights=weights)
    known = settings.to_json(bundle)
    onnx.helper.set_model_props(model, {key: json.dumps(value) for key, value in known.items()})
    model.producer_name, model.doc_string = "mclf_jax", bundle.card
    onnx.checker.check_model(model)
    return model


def read_onnx(path: str | Path) -> Outputs:
    """Float32 [B, T] -> outputs as of `write_onnx`, by onnxruntime on the processor.

    Raises:
        ImportError: onnxruntime is not installed.
    """
    runtime = _library("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def outputs(audio: np.ndarray) -> Mapping[str, np.ndarray]:
        return dict(zip(names, session.run(names, {"audio": audio}), strict=True))

    return outputs


def _in_float32(bundle: Bundle) -> Bundle:
    """Networks that compute in float32, as their weights are; few runtimes know bfloat16."""
    if any(model.module is None for model in bundle.models):
        raise ValueError(
            f"the code of {bundle.name} is not here, and ONNX is made from it; export it where it "
            "can be imported"
        )
    models = tuple(
        dataclasses.replace(model, module=model.module.clone(dtype="float32"))
        if getattr(model.module, "dtype", "float32") != "float32"
        else model
        for model in bundle.models
    )
    return dataclasses.replace(bundle, models=models)


def _put_in(graph: Any, arrays: Mapping[str, np.ndarray], *, weights: str) -> None:
    """Make arrays constants of a graph, and nodes that unpack those that are packed."""
    onnx = _library("onnx")
    make_node, tensor = onnx.helper.make_node, onnx.numpy_helper.from_array
    nodes = []
    for name, array in arrays.items():
        large = array.ndim > 1 and array.size >= _LEAST_PACKED and array.dtype == np.float32
        if weights == "float32" or not large:
            graph.initializer.append(tensor(array, name))
            continue
        packed, scale = f"{name}:{weights}", f"{name}:scale"
        cast = {"to": onnx.TensorProto.FLOAT}
        if weights == "float16":
            half = stored({name: array}, weights=weights)[name]
            graph.initializer.append(tensor(half, packed))
            nodes.append(make_node("Cast", [packed], [name], **cast))
            continue
        steps = np.abs(array).max(axis=tuple(range(array.ndim - 1))) / 127
        whole = np.rint(array / np.where(steps > 0, steps, 1)).astype(np.int8)
        graph.initializer.append(tensor(whole, packed))
        graph.initializer.append(tensor(steps.astype(np.float32), scale))
        # Not DequantizeLinear, which onnxruntime computes anew at every call.
        nodes.append(make_node("Cast", [packed], [f"{name}:whole"], **cast))
        nodes.append(make_node("Mul", [f"{name}:whole", scale], [name]))
    nodes.extend(graph.node)
    del graph.node[:]
    graph.node.extend(nodes)


def _used(graph: Any) -> dict[str, None]:
    """Names that nodes of a graph take in, also of graphs within nodes, in their order."""
    found = {}
    for node in graph.node:
        found |= dict.fromkeys(node.input)
        for attribute in node.attribute:
            found |= _used(attribute.g)
    return found | dict.fromkeys(output.name for output in graph.output)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what jax2onnx tells of packages that it would use, and of its own graphs."""
    loggers = [logging.getLogger(name) for name in ("jax2onnx", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"ONNX needs {error.name or name}, which is not installed: pip install 'mclf-jax[onnx]'"
        ) from error
