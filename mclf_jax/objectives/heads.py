"""What stands on an encoder while it learns without labels: projectors and predictors."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mclf_jax.losses.contrastive import unit
from mclf_jax.models.layers.blocks import batch_norm, dense, layer_norm

PyTree = Any
NORMS = ("none", "batch_norm", "layer_norm")

# Keras' default, with which COLA was published; PyTorch's is 1e-5.
_LAYER_NORM_EPSILON = 1e-3


class MLP(nn.Module):
    """Dense layers with ReLU between them; computes over the last axis.

    Submodules are numbered as in a `torch.nn.Sequential` of the same layers: those of CLMR's
    projector, Linear, ReLU, Linear, are "0" and "2".

    Attributes:
        widths: of the layers; the last one is the output.
        norm: "none", "batch_norm" or "layer_norm", before each ReLU.
        final_norm: the same, after the last layer.
        final_activation: "none" or "tanh".
        use_bias: of the dense layers.
    """

    widths: tuple[int, ...]
    norm: str = "none"
    final_norm: str = "none"
    final_activation: str = "none"
    use_bias: bool = True

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[..., D] -> [..., widths[-1]]."""
        number = 0
        for layer, width in enumerate(self.widths):
            last = layer == len(self.widths) - 1
            x = dense(x, width, use_bias=self.use_bias, name=str(number))
            norm = self.final_norm if last else self.norm
            number += 1
            if norm == "batch_norm":
                x = batch_norm(x, name=str(number), train=train)
            elif norm == "layer_norm":
                x = layer_norm(x, name=str(number), epsilon=_LAYER_NORM_EPSILON)
            number += norm != "none"
            if not last:
                x = nn.relu(x)
                number += 1
        return jnp.tanh(x) if self.final_activation == "tanh" else x


class Prototypes(nn.Module):
    """How near vectors are to prototypes, as DINO's head says it (Caron et al. 2021).

    Dense layers with GELU between them, then the cosine with each prototype. Their lengths are 1
    and stay so, as in DINO for large models; MATPAC learns them.

    Attributes:
        widths: of the dense layers.
        num_prototypes: P.
    """

    widths: tuple[int, ...]
    num_prototypes: int

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[..., D] -> [..., P], from -1 to 1; the same in training."""
        normal = nn.initializers.truncated_normal(0.02)
        for layer, width in enumerate(self.widths):
            x = nn.Dense(width, kernel_init=normal, name=str(layer))(x)
            x = x if layer == len(self.widths) - 1 else nn.gelu(x, approximate=False)
        shape = (x.shape[-1], self.num_prototypes)
        prototypes = self.param("prototypes", nn.initializers.normal(1.0), shape)
        return unit(x) @ unit(prototypes.T).T


def init(head: nn.Module, key: jax.Array, *, num_inputs: int) -> tuple[PyTree, PyTree]:
    """Fresh (params, state) of a head on vectors of `num_inputs` numbers."""
    variables = head.init(key, jnp.zeros((1, num_inputs)), train=False)
    # A head without layers has no parameters.
    return variables.get("params", {}), {k: v for k, v in variables.items() if k != "params"}


def apply(
    head: nn.Module, params: PyTree, state: PyTree, x: jax.Array, *, mode: str
) -> tuple[jax.Array, PyTree]:
    """(outputs, new state), in mode "train" or "evaluate", which leaves the state as it is."""
    variables = {"params": params, **state}
    if mode == "evaluate":
        return head.apply(variables, x, train=False), state
    return head.apply(variables, x, train=True, mutable=list(state))
