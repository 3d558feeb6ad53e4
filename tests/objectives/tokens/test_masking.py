"""Blocks of tokens that are hidden, and the noise in their place."""

import jax
import jax.numpy as jnp
import numpy as np

from mclf_jax.objectives.tokens.masking import draw_blocks, fill_with_noise

KEY = jax.random.key(0)


def test_blocks_are_hidden_as_a_whole_and_as_often_as_said():
    masked = np.asarray(draw_blocks(KEY, 2000, num_tokens=10, block=4, probability=0.6))
    assert masked.shape == (2000, 10)
    for first in (0, 4, 8):
        block = masked[:, first : first + 4]
        assert (block == block[:, :1]).all()
        assert abs(block[:, 0].mean() - 0.6) < 0.04
    assert len(np.unique(masked[:, ::4], axis=0)) == 8  # each block by itself


def test_noise_stands_where_tokens_are_hidden_and_nowhere_else():
    audio = np.ones((2, 50), np.float32)
    masked = jnp.array([[True, False, True], [False, False, False]])
    heard = np.asarray(fill_with_noise(KEY, audio, masked, hop=15, std=0.1))
    np.testing.assert_array_equal(heard[1], 1)
    np.testing.assert_array_equal(heard[0, 15:30], 1)
    np.testing.assert_array_equal(heard[0, 45:], 1)  # beyond the last token
    noise = np.concatenate([heard[0, :15], heard[0, 30:45]])
    assert np.abs(noise).max() < 0.5 and 0.05 < noise.std() < 0.2
