"""Weights that make NaN of everything give an error that names the song, never a score."""

import jax
import numpy as np
import pytest

from mclf_jax.api import Tagger
from mclf_jax.audio.decode import AudioError
from tests.small_run import small_model

NOISE = np.random.default_rng(0).standard_normal(2000).astype(np.float32) / 10


@pytest.mark.parametrize("use", ["predict", "embed", "taggram"])
def test_no_scores_and_no_embedding(use):
    model = small_model()
    broken = jax.tree.map(lambda x: x * np.nan, model.init(jax.random.key(0)))
    tagger = Tagger(model, broken, labels=("a", "b"), task="single_label")
    with pytest.raises(AudioError, match="the array: .* is not finite"):
        getattr(tagger, use)(NOISE, sample_rate_hz=1000)
