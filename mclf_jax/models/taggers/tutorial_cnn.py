"""The tutorial's five-layer CNN (ISMIR 2021, chapter 9): 29 s of log-mel in, small and quick.

Input 639,450 samples at 22,050 Hz -> 1249 frames of 128 mels; the five poolings reduce
them to 1x1. 40,124 parameters for ten classes.
"""

import flax.linen as nn

from mclf_jax.audio.features import LogMel
from mclf_jax.models.layers.blocks import (
    ConvBlock,
    Network,
    batch_norm,
    compute_in,
    dense,
    dropout,
    flatten,
    outputs,
)

FEATURES = LogMel(sample_rate_hz=22050, n_fft=1024, hop_length=512, n_mels=128)
WINDOW_SAMPLES = 29 * 22050


class TutorialCNN(Network):
    """Five blocks of convolution, batch norm, ReLU, max-pooling and dropout, then two layers.

    Attributes:
        n_channels: channels of the first block; the five have 1, 1, 2, 2 and 4 times as many.
        pools: (time, frequency) of each block's max-pooling, one block per entry. What they
            leave is flattened, so the length of the input is fixed once it is trained.
        block_dropout_rate, dropout_rate: after each block, and before the last layer.
    """

    n_channels: int = 16
    pools: tuple[tuple[int, int], ...] = ((3, 2), (4, 3), (5, 2), (3, 3), (4, 3))
    block_dropout_rate: float = 0.1
    dropout_rate: float = 0.5

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, F, M] -> {"logits": [B, K], "embedding": [B, 4 * n_channels]}."""
        x = batch_norm(x[..., None], name="input_bn", train=train)
        x = compute_in(x, self.dtype)
        run = self.runner(train=train)
        for i, pool in enumerate(self.pools):
            features = self.n_channels * (1, 1, 2, 2, 4)[min(i, 4)]
            x = run(ConvBlock(features, tuple(pool), name=f"layer{i + 1}"), x)
            x = dropout(x, self.block_dropout_rate, train=train)
        x = dense(flatten(x), 4 * self.n_channels, name="dense1")
        x = nn.relu(batch_norm(x, name="dense_bn", train=train))
        return outputs(dropout(x, self.dropout_rate, train=train), self.num_labels, name="dense2")
