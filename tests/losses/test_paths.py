"""Labels as paths in a tree: probabilities that agree with it, and the loss that is theirs."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mclf_jax import losses, metrics
from mclf_jax.losses.paths import levels, tree_of

path_scores = jax.jit(losses.path_scores, static_argnums=1)
cross_entropy = jax.jit(losses.conditional_cross_entropy, static_argnums=2)
LABELS = ("rock", "punk", "jazz", "post-punk", "bebop")
PARENTS = {"punk": "rock", "post-punk": "alternative", "alternative": "punk", "bebop": "jazz"}
TREE = (-1, 0, -1, 1, 2)
CLOSED = [
    y
    for y in itertools.product((0.0, 1.0), repeat=5)
    if all(p < 0 or y[p] >= y[k] for k, p in enumerate(TREE))
]


def test_the_tree_steps_over_labels_that_are_not_there():
    assert tree_of(LABELS, PARENTS) == TREE
    assert levels(TREE) == ((0, 2), (1, 4), (3,))
    with pytest.raises(ValueError, match="circle: a -> b -> a"):
        tree_of(("a",), {"a": "b", "b": "a"})
    with pytest.raises(ValueError, match="circle: columns"):
        tree_of(("a", "b"), {"a": "b", "b": "a"})


def test_a_score_is_never_above_that_of_its_parent_to_the_last_bit():
    logits = np.random.default_rng(0).standard_normal((4000, 5)) * 30
    for dtype in (jnp.float32, jnp.bfloat16):
        scores = np.asarray(path_scores(logits.astype(dtype), TREE), np.float64)
        assert (scores >= 0).all() and (scores <= 1).all()
        for k, parent in enumerate(TREE):
            assert parent < 0 or (scores[:, k] <= scores[:, parent]).all()
    # Nor is it in means over windows.
    means = scores.reshape(40, 100, 5).mean(axis=1)
    assert (means[:, 3] <= means[:, 1]).all() and (means[:, 1] <= means[:, 0]).all()


def test_the_loss_is_the_likelihood_of_the_whole_path():
    """The probabilities of all sets of labels that the tree allows are 1 together."""
    logits = np.random.default_rng(1).standard_normal((1, 5)).astype("f4")
    labels = np.array(CLOSED, np.float32)
    loss = np.asarray(cross_entropy(logits.repeat(len(labels), axis=0), labels, TREE))
    assert np.exp(-5 * loss).sum() == pytest.approx(1, abs=1e-5)
    scores = path_scores(logits, TREE)[0]
    expected = (np.exp(-5 * loss)[:, None] * labels).sum(axis=0)
    np.testing.assert_allclose(scores, expected, rtol=1e-5)
    flat = cross_entropy(logits, labels[5:6], (-1,) * 5)
    expected = jax.jit(losses.sigmoid_cross_entropy)(logits, labels[5:6])
    np.testing.assert_allclose(flat, expected, rtol=1e-6)


def test_unobserved_labels_and_what_lies_below_absent_ones_have_no_gradient():
    nan = np.nan
    labels = np.array([[1, 0, nan, 0, nan], [1, 1, 0, nan, nan]], np.float32)
    logits = np.random.default_rng(2).standard_normal((2, 5)).astype("f4")

    @jax.jit
    def loss(z):
        return losses.conditional_cross_entropy(z, labels, TREE).sum()

    gradient = np.asarray(jax.jit(jax.grad(loss))(logits))
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient != 0, [[1, 1, 0, 0, 0], [1, 1, 1, 0, 0]], strict=False)
    for i, k in zip(*np.nonzero(gradient), strict=True):
        step = np.zeros((2, 5), np.float32)
        step[i, k] = 1e-2
        numeric = (float(loss(logits + step)) - float(loss(logits - step))) / 2e-2
        assert numeric == pytest.approx(float(gradient[i, k]), abs=1e-3)
    nothing = cross_entropy(logits[:1], np.full((1, 5), nan), TREE)
    assert nothing == 0


def test_mixtures_of_songs():
    """Of two songs in equal parts: the mean of their losses, as the loss is linear in labels."""
    logits = np.random.default_rng(3).standard_normal((1, 5)).astype("f4").repeat(3, axis=0)
    one, other = np.array(CLOSED[-1]), np.array(CLOSED[2])
    labels = np.stack([one, other, (one + other) / 2])
    loss = np.asarray(cross_entropy(logits, labels, TREE))
    assert loss[2] == pytest.approx(float(loss[:2].mean()), rel=1e-5)


def _songs(seed, count):
    """Points around 3 x 4 centres: genres are far apart, their subgenres near."""
    centres = np.random.default_rng(99)
    genre = centres.normal(size=(3, 8)) * 1.2
    sub = genre[:, None] + centres.normal(size=(3, 4, 8)) * 0.9
    rng = np.random.default_rng(seed)
    which = rng.integers(0, 12, count)
    x = sub.reshape(12, 8)[which] + rng.normal(size=(count, 8))
    labels = np.concatenate([np.eye(3)[which // 4], np.eye(12)[which]], axis=1)
    return x.astype("f4"), labels.astype("f4")


@pytest.mark.slow
def test_paths_make_fewer_severe_mistakes():
    names = tuple(f"g{i}" for i in range(3)) + tuple(f"s{i}" for i in range(12))
    parents = {f"s{i}": f"g{i // 4}" for i in range(12)}
    tree = tree_of(names, parents)
    test_x, test_y = _songs(1, 1500)
    found = {}
    for name in ("flat", "paths"):
        values = []

        @jax.jit
        def learn(x, y, name=name):
            def loss(p):
                z = x @ p["w"] + p["b"]
                if name == "paths":
                    return losses.conditional_cross_entropy(z, y, tree).mean()
                return losses.sigmoid_cross_entropy(z, y).mean()

            def step(_, carry):
                params, state = carry
                updates, state = optimizer.update(jax.grad(loss)(params), state)
                return optax.apply_updates(params, updates), state

            optimizer = optax.adam(0.05)
            params = {"w": jnp.zeros((8, 15)), "b": jnp.zeros(15)}
            params, _ = jax.lax.fori_loop(0, 300, step, (params, optimizer.init(params)))
            z = test_x @ params["w"] + params["b"]
            return losses.path_scores(z, tree) if name == "paths" else jax.nn.sigmoid(z)

        for seed in range(4):
            scores, truth = np.asarray(learn(*_songs(10 + seed, 60))), test_y
            best = scores[:, 3:].argmax(axis=1)
            values.append(
                [
                    metrics.hierarchical(scores, truth, labels=names, parents=parents)[
                        "f1_hierarchical"
                    ],
                    (truth[:, 3:].argmax(axis=1) // 4 != best // 4).mean(),
                    (scores[:, 3:] > scores[:, :3].repeat(4, axis=1)).any(axis=1).mean(),
                ]
            )
        found[name] = np.mean(values, axis=0)
    assert found["paths"][0] > found["flat"][0]
    assert found["paths"][1] < found["flat"][1]  # the wrong genre
    assert found["paths"][2] == 0 < found["flat"][2]  # contradictions
