"""M2D and MATPAC: the loss by hand, what the teacher hears and follows, and guards."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax.models.patches.grid import num_kept
from mclf_jax.models.patches.predictor import Predictor
from mclf_jax.objectives import heads, patches
from mclf_jax.objectives.momentum import between
from mclf_jax.objectives.self_supervised.m2d import m2d
from tests.objectives.material import gradients, judge, made, small_model, songs, train

KEY = jax.random.key(0)
MODEL = small_model("vit")
SMALL = {
    "predictor_dim": 8,
    "predictor_heads": 2,
    "predictor_layers": 1,
    "num_prototypes": 6,
    "prototype_widths": (8, 4),
    "num_hypotheses": 3,
    "momentum": (0.9, 1.0),
    "prototype_momentum": (0.5, 1.0),
    "total_steps": 10,
}
M2D = {}
MATPAC = {"classes": "prototypes", "targets": "plain"}
MATPAC_PLUS_PLUS = {**MATPAC, "hypotheses": "several"}


def small(**settings):
    return made(m2d, MODEL, **SMALL | settings)


@functools.cache
def _compiled(which):
    objective = small(**dict(which))
    return jax.jit(objective.init)(KEY), jax.jit(objective.loss), jax.jit(objective.evaluate)


def start(settings):
    """(params, state, loss, evaluate), compiled once for all tests that ask for the same."""
    initial, loss, evaluate = _compiled(tuple(settings.items()))
    return initial["params"], initial["state"], loss, evaluate


def one_view(batch_size, *, seed):
    batch = songs(batch_size, seed=seed, num_views=1)
    return batch | {"audio": batch["audio"][:, 0]}


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def softmax(x):
    return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("settings", [M2D, MATPAC_PLUS_PLUS])
def test_the_loss_is_that_of_the_papers(settings):
    """In evaluation mode: nothing is normalised by the batch, and all keys are known."""
    params, state, _, evaluate = start(settings)
    state = state | {"step": jnp.int32(3)}
    # A teacher unlike its student, with a centre.
    teacher = jax.tree.map(lambda x: 0.9 * x + 0.05, state["teacher"])
    state = state | {"teacher": teacher}
    if settings:
        state = state | {"centre": jnp.linspace(-0.1, 0.1, 6)}
    batch = one_view(4, seed=0)
    got = evaluate(params, state, batch, KEY)

    grid = patches.grid_of(MODEL, needed_by="this test")
    assert grid.count == 16 and num_kept(16, 0.3) == 4
    visible, masked = patches.split(jax.random.split(KEY, 3)[0], 4, grid, fraction=0.3)
    assert masked.shape == (4, 12)
    x = MODEL.inputs(batch)

    def tokens(network, shown):
        variables = {"params": network, **state["model"]}
        return MODEL.module.apply(variables, x, train=False, visible=shown)["tokens"]

    heard = np.asarray(tokens(params["model"] | teacher, masked), np.float64)
    count = 3 if settings else 1
    guesses = Predictor(grid, 8, 2, 1, count).apply(
        {"params": params["predictor"]},
        tokens(params["model"], visible),
        visible,
        masked,
        train=False,
    )
    assert guesses.shape == (4, 12, count, 16)
    target = heard
    if not settings:
        spread = np.sqrt(heard.var(-1, ddof=1, keepdims=True) + 1e-6)
        target = (heard - heard.mean(-1, keepdims=True)) / spread
    distances = 2 - 2 * (unit(np.asarray(guesses)) * unit(target)[:, :, None]).sum(-1)
    temperature = 0.1 * 0.99997**3
    expected = (softmax(-distances / temperature) * distances).sum(-1).mean(axis=1)
    if settings:
        best = distances.argmin(-1)
        chosen = np.take_along_axis(np.asarray(guesses), best[..., None, None], axis=2)[:, :, 0]
        head = heads.Prototypes((8, 4), 6)

        def scores(of, x):
            return np.asarray(head.apply({"params": of}, jnp.asarray(x, "float32"), train=False))

        warm = 0.04 + 0.03 * 3 / 9827
        wanted = scores(state["prototypes"], heard) - np.asarray(state["centre"])
        wanted = softmax(wanted / warm)
        said = np.log(softmax(scores(params["prototypes"], chosen) / 0.1))
        expected = (expected - (wanted * said).sum(-1).mean(axis=1)) / 2
        shares = [(best == i).mean(axis=1) for i in range(3)]
        found = [got.metrics[f"head_{i + 1}_share"] for i in range(3)]
        np.testing.assert_allclose(found, shares, atol=1e-6)
        mean = wanted.mean(axis=(0, 1))
        entropy = -(mean * np.log(mean)).sum() / np.log(6)
        np.testing.assert_allclose(got.metrics["prototype_entropy"], [entropy] * 4, rtol=1e-3)
    np.testing.assert_allclose(got.per_example, expected, rtol=1e-3)


def test_the_teacher_follows_in_its_layers_and_nothing_is_learnt_through_it():
    params, state, loss, _ = start(MATPAC)
    assert set(state["teacher"]) == {"blocks.0", "norm"}
    moved = jax.tree.map(lambda leaf: leaf + 1, params)
    batch = one_view(4, seed=0)
    new = loss(moved, state, batch, KEY).state
    for old, average in zip(*map(jax.tree.leaves, (state["teacher"], new["teacher"])), strict=True):
        np.testing.assert_allclose(average, old + 0.1, rtol=1e-4, atol=1e-5)
    for part in ("prototypes",):
        pairs = zip(*map(jax.tree.leaves, (state[part], new[part])), strict=True)
        assert all(np.allclose(average, old + 0.5, atol=1e-5) for old, average in pairs)
    assert new["step"] == 1 and np.abs(new["centre"]).max() > 0

    def through_teacher(teacher):
        return loss(params, state | {"teacher": teacher}, batch, KEY).per_example.sum()

    for leaf in jax.tree.leaves(jax.grad(through_teacher)(state["teacher"])):
        assert not np.asarray(leaf).any()
    ends = [float(between((0.9, 1.0), jnp.int32(s), num_steps=10)) for s in (0, 5, 20)]
    assert ends == pytest.approx([0.9, 0.95, 1.0])


def test_guards_tell_of_collapse():
    params, state, _, evaluate = start(MATPAC)
    batch = one_view(8, seed=0)
    well = evaluate(params, state, batch, KEY).metrics
    assert well["target_std"][0] > 0.1 and well["prototype_entropy"][0] > 0.1
    # A last layer of the predictor, and of the teacher, that say the same of everything.
    flat = jax.tree.map(jnp.zeros_like, params["predictor"]["pred"])
    flat["bias"] = jnp.ones_like(flat["bias"])
    same = {"bias": jnp.ones(16), "scale": jnp.zeros(16)}
    collapsed = evaluate(
        params | {"predictor": params["predictor"] | {"pred": flat}},
        state | {"teacher": state["teacher"] | {"norm": same}},
        batch,
        KEY,
    ).metrics
    assert collapsed["prediction_std"][0] < 1e-3 and collapsed["target_std"][0] < 1e-3
    assert collapsed["prototype_entropy"][0] < well["prototype_entropy"][0]


def test_rows_that_are_not_valid_do_not_count():
    params, state, _, evaluate = start(MATPAC)
    batch = one_view(8, seed=0)
    batch["valid"] = np.array([1.0] * 4 + [0.0] * 4, np.float32)
    other = batch | {"audio": batch["audio"].copy()}
    other["audio"][4:] = 0
    found = [evaluate(params, state, rows, KEY) for rows in (batch, other)]
    assert not np.asarray(found[0].per_example[4:]).any()
    for one, two in zip(*map(jax.tree.leaves, (found[0].metrics, found[1].metrics)), strict=True):
        np.testing.assert_allclose(one[:4], two[:4], rtol=1e-4, atol=1e-5)
    jax.tree.map(np.testing.assert_array_equal, found[0].state, state)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [M2D, MATPAC, MATPAC_PLUS_PLUS])
def test_learns_and_does_not_collapse(settings):
    objective = small(total_steps=60, **settings)
    first, trained, _ = train(_OfOneView(objective), num_steps=60)
    held_out = one_view(64, seed=10**6)
    before, after = (judge(objective, state, held_out) for state in (first, trained))
    assert after["loss"] < 0.8 * before["loss"]
    assert after["prediction_std"] > 0.1 and after["target_std"] > 0.1


class _OfOneView:
    """An objective that hears the first view of a batch of two."""

    def __init__(self, objective):
        self.init, self.evaluate = objective.init, objective.evaluate
        self.loss = lambda params, state, batch, key: objective.loss(
            params, state, batch | {"audio": batch["audio"][:, 0]}, key
        )


@pytest.mark.slow
def test_one_device_equals_eight():
    objective = small(**MATPAC_PLUS_PLUS)
    initial = jax.jit(objective.init)(KEY)
    batch = one_view(32, seed=0)
    one, eight = (gradients(objective, initial, batch, num_devices=count) for count in (1, 8))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5), one, eight)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classes": "dino"}, "objective.args.classes is 'dino'; allowed: none, prototypes"),
        ({"targets": "whitened"}, "objective.args.targets is 'whitened'; allowed: standardized"),
        ({"hypotheses": "5"}, "objective.args.hypotheses is '5'; allowed: one, several"),
        ({"kept_patches": 1.0}, r"objective.args.kept_patches is 1.0; it must be in \(0, 1\)"),
        ({"momentum": 0.99}, "objective.args.momentum is 0.99; it must be two numbers"),
        ({"predictor_dim": 10}, "predictor_dim is 10; it must be a multiple of 4 and of"),
    ],
)
def test_errors(settings, message):
    with pytest.raises(ValueError, match=message):
        small(**settings)


def test_networks_without_patches_are_refused():
    message = "model.name is 'short_chunk_cnn', which has no patches; for objective.name 'm2d'"
    with pytest.raises(ValueError, match=message):
        made(m2d, small_model())
