"""A network and an objective of one's own, in a file of one's own, trained by the library's loop.

    python own_parts.py SONGS --run runs/own
    mclf evaluate runs/own && mclf predict runs/own SONG.mp3     # as any other run

The network: convolutions whose channels are gated by what the whole window sounds like. The
objective: cross-entropy that also pulls the embedding of a song towards that of its label, a centre
that is learnt (Wen et al. 2016). docs/extending.md says what both must have.
"""

import argparse
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

import mclf_jax as mclf
from mclf_jax.audio.features import LogMel
from mclf_jax.losses import softmax_cross_entropy
from mclf_jax.objectives import Loss, Objective, Traits

# What the network takes, unless a config says otherwise.
FEATURES = LogMel(sample_rate_hz=22050, n_mels=64, hop_length=512)
# Of the objective: it learns labels, so the run can be evaluated, predicted with and exported.
TRAITS = Traits(needs_labels=True, predicts_labels=True)


class GatedCNN(nn.Module):
    num_labels: int
    width: int = 16
    num_blocks: int = 3

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        """[B, F, M] -> {"logits": [B, K], "embedding": [B, D]}"""
        x = x[..., None]
        for block in range(self.num_blocks):
            width = self.width * 2**block
            x = nn.Conv(width, (3, 3), strides=(2, 2))(x)
            x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
            gate = nn.sigmoid(nn.Dense(width)(x.mean(axis=(1, 2))))
            x = x * gate[:, None, None]
        embedding = x.mean(axis=(1, 2))
        return {"logits": nn.Dense(self.num_labels, name="head")(embedding), "embedding": embedding}


def with_centres(context: Any, *, weight: float = 0.01) -> Objective:
    """Cross-entropy and the squared distance to the centre of the label, `weight` times."""
    model = context.model

    def init(key):
        variables = model.init(key)
        outputs = jax.eval_shape(model.apply, variables, jnp.zeros((1, model.window_samples)))
        shape = (len(context.label_names), outputs["embedding"].shape[-1])
        params = {"model": variables.pop("params"), "centres": jnp.zeros(shape)}
        return {"params": params, "state": {"model": variables}}

    def loss(params, state, batch, key):
        outputs, new_state = model.apply_train(
            params["model"], state["model"], model.inputs(batch), key=key
        )
        entropy = softmax_cross_entropy(outputs["logits"], batch["label"])
        away = outputs["embedding"] - params["centres"][batch["label"]]
        distance = jnp.square(away).mean(axis=-1)
        metrics = {"cross_entropy": entropy, "distance": distance}
        return Loss(entropy + weight * distance, {"model": new_state}, metrics)

    return Objective(init, loss)


def train_own_parts(
    songs: str,
    *,
    run: str,
    window_s: float = 5.0,
    steps: int = 600,
    overrides: Mapping[str, Any] | None = None,
) -> mclf.Report:
    config = mclf.config("folder", path=songs, window_s=window_s, steps=steps, init="none")
    config.model.name = f"{__file__}:GatedCNN"
    config.model.args = {"width": 16}
    config.objective.name = f"{__file__}:with_centres"
    config.objective.args = {"weight": 0.01}
    mclf.train(mclf.override(config, overrides or {}), workdir=run)
    return mclf.evaluate(run, split="test")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("songs")
    parser.add_argument("--run", default="runs/own")
    parser.add_argument("--window-s", type=float, default=5.0, help="at most that of your clips")
    parser.add_argument("--steps", type=int, default=600)
    print(train_own_parts(**vars(parser.parse_args())).metrics)
