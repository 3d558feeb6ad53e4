"""Short-chunk CNN (Won et al., SMC 2020): seven 3x3 blocks on 3.69 s, global max over time.

Input 59,049 samples at 16 kHz -> 231 frames of 128 mels. Any longer input works too,
because time is pooled away. 3,687,348 parameters for 50 tags.
"""

import flax.linen as nn
import jax.numpy as jnp

from mclf_jax.audio.features import LogMel
from mclf_jax.common import checks
from mclf_jax.models.backs.pooling import Pooling
from mclf_jax.models.fronts.log_mel import LogMelConv
from mclf_jax.models.layers.blocks import (
    Network,
    batch_norm,
    dropout,
    flatten_frequency,
    outputs,
)
from mclf_jax.models.layers.opinion import EMBEDDING, READS, SecondOpinion, window_statistics
from mclf_jax.models.layers.parts import joined

FEATURES = LogMel(sample_rate_hz=16000, n_fft=512, hop_length=256, n_mels=128)
WINDOW_SAMPLES = 59_049
_EPSILON = 1e-5


class ShortChunkCNN(Network):
    """A VGG-like stack with 2x2 poolings, then the maximum over time and two dense layers.

    Attributes:
        n_channels: channels of the first block; the seven have 1, 1, 2, 2, 2, 2 and 4 times
            as many, and the dense layer 4 times as many.
        num_blocks: 1 to 7. Seven need 128 mels and 128 frames; frequencies that fewer blocks
            leave are kept apart as channels of the dense layer.
        pooling: over time, "max" as published or "mean_max", both side by side. Or "blocks": in
            place of the first dense layer, mean and deviation over time and frequency of what
            every block makes, side by side and normalised, so that the last layer reads all
            depths (the means: Choi et al. 2017, https://arxiv.org/abs/1703.09179).
        dropout_rate: before the last layer.
        second_opinion: 0 as published; else so many windows of training that support vectors may
            compare with, whose logits are averaged with the network's outside of training. See
            `layers.opinion`; embeddings are of the network alone.
        opinion_on: what these read, "mfcc" statistics of the window or the network's own
            "embedding", of which nothing may train then.
    """

    n_channels: int = 128
    num_blocks: int = 7
    pooling: str = "max"
    dropout_rate: float = 0.5
    second_opinion: int = 0
    opinion_on: str = "mfcc"

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, F, M] -> {"logits": [B, K], "embedding": [B, 4 * n_channels]}; of "blocks" it is
        twice the channels of all of them, 20 * n_channels of six."""
        heard = x
        multipliers = (1, 1, 2, 2, 2, 2, 4)
        checks.within("model.args.num_blocks", self.num_blocks, 1, len(multipliers))
        checks.choice("model.args.pooling", self.pooling, ("max", "mean_max", "blocks"))
        checks.choice("model.args.opinion_on", self.opinion_on, READS)
        multipliers = multipliers[: self.num_blocks]
        front = LogMelConv(
            self.n_channels, multipliers, pools=((2, 2),) * self.num_blocks, **self.ways
        )
        blocks = joined(self, front).blocks(x, train=train)
        if self.pooling == "blocks":
            x = batch_norm(_statistics(blocks), name="blocks_bn", train=train)
        else:
            pool = joined(self, Pooling(self.pooling, 4 * self.n_channels))
            x = pool(flatten_frequency(blocks[-1]), train=train)
        made = outputs(dropout(x, self.dropout_rate, train=train), self.num_labels, name="dense2")
        if self.second_opinion and not train:
            read = made["embedding"] if self.opinion_on == EMBEDDING else window_statistics(heard)
            opinion = SecondOpinion(self.second_opinion, name="second_opinion")
            made["logits"] = opinion(read, made["logits"])
        return made


def _statistics(blocks: list):
    """Means, then deviations, of each [B, F, M, C] over time and frequency -> [B, D] of all."""
    found = []
    for x in blocks:
        x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        # Where nothing varies, the root alone would have no gradient.
        found += [x.mean((1, 2)), jnp.sqrt(x.var((1, 2)) + _EPSILON)]
    return jnp.concatenate(found, axis=-1)
