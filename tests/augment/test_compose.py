"""Chains: order, chance by example, views, what they print, and numpy beside jax."""

import dataclasses
import functools
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mclf_jax import augment
from mclf_jax.augment import base, compose, compose_many, one_of, random_apply

KEY = jax.random.key(0)
X = np.random.default_rng(0).standard_normal((400, 16)).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Times:
    factor: float

    def __call__(self, key, x):
        return x * self.factor


@dataclasses.dataclass(frozen=True)
class Plus:
    """A number drawn by each example from [low, high) is added."""

    low: float
    high: float

    def __call__(self, key, x):
        return x + base.uniform(key, x.shape[:-1], self.low, self.high)[..., None]


def keys(seed):
    return {"jax": jax.random.key(seed), "numpy": np.random.default_rng(seed)}


def apply(chain, module, x=X, seed=0):
    return np.asarray((compiled(chain) if module == "jax" else chain)(keys(seed)[module], x))


compiled = functools.cache(jax.jit)


both = pytest.mark.parametrize("module", ["jax", "numpy"])


@both
def test_compose_applies_in_order_with_a_key_for_each(module):
    np.testing.assert_allclose(apply(compose([Times(2.0), Plus(1, 1)]), module), 2 * X + 1)
    np.testing.assert_allclose(apply(compose([Plus(1, 1), Times(2.0)]), module), 2 * (X + 1))
    np.testing.assert_array_equal(apply(compose([]), module), X)
    twice = apply(compose([Plus(0, 1), Plus(0, 1)]), module) - X
    once = apply(compose([Plus(0, 1)]), module) - X
    assert np.abs(twice - 2 * once).max() > 0.1
    assert len(np.unique(once[:, 0].round(4))) > 390


@pytest.mark.slow_beyond(1)
@both
def test_noise_before_reverb_is_not_reverb_before_noise(module):
    """Noise that comes first is reverberated with the sound, noise that comes last is dry."""
    echo = np.zeros(101, np.float32)
    echo[[0, 100]] = 1.0, 0.8
    room, noise = augment.ImpulseResponse([echo]), augment.Noise(10.0, 10.0)
    x = np.random.default_rng(0).standard_normal((4, 8000)).astype(np.float32)
    wet_sound = apply(room, module, x)

    def echo_of_the_noise(chain):
        heard = apply(compose(chain), module, x) - wet_sound
        return (heard[:, 100:] * heard[:, :-100]).mean() / (heard**2).mean()

    assert echo_of_the_noise([noise, room]) == pytest.approx(0.8 / (1 + 0.8**2), abs=0.05)
    assert echo_of_the_noise([room, noise]) == pytest.approx(0, abs=0.05)


def test_what_is_added_behind_changes_nothing_before():
    first = apply(compose([Plus(0, 1)]), "jax")
    both = apply(compose([Plus(0, 1), Times(3.0)]), "jax")
    np.testing.assert_allclose(both, 3 * first, rtol=1e-6)


@both
def test_random_apply_decides_for_each_example_and_once_for_the_list(module):
    y = apply(random_apply([Times(2.0), Plus(100, 100)], p=0.3), module)
    changed = (y != X).all(axis=1)
    np.testing.assert_array_equal(y[~changed], X[~changed])
    np.testing.assert_allclose(y[changed], 2 * X[changed] + 100, rtol=1e-6)
    assert 0.2 < changed.mean() < 0.4
    np.testing.assert_array_equal(apply(random_apply(Times(2.0), p=0.0), module), X)
    np.testing.assert_array_equal(apply(random_apply(Times(2.0), p=1.0), module), 2 * X)


@pytest.mark.slow
@both
def test_each_spectrogram_decides_as_a_whole(module):
    x = np.zeros((200, 5, 4), np.float32)
    change = random_apply(augment.SpectrogramGain(6.0), p=0.5)
    assert change.example_ndim == compose([change]).example_ndim == 2
    y = apply(change, module, x)
    assert 0.3 < (y[:, 0, 0] != 0).mean() < 0.7
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1, :1], y.shape))
    choice = apply(one_of([augment.SpectrogramGain(6.0), augment.SpectrogramGain(0.0)]), module, x)
    np.testing.assert_array_equal(choice, np.broadcast_to(choice[:, :1, :1], y.shape))


@both
def test_one_of_draws_by_weight(module):
    chain = one_of([Times(2.0), Times(3.0), Times(4.0)], weights=(1, 3, 0))
    factors = (apply(chain, module) / X).round(3)
    np.testing.assert_array_equal(factors, np.broadcast_to(factors[:, :1], X.shape))
    values, counts = np.unique(factors[:, 0], return_counts=True)
    assert values.tolist() == [2.0, 3.0]
    assert 0.18 < counts[0] / len(X) < 0.32
    evenly = apply(one_of([Times(2.0), Times(3.0)]), module) / X
    assert 0.4 < (evenly[:, 0] < 2.5).mean() < 0.6


@pytest.mark.slow
@both
def test_views_are_independent(module):
    chain = [random_apply(Plus(0, 1), p=0.8), Times(2.0)]
    views = apply(compose_many(chain, num_views=3), module)
    assert views.shape == (3, *X.shape)
    assert not np.allclose(views[0], views[1]) and not np.allclose(views[1], views[2])
    assert apply(compose_many([], num_views=2), module, X[0]).shape == (2, 16)


@both
def test_one_example_without_a_batch(module):
    chain = compose([random_apply(Plus(1, 2), p=0.5), one_of([Times(2.0), Times(3.0)])])
    seen = {tuple(apply(chain, module, np.ones(3, np.float32), seed)) for seed in range(20)}
    assert {values[0] for values in seen} >= {2.0, 3.0} and len(seen) > 5


def test_jit_vmap_and_grad():
    chain = compose([random_apply(Plus(0, 1), p=0.5), one_of([Times(2.0), Times(3.0)])])
    np.testing.assert_allclose(jax.jit(chain)(KEY, X), chain(KEY, jnp.asarray(X)), rtol=1e-6)
    many = jax.random.split(KEY, 4)
    mapped = jax.jit(jax.vmap(chain, in_axes=(0, None)))(many, X)
    np.testing.assert_allclose(mapped[2], jax.jit(chain)(many[2], X), rtol=1e-6)
    slope = jax.jit(jax.grad(lambda x: chain(KEY, x).sum()))(X)
    assert set(np.unique(slope)) == {2.0, 3.0}


CHAIN = compose(
    [
        random_apply(augment.SpectrogramGain(6.0), p=0.8),
        random_apply([augment.TimeMask(2, 0.1), augment.FreqMask(2, 8)], p=0.5),
        one_of([augment.FrameShift(0.5), augment.Equalizer(3.0)], weights=(1.0, 2.0)),
    ]
)


def test_repr_is_readable_and_makes_the_same_chain():
    assert repr(CHAIN) == (
        "compose([\n"
        "    random_apply(SpectrogramGain(max_db=6.0), p=0.8),\n"
        "    random_apply(\n"
        "        [TimeMask(num_masks=2, max_fraction=0.1), FreqMask(num_masks=2, max_bands=8)],\n"
        "        p=0.5,\n"
        "    ),\n"
        "    one_of(\n"
        "        [FrameShift(max_fraction=0.5), Equalizer(std_db=3.0, num_points=5)],\n"
        "        weights=(1.0, 2.0),\n"
        "    ),\n"
        "])"
    )
    short = compose_many([augment.SpectrogramGain(6.0)], num_views=2)
    levels = augment.Gain(np.float64(-3), np.float64(3)), np.float64(0.5)
    loud = one_of([random_apply(levels[0], p=levels[1])], weights=np.ones(1))
    assert "numpy" not in repr(loud) and "np." not in repr(loud)
    assert "Gain(min_db=-3.0, max_db=3.0), p=0.5)" in repr(loud)
    assert repr(short) == "compose_many([SpectrogramGain(max_db=6.0)], num_views=2)"
    for chain in (CHAIN, short, compose([])):
        assert eval(repr(chain), vars(augment)) == chain
        assert hash(chain) == hash(eval(repr(chain), vars(augment)))


def halves(key, x):
    return x[..., : x.shape[-1] // 2]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: random_apply(Times(2.0), p=1.5), r"p is 1.5; it must be in \[0, 1\]"),
        (lambda: compose([Times(2.0), 3]), "augmentations has 3; each must be"),
        (lambda: compose_many([], num_views=0), "num_views is 0"),
        (lambda: one_of([]), "one_of needs some to choose from"),
        (lambda: one_of([Times(2.0)], weights=(1, 2)), "2 numbers for 1 augmentations"),
        (lambda: one_of([Times(2.0)], weights=(0.0,)), "not all 0"),
        (
            lambda: compose([Times(2.0), augment.TimeMask()]),
            r"Times \(waveforms\), TimeMask \(spectrograms\)",
        ),
        (lambda: random_apply(halves, p=0.5)(KEY, X), r"halves makes \[400, 8\] of \[400, 16\]"),
        (
            lambda: random_apply(halves, p=0.5)(np.random.default_rng(0), X),
            r"halves makes \[8\] of \[16\]",
        ),
        (lambda: compose([])(0, X), "key is 0; it must be a jax key"),
        (lambda: compose([])(np.random.default_rng(0), jnp.ones(3)), "give a numpy array"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.slow
def test_numpy_needs_no_jax():
    code = """
import sys
import numpy as np
from mclf_jax import augment
x = np.ones((4, 30, 20), np.float32)
chain = augment.compose([
    augment.random_apply([augment.TimeMask(), augment.FreqMask()], p=0.5),
    augment.one_of([augment.SpectrogramGain(6.0), augment.Equalizer(3.0)]),
    augment.FrameShift(),
])
augment.compose_many([chain], num_views=2)(np.random.default_rng(0), x)
augment.Mixup(0.2)(np.random.default_rng(0), {"x": x, "label": np.eye(4, dtype="f4")})
for preset in augment.PRESETS.values():
    preset(16000)(np.random.default_rng(0), np.ones((8, 4000), np.float32))
assert "jax" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@settings(max_examples=25)
@given(
    batch=st.lists(st.integers(0, 3), max_size=3),
    length=st.integers(1, 9),
    p=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
    dtype=st.sampled_from(["float32", "float16", "float64"]),
)
def test_any_shape(batch, length, p, seed, dtype):
    """Shape and dtype stay, nothing is written into x, every example is one of the choices."""
    x = np.random.default_rng(seed).uniform(1, 2, (*batch, length)).astype(dtype)
    chain = compose([random_apply(Times(2.0), p=p), one_of([Times(3.0), Times(5.0)])])
    before = x.copy()
    y = chain(np.random.default_rng(seed), x)
    np.testing.assert_array_equal(x, before)
    assert y.shape == x.shape and y.dtype == x.dtype
    factors = (y.astype(float) / x).round(1)
    assert np.isin(factors, (3, 5, 6, 10)).all()
    np.testing.assert_array_equal(factors, np.broadcast_to(factors[..., :1], y.shape))
