"""Mixup and cutmix: who is mixed with whom, how much, and that labels follow."""

import functools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mclf_jax import augment

B, F, M = 64, 50, 3
# Example i is i everywhere and its label is row i: what is mixed tells its parts.
X = np.broadcast_to(np.arange(B, dtype=np.float32)[:, None, None], (B, F, M)).copy()
LABEL = np.eye(B, dtype=np.float32)


def batch(valid=None, x=X):
    valid = np.ones(len(x), np.float32) if valid is None else valid
    return {"x": x, "label": LABEL, "valid": valid, "index": np.arange(len(x), dtype=np.int32)}


compiled = functools.cache(jax.jit)


def mix(augmentation, module, given):
    key = jax.random.key(0) if module == "jax" else np.random.default_rng(0)
    function = compiled(augmentation) if module == "jax" else augmentation
    return jax.tree.map(np.asarray, function(key, given))


def parts(label, i):
    """Partner and share of example i in its own mixture."""
    share = label[i, i]
    others = np.flatnonzero(label[i] * (np.arange(B) != i))
    return (int(others[0]) if len(others) else i), share


both = pytest.mark.parametrize("module", ["jax", "numpy"])
CASES = {
    "mixup": augment.Mixup(1.0),
    "cutmix": augment.Cutmix(1.0),
    "both": augment.MixupOrCutmix(augment.Mixup(1.0), augment.Cutmix(1.0)),
}


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("name", CASES)
@both
def test_labels_are_distributions_and_partners_a_permutation(module, name):
    mixed = mix(CASES[name], module, batch())
    assert {k: (v.shape, v.dtype) for k, v in mixed.items()} == {
        k: (v.shape, v.dtype) for k, v in batch().items()
    }
    np.testing.assert_allclose(mixed["label"].sum(axis=1), 1, atol=1e-6)
    assert (mixed["label"] >= 0).all()
    np.testing.assert_array_equal(mixed["index"], np.arange(B))
    if name != "both":
        partners = [parts(mixed["label"], i)[0] for i in range(B)]
        # A share that rounds to all or nothing names no partner.
        named = [p for i, p in enumerate(partners) if p != i]
        assert len(named) > B - 8 and len(set(named)) == len(named)
    shares = np.diag(mixed["label"])
    assert 0.3 < shares.mean() < 0.7 and shares.std() > 0.2
    # What the label says is in the input.
    inside = (mixed["label"] * np.arange(B)).sum(axis=1)
    np.testing.assert_allclose(mixed["x"].mean(axis=(1, 2)), inside, atol=1e-3)


@both
def test_mixup_is_a_weighted_sum(module):
    mixed = mix(CASES["mixup"], module, batch())
    for i in range(B):
        partner, share = parts(mixed["label"], i)
        np.testing.assert_allclose(mixed["x"][i], share * i + (1 - share) * partner, atol=1e-4)


@both
def test_cutmix_replaces_one_stretch_of_time(module):
    mixed = mix(CASES["cutmix"], module, batch())
    starts = []
    for i in range(B):
        partner, share = parts(mixed["label"], i)
        line = mixed["x"][i, :, 0]
        np.testing.assert_array_equal(mixed["x"][i], np.repeat(line[:, None], M, axis=1))
        foreign = np.flatnonzero(line != i)
        assert len(foreign) == round((1 - share) * F)
        if len(foreign):
            assert (line[foreign] == partner).all()
            assert foreign[-1] - foreign[0] + 1 == len(foreign)
            starts.append(foreign[0])
    assert len(set(starts)) > 15


@pytest.mark.slow
@both
def test_waveforms_have_time_there_too(module):
    mixed = mix(CASES["cutmix"], module, batch(x=X[..., 0].copy()))
    assert mixed["x"].shape == (B, F)
    np.testing.assert_allclose(
        mixed["x"].mean(axis=1), (mixed["label"] * np.arange(B)).sum(axis=1), atol=1e-3
    )


@pytest.mark.parametrize("name", CASES)
@both
def test_padding_is_mixed_into_nothing(module, name):
    valid = (np.arange(B) < 40).astype(np.float32)
    mixed = mix(CASES[name], module, batch(valid))
    assert mixed["label"][:40, 40:].max() == 0
    assert mixed["x"][:40].max() <= 39
    assert (np.diag(mixed["label"])[:40] == 1).sum() > 5


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("name", CASES)
@both
def test_a_label_is_unknown_where_it_is_in_one_of_the_two(module, name):
    rng = np.random.default_rng(1)
    tags = rng.integers(0, 2, (B, 6)).astype(np.float32)
    tags[rng.random(tags.shape) < 0.3] = np.nan
    valid = (np.arange(B) < 40).astype(np.float32)
    tags[40:] = np.nan  # padding, which is mixed into nothing
    weight = mix(CASES[name], module, batch(valid))["label"]  # who is in which mixture
    mixed = mix(CASES[name], module, batch(valid) | {"label": tags})["label"]
    for i in range(40):
        inside = np.flatnonzero(weight[i])
        assert 1 <= len(inside) <= 2 and inside.max() < 40
        # A sum with NaN is NaN.
        expected = (weight[i, inside, None] * tags[inside]).sum(axis=0)
        np.testing.assert_allclose(mixed[i], expected, atol=1e-6)
    alone = [i for i in range(40) if weight[i, i] == 1]
    assert len(alone) > 5 and not np.isnan(mixed[alone]).all()
    np.testing.assert_array_equal(mixed[alone], tags[alone])


@pytest.mark.slow
def test_small_alpha_keeps_most_of_one():
    share = np.diag(mix(augment.Mixup(0.1), "jax", batch())["label"])
    assert (np.abs(share - 0.5) > 0.4).mean() > 0.6


def test_both_draws_one_for_each_example():
    mixed = mix(CASES["both"], "jax", batch())
    whole = [(len(np.unique(row)) == 1) for row in mixed["x"][:, :, 0]]
    assert 0.3 < np.mean(whole) < 0.75


def test_errors():
    with pytest.raises(ValueError, match="Mixup.alpha is 0; it must be positive"):
        augment.Mixup(0)
    with pytest.raises(ValueError, match="Cutmix.alpha is -1"):
        augment.Cutmix(-1)
    whole = batch() | {"label": np.arange(B)}
    with pytest.raises(ValueError, match=r"int64 \[64\]; .* one-hot rows"):
        augment.Mixup(1.0)(np.random.default_rng(0), whole)


@pytest.mark.slow
@settings(max_examples=25)
@given(
    count=st.integers(1, 5),
    length=st.integers(1, 7),
    alpha=st.floats(0.05, 5),
    seed=st.integers(0, 1000),
    name=st.sampled_from(["mixup", "cutmix"]),
)
def test_any_batch(count, length, alpha, seed, name):
    """Tags of any shape of batch stay within those of the two."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, length)).astype(np.float32)
    label = rng.integers(0, 2, (count, 4)).astype(np.float32)
    make = augment.Mixup if name == "mixup" else augment.Cutmix
    mixed = make(alpha)(rng, {"x": x, "label": label})
    assert mixed["x"].shape == x.shape and np.isfinite(mixed["x"]).all()
    assert mixed["x"].max() <= x.max() + 1e-5 and mixed["x"].min() >= x.min() - 1e-5
    assert ((mixed["label"] >= label.min(axis=0)) & (mixed["label"] <= label.max(axis=0))).all()
