"""Measures of embeddings against their definitions, and what is said of a collapse."""

import re

import jax
import numpy as np
import pytest
from scipy.spatial.distance import pdist

from mclf_jax import objectives
from mclf_jax.objectives import OBJECTIVES, diagnostics
from mclf_jax.objectives.self_supervised.byol import byol
from tests.objectives.material import made, small_model, train

RNG = np.random.default_rng(0)
Z = RNG.standard_normal((40, 8)) + 0.5
Z = (Z / np.linalg.norm(Z, axis=1, keepdims=True)).astype("f4")
diagnose = jax.jit(diagnostics.diagnose)


@jax.jit
def measures(z, valid):
    names = ("uniformity", "embedding_std", "effective_rank")
    return {name: getattr(diagnostics, name)(z, valid=valid) for name in names}


VALID = np.array([1.0] * 30 + [0.0] * 10, np.float32)


def plain(z):
    """By their definitions, in float64."""
    values = np.linalg.svd(z.astype("f8"), compute_uv=False)
    share = values / values.sum()
    return {
        "uniformity": np.log(np.exp(-2 * pdist(z.astype("f8"), "sqeuclidean")).mean()),
        "embedding_std": z.std(axis=0).mean() * np.sqrt(z.shape[1]),
        "effective_rank": np.exp(-(share * np.log(share)).sum()),
    }


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("shape", [(40, 8), (6, 8)])
def test_measures_are_their_definitions(shape):
    z = Z[: shape[0]]
    found = measures(z, np.ones(len(z)))
    for name, expected in plain(z).items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-4)


@pytest.mark.slow
def test_rows_that_are_not_valid_count_nowhere():
    found = measures(Z, VALID)
    for name, expected in plain(Z[:30]).items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-4)
    nothing = diagnose(Z.reshape(20, 2, 8), valid=np.zeros(20))
    assert all(np.isfinite(value).all() for value in nothing.values())


@pytest.mark.slow
def test_spread_out_and_collapsed():
    everywhere = np.random.default_rng(0).standard_normal((2000, 2, 16)).astype("f4")
    everywhere /= np.linalg.norm(everywhere, axis=-1, keepdims=True)
    metrics = mean(diagnose(everywhere, valid=np.ones(2000)))
    assert metrics["embedding_std"] == pytest.approx(1, abs=0.01)
    assert metrics["effective_rank"] == pytest.approx(16, abs=0.1)
    assert metrics["alignment"] == pytest.approx(2, abs=0.1)
    # E[exp(-4 + 4 cos)], where cos has variance 1/D.
    assert metrics["uniformity"] == pytest.approx(-4 + 8 / 16, abs=0.1)
    assert diagnostics.collapse_message(metrics) is None

    point = mean(diagnose(np.ones((100, 2, 16)), valid=np.ones(100)))
    np.testing.assert_allclose(
        [point[name] for name in ("alignment", "uniformity", "embedding_std", "effective_rank")],
        [0, 0, 0, 1],
        atol=1e-3,
    )
    message = diagnostics.collapse_message(point)
    assert "nearly the same embedding (embedding_std 0.000" in message
    assert "optim.learning_rate" in message

    line = np.ones((100, 2, 16)) * np.sign(everywhere[:100, :1, :1])
    metrics = mean(diagnose(line, valid=np.ones(100)))
    assert metrics["embedding_std"] > 0.9
    assert "lie on one line (effective_rank 1.00" in diagnostics.collapse_message(metrics)


def test_no_opinion_without_the_measures():
    assert diagnostics.collapse_message({"loss": 3.0, "accuracy": 0.1}) is None


@pytest.mark.parametrize(
    "objective", [name for name in OBJECTIVES if not OBJECTIVES[name].predicts_labels]
)
def test_advice_is_about_what_the_objective_has(objective):
    general = diagnostics.collapse_message({"embedding_std": 0.0})
    advice = objectives.traits(objective).against_collapse
    message = diagnostics.collapse_message({"embedding_std": 0.0}, advice=advice)
    assert message.startswith(general.removesuffix(".")) and len(message) > len(general)
    named = re.findall(r"objective\.args\.(\w+)", message)
    assert named and set(named) <= objectives.arguments_of(objective).keys()


def test_no_gradient():
    grad = jax.jit(
        jax.grad(lambda z: sum(x.sum() for x in diagnose(z, valid=np.ones(20)).values()))
    )(Z.reshape(20, 2, 8))
    assert (np.asarray(grad) == 0).all()


@pytest.mark.parametrize(("norm", "collapses"), [("none", True), ("batch_norm", False)])
@pytest.mark.slow
def test_a_run_that_collapses_says_so(norm, collapses):
    """BYOL whose target is the network itself, without normalisation in its heads and with it."""
    objective = made(
        byol,
        small_model(),
        total_steps=100,
        momentum=0.0,
        momentum_schedule="constant",
        projector=(64, 16),
        predictor=(16,),
        projector_norm=norm,
        predictor_norm=norm,
    )
    *_, metrics = train(objective, num_steps=20, learning_rate=3e-2)
    assert (diagnostics.collapse_message(metrics) is not None) == collapses


def mean(metrics):
    return {name: float(values.mean()) for name, values in jax.device_get(metrics).items()}
