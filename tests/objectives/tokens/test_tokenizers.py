"""Codes against a reimplementation in numpy, and what the representations are made of."""

import dataclasses

import jax
import numpy as np
import pytest

from mclf_jax.objectives.tokens import tokenizers
from mclf_jax.objectives.tokens.representations import Timing, stacked, timing_of
from tests.objectives.material import NUM_SAMPLES, small_model, songs

KEY = jax.random.key(0)
# 9 frames of 16 bands with a hop of 64; two frames a token.
MODEL = small_model("vit", patch=(2, 16))
TIMING = Timing(4, 128)


def audio(batch_size=3, *, seed=0):
    return songs(batch_size, seed=seed, num_views=1)["audio"][:, 0]


def test_tokens_are_as_long_as_the_frames_of_a_patch():
    assert timing_of(MODEL, output="tokens", needed_by="this test") == TIMING
    with pytest.raises(ValueError, match=r"\(2, 4\), 4 patches at each moment; .* such as \(4, 16"):
        timing_of(small_model("vit"), output="tokens", needed_by="this test")
    message = "'short_chunk_cnn', which returns no 'tokens' along time; for this test take musicfm"
    with pytest.raises(ValueError, match=message):
        timing_of(small_model(), output="tokens", needed_by="this test")


def test_a_token_has_the_frames_that_lie_within_it():
    x = stacked("input", MODEL, TIMING)(audio())
    frames = np.asarray(MODEL.features(audio()))
    assert x.shape == (3, 4, 32) == (3, 4, stacked("input", MODEL, TIMING).size(NUM_SAMPLES))
    np.testing.assert_array_equal(x[1, 2], frames[1, 4:6].reshape(-1))


@pytest.mark.parametrize(("name", "bands"), [("log_mel", 96), ("cqt", 118)])
def test_other_representations_are_on_the_clock_of_the_tokens(name, bands):
    """A hop of 128 does not divide by three; 2 kHz has room for 118 quarter tones above C1."""
    found = stacked(name, MODEL, TIMING)
    assert (found.frames, _hop(found)) == (4, 32)
    assert found.features.shape(NUM_SAMPLES)[1] == bands
    assert jax.eval_shape(found, audio()).shape == (3, 4, 4 * bands)
    three = stacked(name, dataclasses.replace(MODEL), Timing(5, 96))
    assert (three.frames, _hop(three)) == (3, 32)


def _hop(found):
    return getattr(found.features, "hop_length", None)


def normalised(values, mean, std):
    return (np.asarray(values, np.float64) - mean) / std


def made(kind, **settings):
    parts = {"input": stacked("input", MODEL, TIMING)}
    shared = {"num_samples": NUM_SAMPLES, "decay": 0.999}
    return getattr(tokenizers, kind)(parts, **shared | settings)


def test_random_projections_name_the_nearest_code():
    coder = made("random_projection", num_codebooks=2, num_codes=11, code_dim=5)
    assert coder.streams == ("input_1", "input_2") and coder.num_codes == 11
    state = coder.init(KEY)
    codes, new = coder.tokenize(state, audio(), "train")
    assert codes.shape == (3, 4, 2) and codes.dtype == np.int32
    x = np.asarray(stacked("input", MODEL, TIMING)(audio()), np.float64)
    x = normalised(x, x.mean(), x.std())  # of one batch, the running moments are its own
    for book in range(2):
        quantizer = jax.tree.map(np.asarray, state["input"]["quantizer"])
        low = x @ quantizer["projection"][book]
        low /= np.linalg.norm(low, axis=-1, keepdims=True)
        table = quantizer["codes"][book]
        table = table / np.linalg.norm(table, axis=-1, keepdims=True)
        distances = ((low[:, :, None] - table) ** 2).sum(-1)
        np.testing.assert_array_equal(codes[..., book], distances.argmin(-1))
    assert len(np.unique(codes)) > 3
    assert new["input"]["moments"]["count"] == 1
    # Projections are Xavier normal: of 32 and 5, a deviation of sqrt(2 / 37).
    many = made("random_projection", num_codebooks=40, num_codes=2, code_dim=5).init(KEY)
    std = np.asarray(many["input"]["quantizer"]["projection"]).std()
    assert std == pytest.approx((2 / 37) ** 0.5, rel=0.02)


def test_rounded_projections_count_in_their_levels():
    levels = (4, 3, 2)
    coder = made("finite_scalar", num_codebooks=1, levels=levels)
    assert coder.streams == ("input",) and coder.num_codes == 24
    state = coder.init(KEY)
    codes, _ = coder.tokenize(state, audio(), "train")
    x = np.asarray(stacked("input", MODEL, TIMING)(audio()), np.float64)
    low = normalised(x, x.mean(), x.std()) @ np.asarray(
        state["input"]["quantizer"]["projection"][0]
    )
    at = [np.floor((n - 1) * (np.tanh(low[..., i]) + 1) / 2 + 0.5) for i, n in enumerate(levels)]
    assert all(set(np.unique(level)) <= set(range(n)) for level, n in zip(at, levels, strict=True))
    np.testing.assert_array_equal(codes[..., 0], at[0] + 4 * at[1] + 12 * at[2])


def test_every_level_has_its_share():
    """Levels are the same on both sides of zero, and all of them are reached."""
    x = np.arctanh(np.linspace(-0.999, 0.999, 2000))[:, None]
    for levels in ((6,), (5,)):
        codes = np.asarray(tokenizers.round_to_levels(x.astype("f4"), levels))
        assert sorted(set(codes)) == list(range(levels[0]))
        np.testing.assert_array_equal(codes, levels[0] - 1 - codes[::-1])


def test_in_evaluation_nothing_follows():
    coder = made("finite_scalar", num_codebooks=1, levels=(3, 3))
    _, state = coder.tokenize(coder.init(KEY), audio(), "train")
    codes, after = coder.tokenize(state, audio(seed=1), "evaluate")
    jax.tree.map(np.testing.assert_array_equal, state, after)
    one, _ = coder.tokenize(state, audio(seed=1)[:1], "evaluate")
    np.testing.assert_array_equal(one, codes[:1])
