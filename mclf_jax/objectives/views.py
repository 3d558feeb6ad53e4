"""From a batch of V views of each song to what a loss compares, at once or in chunks."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mclf_jax.augment import Chains
from mclf_jax.models import Model
from mclf_jax.objectives import heads, network

PyTree = Any


def init(model: Model, head: nn.Module, key: jax.Array) -> dict[str, PyTree]:
    """Fresh {"params", "state"} of an encoder and a head on it, "model" and "projector" in each."""
    model_key, head_key = jax.random.split(key)
    initial = network.init(model, model_key)
    params, state = heads.init(head, head_key, num_inputs=embedding_size(model))
    initial["params"]["projector"], initial["state"]["projector"] = params, state
    return initial


def project(
    model: Model,
    head: nn.Module,
    params: PyTree,
    state: PyTree,
    x: jax.Array,
    *,
    mode: str,
    key: jax.Array,
    num_chunks: int = 1,
    visible: jax.Array | None = None,
) -> tuple[jax.Array, PyTree]:
    """What the head makes of the embeddings of `encode`, [B, V, P], and the new state.

    Arguments as of `encode`; `params` and `state` as of `init`. The head takes the whole batch,
    also where it is encoded in chunks.
    """
    embedding, model_state = encode(
        model,
        params["model"],
        state["model"],
        x,
        mode=mode,
        key=key,
        num_chunks=num_chunks,
        visible=visible,
    )
    z, head_state = heads.apply(head, params["projector"], state["projector"], embedding, mode=mode)
    return z, {"model": model_state, "projector": head_state}


def augmented(
    model: Model, chains: Chains, batch: dict[str, jax.Array], *, num_views: int, key: jax.Array
) -> jax.Array:
    """What the network takes, [B, V, F, M] or [B, V, T]; every view has draws of its own.

    Args:
        model: computes features from "audio", where the batch has no "features".
        chains: `waveform` and `spectrogram` are applied.
        batch: with "audio" [B, V, T] or "features" [B, V, F, M].
        num_views: V.
        key: of the augmentations.

    Raises:
        ValueError: the batch has another number of views.
    """
    name = "features" if "features" in batch else "audio"
    views = batch[name]
    example_ndim = len(model.input_shape) if name == "features" else 1
    if views.ndim != 2 + example_ndim or views.shape[1] != num_views:
        raise ValueError(
            f"{name} of the batch is {views.shape}; the objective needs {num_views} views of each "
            "song: [B, V, ...]"
        )
    waveform_key, spectrogram_key = jax.random.split(key)
    x = network.augmented_inputs(
        model,
        chains,
        {name: views.reshape(-1, *views.shape[2:])},
        waveform_key=waveform_key,
        spectrogram_key=spectrogram_key,
    )
    return x.reshape(*views.shape[:2], *x.shape[1:])


def encode(
    model: Model,
    params: PyTree,
    state: PyTree,
    x: jax.Array,
    *,
    mode: str,
    key: jax.Array,
    num_chunks: int = 1,
    visible: jax.Array | None = None,
) -> tuple[jax.Array, PyTree]:
    """Embeddings [B, V, D] of the network inputs [B, V, ...], and the new state of the network.

    One forward pass over all rows, so batch statistics are of all views together. With
    `num_chunks` above one the batch is encoded a part at a time, and the backward pass encodes
    each part again instead of keeping its activations (gradient caching, Gao et al. 2021): memory
    is that of a part, besides the inputs and the embeddings. Gradients are those of the whole
    batch, except through batch norm, whose statistics are then those of each chunk; the running
    ones pass from chunk to chunk.

    Args:
        model: the encoder.
        params, state: its variables.
        x: of `augmented`.
        mode: "train", or "evaluate", which leaves the state as it is.
        key: of dropout.
        num_chunks: parts of the batch. Part c takes songs c, c + num_chunks, ..., so that the
            rows of a batch that is split over devices stay where they are.
        visible: int [B, V, n], the patches that are encoded, of a network that takes them; see
            `objectives.patches`.

    Raises:
        ValueError: the batch does not divide into `num_chunks`.
    """
    inputs = {"x": x} if visible is None else {"x": x, "visible": visible}
    if mode == "evaluate":
        rows = _rows(inputs)
        variables = {"params": params, **state}
        embedding = model.module.apply(variables, rows.pop("x"), train=False, **rows)["embedding"]
        return embedding.reshape(*x.shape[:2], -1), state
    if num_chunks == 1:
        return _encode_rows(model, params, state, inputs, key)
    if x.shape[0] % num_chunks:
        raise ValueError(
            f"objective.args.num_chunks is {num_chunks}; it must divide train.batch_size, "
            f"which is {x.shape[0]}"
        )

    # A loop cannot be merged with its backward pass, which `prevent_cse` would have to prevent.
    @functools.partial(jax.checkpoint, prevent_cse=False)
    def encode_chunk(params, state, chunk, number):
        chunk_key = jax.random.fold_in(key, number)
        return _encode_rows(model, params, state, chunk, chunk_key)

    def next_chunk(state, numbered):
        embedding, state = encode_chunk(params, state, *numbered)
        return state, embedding

    chunks = jax.tree.map(lambda x: x.reshape(-1, num_chunks, *x.shape[1:]).swapaxes(0, 1), inputs)
    state, embedding = jax.lax.scan(next_chunk, state, (chunks, jnp.arange(num_chunks)))
    return embedding.swapaxes(0, 1).reshape(*x.shape[:2], -1), state


def _encode_rows(model, params, state, inputs, key):
    rows = _rows(inputs)
    outputs, state = model.apply_train(params, state, rows.pop("x"), key=key, **rows)
    return outputs["embedding"].reshape(*inputs["x"].shape[:2], -1), state


def _rows(inputs: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """Songs and views as one axis."""
    return {name: x.reshape(-1, *x.shape[2:]) for name, x in inputs.items()}


def embedding_size(model: Model) -> int:
    """D of a network's embedding, without computing anything."""

    def embed(key):
        x = jnp.zeros((1, *model.input_shape))
        return model.module.init_with_output({"params": key}, x, train=False)[0]["embedding"]

    return jax.eval_shape(embed, jax.random.key(0)).shape[-1]
