"""The network within an objective: "model" in its parameters and in its state."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from mclf_jax.augment import Chains
from mclf_jax.models import Model

PyTree = Any


def init(model: Model, key: jax.Array) -> dict[str, PyTree]:
    """Fresh {"params": {"model": ...}, "state": {"model": ...}}."""
    variables = model.init(key)
    params = variables.pop("params")
    return {"params": {"model": params}, "state": {"model": variables}}


def variables_of(params: PyTree, state: PyTree) -> PyTree:
    """What the module takes."""
    return {"params": params["model"], **state["model"]}


def augmented_inputs(
    model: Model,
    chains: Chains,
    rows: Mapping[str, jax.Array],
    *,
    waveform_key: jax.Array,
    spectrogram_key: jax.Array,
) -> jax.Array:
    """What the network takes of augmented songs, [B, F, M] or [B, T].

    Args:
        model: computes features from "audio", where there are no "features".
        chains: `waveform` and `spectrogram` are applied.
        rows: "features" [B, F, M] or "audio" [B, T].
        waveform_key, spectrogram_key: of the two chains.
    """
    if chains.waveform is not None:
        with jax.named_scope("augmentation"):
            rows = {**rows, "audio": chains.waveform(waveform_key, rows["audio"])}
    x = model.inputs(rows)
    if chains.spectrogram is None:
        return x
    with jax.named_scope("augmentation"):
        return chains.spectrogram(spectrogram_key, x)


def apply(
    model: Model,
    params: PyTree,
    state: PyTree,
    x: jax.Array,
    *,
    mode: str,
    key: jax.Array | None = None,
) -> tuple[dict[str, jax.Array], PyTree]:
    """Outputs of the network, and its new state.

    Args:
        model: the network.
        params, state: of the objective.
        x: what it takes, [B, ...].
        mode: "train", or "evaluate", which leaves the state as it is.
        key: of dropout, in training.
    """
    if mode == "evaluate":
        return model.module.apply(variables_of(params, state), x, train=False), state["model"]
    return model.apply_train(params["model"], state["model"], x, key=key)


def token_size(model: Model) -> int:
    """D of the network's tokens, without computing anything."""

    def encode(key):
        x = jnp.zeros((1, *model.input_shape))
        return model.module.init_with_output({"params": key}, x, train=False)[0]["tokens"]

    return jax.eval_shape(encode, jax.random.key(0)).shape[-1]
