"""Contrastive losses against plain numpy in float64, whole, in blocks and over devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from mclf_jax.common import parallel
from mclf_jax.losses import contrastive

SETTINGS = ("temperature", "block_size")
# Compiled whole: one program is compiled much sooner than each of its operations.
nt_xent = jax.jit(contrastive.nt_xent, static_argnames=SETTINGS)
contrast_views = jax.jit(contrastive.contrast_views, static_argnames=SETTINGS)
contrast_bilinear = jax.jit(contrastive.contrast_bilinear, static_argnames=SETTINGS)
contrast_pairs = jax.jit(contrastive.contrast_pairs)
contrast_negatives = jax.jit(contrastive.contrast_negatives, static_argnames="temperature")

RNG = np.random.default_rng(0)
A, B, C = RNG.standard_normal((3, 12, 6))
VALID = np.array([1] * 9 + [0] * 3, np.int32)
SAME = np.array([0, 1, 2, 0, 4, 5, 0, 7, 2, 9, 9, 2], np.int32)


def plain_nt_xent(views, *, temperature, valid=None, same=None):
    """The definition, one anchor after the other: list of [N, D] -> [V, N]."""
    count = len(views[0])
    valid = np.ones(count) if valid is None else valid
    same = np.arange(count) if same is None else same
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in views]
    loss = np.zeros((len(views), count))
    for v, anchors in enumerate(unit):
        for n in range(count):
            if not valid[n]:
                continue
            total, positives = 0.0, []
            for w, others in enumerate(unit):
                for m in range(count):
                    similarity = anchors[n] @ others[m] / temperature
                    if m == n and w != v:
                        positives.append(similarity)
                        total += np.exp(similarity)
                    elif m != n and valid[m] and same[m] != same[n]:
                        total += np.exp(similarity)
            loss[v, n] = np.log(total) - np.mean(positives)
    return loss


@pytest.mark.parametrize("block_size", [None, 5, 8, 24, 100])
@pytest.mark.parametrize("masks", [{}, {"valid": VALID}, {"valid": VALID, "same": SAME}])
def test_nt_xent_is_the_definition(masks, block_size):
    with jax.enable_x64(True):
        got = nt_xent(A, B, temperature=0.1, block_size=block_size, **masks)
    expected = plain_nt_xent([A, B], temperature=0.1, **masks)
    np.testing.assert_allclose(got, expected.reshape(-1), rtol=1e-10)


def plain_pairs(a, b, *, scale, valid, same):
    """The definition, for the rows of a among those of b; whether the partner is ahead."""
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    loss, ahead = np.zeros(len(a)), np.zeros(len(a))
    for n in np.flatnonzero(valid):
        others = [m for m in range(len(a)) if valid[m] and same[m] != same[n]]
        similar = scale * np.array([a[n] @ b[m] for m in (n, *others)])
        loss[n] = np.log(np.exp(similar).sum()) - similar[0]
        ahead[n] = similar[0] > similar[1:].max()
    return loss, ahead


@pytest.mark.parametrize("masks", [{}, {"valid": VALID, "same": SAME}])
def test_pairs_are_the_definition_in_both_directions(masks):
    with jax.enable_x64(True):
        found = contrast_pairs(A, B, scale=7.0, **masks)
    masks = {"valid": np.ones(12), "same": np.arange(12)} | masks
    for got, (a, b) in zip(found, [(A, B), (B, A)], strict=True):
        loss, ahead = plain_pairs(a, b, scale=7.0, **masks)
        np.testing.assert_allclose(got.loss, loss, rtol=1e-10)
        np.testing.assert_array_equal(got.correct, ahead)


def test_words_that_are_equal_are_no_negatives():
    """Else two songs of the same words would push each other's words away."""

    @jax.jit
    @jax.grad
    def gradient(b, same):
        found = contrastive.contrast_pairs(jnp.array(A), b, scale=7.0, same=same)
        return found[0].loss[3] + found[1].loss[3]

    def moved(same):
        return set(np.flatnonzero(np.abs(gradient(B, same)).sum(axis=1)).tolist())

    assert moved(np.arange(12)) == set(range(12))
    assert moved(SAME) == set(range(12)) - {0, 6}


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("block_size", [None, 7])
def test_three_views(block_size):
    with jax.enable_x64(True):
        views = jnp.stack([A, B, C], axis=1)
        got = contrast_views(views, temperature=0.3, valid=VALID, same=SAME, block_size=block_size)
    expected = plain_nt_xent([A, B, C], temperature=0.3, valid=VALID, same=SAME)
    np.testing.assert_allclose(got.loss, expected.T, rtol=1e-10)


@pytest.mark.slow
def test_equal_embeddings_know_nothing():
    ones = np.ones((48, 8), np.float32)
    loss = nt_xent(ones, ones, temperature=0.5)
    np.testing.assert_allclose(loss, np.log(2 * 48 - 1), rtol=1e-6)
    np.testing.assert_allclose(nt_xent(ones, ones, block_size=10), loss, rtol=1e-6)
    queue = jax.jit(contrastive.info_nce)(ones, ones, np.ones((100, 8), np.float32))
    np.testing.assert_allclose(queue, np.log(101), rtol=1e-6)


def loss_of(name, **settings):
    """A scalar function of (a, b), in which all arguments matter."""
    weight = np.random.default_rng(1).random(24)

    def nt_xent(a, b):
        return (contrastive.nt_xent(a, b, temperature=0.2, **settings) * weight).sum()

    def bilinear(a, b):
        contrast = contrast_bilinear(a, b, C[:6] / 6, **settings)
        return (contrast.loss * weight[:12]).sum()

    def info_nce(a, b):
        return (contrastive.info_nce(a, b, C, temperature=0.2) * weight[:12]).sum()

    def byol(a, b):
        return (contrastive.byol_regression(a, b) * weight[:12]).sum()

    return locals()[name]


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(
    "loss",
    [
        loss_of("nt_xent", valid=VALID, same=SAME),
        loss_of("nt_xent", valid=VALID, same=SAME, block_size=7),
        loss_of("bilinear", valid=VALID, same=SAME),
        loss_of("bilinear", block_size=5),
        loss_of("info_nce"),
        loss_of("byol"),
    ],
)
def test_gradient_is_the_numerical_one(loss):
    with jax.enable_x64(True):
        grads = jax.jit(jax.grad(loss, argnums=(0, 1)))(A, B)
        value = jax.jit(loss)
        for which in (0, 1):
            numerical = np.zeros((4, A.shape[1]))
            for index in np.ndindex(numerical.shape):
                moved = [[A.copy(), B.copy()] for _ in range(2)]
                for sign, arguments in zip((1, -1), moved, strict=True):
                    arguments[which][index] += sign * 1e-5
                up, down = (float(value(*arguments)) for arguments in moved)
                numerical[index] = (up - down) / 2e-5
            np.testing.assert_allclose(grads[which][:4], numerical, rtol=1e-6, atol=1e-8)


@pytest.mark.slow
def test_zero_vectors_and_large_ones_stay_finite():
    a = A.astype("f4")
    a[0], a[1] = 0, 1e15 * a[1]
    for block_size in (None, 5):
        loss, grad = jax.jit(
            jax.value_and_grad(
                lambda a, size=block_size: nt_xent(a, B, temperature=0.01, block_size=size).sum()
            )
        )(a)
        assert np.isfinite(loss)
        assert np.isfinite(grad).all()
        assert (np.asarray(grad[0]) == 0).all()


@pytest.mark.slow
def test_rows_that_are_not_valid_count_nowhere():
    full = jax.jit(jax.grad(lambda a: nt_xent(a, B[:9]).sum()))(A[:9].astype("f4"))
    masked = jax.jit(jax.grad(lambda a: nt_xent(a, B, valid=VALID).sum()))(A.astype("f4"))
    np.testing.assert_allclose(masked[:9], full, rtol=1e-5, atol=1e-6)
    assert (np.asarray(masked[9:]) == 0).all()
    loss = np.asarray(nt_xent(A, B, valid=VALID)).reshape(2, 12)
    alone = np.asarray(nt_xent(A[:9], B[:9])).reshape(2, 9)
    np.testing.assert_allclose(loss[:, :9], alone, 1e-5)
    assert (loss[:, 9:] == 0).all()


@pytest.mark.slow
def test_bilinear_is_a_softmax_over_the_other_crops():
    kernel = C[:6]
    logits = A @ kernel @ B.T / 2
    expected = np.log(np.exp(logits).sum(axis=1)) - np.diag(logits)
    correct = logits.argmax(axis=1) == np.arange(12)
    for block_size in (None, 5):
        got = contrast_bilinear(A, B, kernel, temperature=2.0, block_size=block_size)
        np.testing.assert_allclose(got.loss, expected, rtol=1e-4)
        np.testing.assert_array_equal(got.correct, correct)


@pytest.mark.slow
def test_info_nce_and_byol_are_their_definitions():
    a, b, c = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (A, B, C))
    logits = np.concatenate([(a * b).sum(axis=1, keepdims=True), a @ c.T], axis=1) / 0.2
    got = contrast_negatives(A, B, C, temperature=0.2)
    np.testing.assert_allclose(got.loss, np.log(np.exp(logits).sum(1)) - logits[:, 0], rtol=1e-5)
    np.testing.assert_array_equal(got.correct, logits.argmax(axis=1) == 0)
    expected = np.square(a - b).sum(axis=1)
    np.testing.assert_allclose(jax.jit(contrastive.byol_regression)(A, B), expected, rtol=1e-5)


@pytest.mark.slow
def test_weights_of_negatives_are_how_often_they_come():
    count = np.array([1, 2, 0, 3] * 3)
    got = contrast_negatives(A, B, C, weights=count)
    expected = contrast_negatives(A, B, np.repeat(C, count, axis=0))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), got, expected)


@pytest.mark.slow
def test_correct_is_whether_a_positive_comes_first():
    near = A + 0.01 * RNG.standard_normal(A.shape)
    near[3] = -A[3]
    for block_size in (None, 7):
        views = np.stack([A, near], axis=1).astype("f4")
        # A copy: what is computed of views may still be reading them.
        correct = np.asarray(contrast_views(views.copy(), block_size=block_size).correct)
        assert (correct[3] == 0).all()
        assert np.delete(correct, 3, axis=0).all()
        # The nearest one is of the same track, so it is nobody to be told apart from.
        views[4] = views[5]
        same = np.where(np.arange(12) == 4, 5, np.arange(12))
        masked = contrast_views(views, same=same, block_size=block_size)
        assert np.asarray(masked.correct)[4:6].all()
        plain = contrast_views(views, block_size=block_size)
        assert not np.asarray(plain.correct)[4:6].any()


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("block_size", [None, 8, 24])
def test_one_device_equals_eight(block_size):
    views = RNG.standard_normal((32, 2, 6)).astype("f4")
    valid = (np.arange(32) < 27).astype("f4")
    same = np.arange(32) // 3

    def loss(views, valid, same):
        contrast = contrast_views(
            views, valid=valid, same=same, temperature=0.1, block_size=block_size
        )
        return contrast.loss.sum(), contrast.correct

    step = jax.jit(jax.value_and_grad(loss, has_aux=True))
    split = NamedSharding(parallel.make_mesh(8), PartitionSpec("data"))
    one = step(views, valid, same)
    eight = step(*(jax.device_put(x, split) for x in (views, valid, same)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), one, eight)


@pytest.mark.slow
def test_blocks_never_hold_the_whole_matrix():
    """4,096 clips at 64 dimensions: the similarities of both views are 256 MiB."""
    views = jax.ShapeDtypeStruct((4096, 2, 64), jnp.float32)
    matrix = (2 * 4096) ** 2 * 4

    def temporary_bytes(block_size, num_devices):
        def loss(views):
            return contrast_views(views, block_size=block_size).loss.mean()

        split = NamedSharding(parallel.make_mesh(num_devices), PartitionSpec("data"))
        compiled = jax.jit(jax.value_and_grad(loss), in_shardings=split).lower(views).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    whole = temporary_bytes(None, 1)
    assert whole > matrix
    assert temporary_bytes(512, 1) < matrix / 4
    # A device has its share of the rows, so of the memory.
    assert temporary_bytes(512, 8) < matrix / 16


def test_errors():
    with pytest.raises(ValueError, match=r"shapes \(12, 6\) and \(11, 6\)"):
        nt_xent(A, B[1:])
    with pytest.raises(ValueError, match="1 views of each clip; it must have at least 2"):
        contrast_views(A[:, None])


def test_halves_are_compared_in_float32():
    a, b = (x.astype(jnp.bfloat16) for x in (A, B))
    assert nt_xent(a, b, temperature=0.05).dtype == jnp.float32
    found, precise = (nt_xent(*x, temperature=0.05) for x in ((a, b), (f4(a), f4(b))))
    np.testing.assert_allclose(found, precise, rtol=1e-6)


def f4(x):
    return x.astype(np.float32)
