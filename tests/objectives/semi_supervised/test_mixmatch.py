"""MixMatch: the whole loss recomputed in numpy, from what the network was given."""

import types

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, log_softmax, softmax

from mclf_jax.augment import Chains
from mclf_jax.objectives.semi_supervised.mixmatch import mixmatch
from mclf_jax.objectives.supervised import supervised
from tests.objectives.material import gradients, made, start

K = 3


class Linear(nn.Module):
    """Logits are Wx; running statistics are the mean of x in training mode."""

    num_labels: int = K

    @nn.compact
    def __call__(self, x, train):
        mean = self.variable("batch_stats", "mean", lambda: jnp.zeros(x.shape[-1]))
        if train:
            mean.value = x.mean(axis=0)
        return {"logits": nn.Dense(self.num_labels, use_bias=False)(x)}


class Toy:
    """As much of a `Model` as objectives use, which keeps what the network was given."""

    def __init__(self, module=None, size=4):
        self.module, self.size, self.seen = module or Linear(), size, []

    def init(self, key):
        return self.module.init(key, jnp.zeros((1, self.size)), train=False)

    def inputs(self, batch):
        return batch["audio"]

    def apply_train(self, params, state, x, *, key):
        self.seen.append(x)
        return self.module.apply({"params": params, **state}, x, train=True, mutable=list(state))


def batch_of(task="single_label", *, labelled=8, unlabelled=16, size=4, seed=0):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, K, labelled).astype(np.int32)
    no_label = np.zeros(unlabelled, np.int32)
    if task == "multi_label":
        label = rng.integers(0, 2, (labelled, K)).astype(np.float32)
        no_label = np.full((unlabelled, K), np.nan, np.float32)
    return {
        "audio": rng.standard_normal((labelled, size)).astype(np.float32),
        "label": label,
        "valid": np.ones(labelled, np.float32),
        "unlabelled": {
            "audio": rng.standard_normal((unlabelled, size)).astype(np.float32),
            "label": no_label,
            "valid": np.ones(unlabelled, np.float32),
        },
    }


def run(batch, *, task="single_label", step=0, key=0, **settings):
    """The loss of a toy network, its kernel, and what it was given in each forward pass."""
    model = Toy()
    objective = made(
        mixmatch, model, task=task, **{"total_steps": 100, "ramp_up_steps": 10} | settings
    )
    initial = objective.init(jax.random.key(1))
    params, state = initial["params"], initial["state"] | {"step": jnp.int32(step)}
    model.seen.clear()
    # Not compiled as a whole: operations of the same shapes are shared by the tests.
    result = objective.loss(params, state, batch, jax.random.key(key))
    result, seen = jax.device_get((result, model.seen))
    return types.SimpleNamespace(
        result=result, seen=seen, kernel=np.asarray(params["model"]["Dense_0"]["kernel"])
    )


def together(labelled, unlabelled, *, copies=2):
    """Rows as the mixed batch has them: after each labelled one its part of the others."""
    behind = np.repeat(unlabelled, copies, axis=0).reshape(len(labelled), -1, *labelled.shape[1:])
    return np.concatenate([labelled[:, None], behind], axis=1).reshape(-1, *labelled.shape[1:])


# Of `batch_of`, 8 labelled songs and 16 others twice.
LABELLED = np.arange(40) % 5 == 0


def guesses(x, kernel, task, *, num_augmentations=2, temperature=0.5):
    """Equations 6 and 7."""
    logits = x @ kernel
    p = softmax(logits, axis=-1) if task == "single_label" else expit(logits)
    p = p.reshape(-1, num_augmentations, K).mean(axis=1)
    power, other = p ** (1 / temperature), (1 - p) ** (1 / temperature)
    return power / (power.sum(-1, keepdims=True) if task == "single_label" else power + other)


def shares(before, after):
    """Of each mixed row its partner and how much it kept, from the inputs alone."""
    partners, kept = [], []
    for number, (row, mixed) in enumerate(zip(before, after, strict=True)):
        # What was added is (1 - share) * (partner - row).
        away = before - row
        part = away @ (mixed - row) / np.maximum((away**2).sum(axis=1), 1e-12)
        error = np.abs(row + part[:, None] * away - mixed).max(axis=1)
        unmixed = np.abs(row - mixed).max() < 1e-6
        partners.append(number if unmixed else int(error.argmin()))
        kept.append(1.0 if unmixed else 1 - part[partners[-1]])
    return np.array(partners), np.array(kept)


@pytest.mark.parametrize("task", ["single_label", "multi_label"])
def test_the_whole_loss_in_numpy(task):
    batch = batch_of(task)
    if task == "multi_label":
        batch["label"][::3, 1] = np.nan
        batch["label"][2] = np.nan
    found = run(batch, task=task, step=5, weight=40.0)
    first, second = found.seen
    before = together(batch["audio"], batch["unlabelled"]["audio"])
    np.testing.assert_array_equal(first, before[~LABELLED])
    partner, share = shares(before, second)
    assert (share >= 0.5 - 1e-3).all() and len(np.unique(share.round(4))) > 10
    guess = guesses(first, found.kernel, task)
    own = np.eye(K)[batch["label"]] if task == "single_label" else batch["label"]
    target = together(own, guess)
    target = share[:, None] * target + (1 - share[:, None]) * target[partner]
    logits = second @ found.kernel
    p = softmax(logits, axis=-1) if task == "single_label" else expit(logits)
    if task == "single_label":
        labelled = -(target * log_softmax(logits, axis=-1)).sum(axis=-1)
    else:
        terms = target * np.logaddexp(0, -logits) + (1 - target) * np.logaddexp(0, logits)
        observed = ~np.isnan(target)
        labelled = np.where(observed, terms, 0).sum(axis=-1) / np.maximum(observed.sum(axis=-1), 1)
    labelled, squared = labelled[LABELLED], np.square(p - target)[~LABELLED]
    of_rows = np.nansum(squared, axis=-1) / np.maximum((~np.isnan(squared)).sum(axis=-1), 1)
    expected = labelled + 40.0 * 5 / 10 * of_rows.mean()
    np.testing.assert_allclose(found.result.per_example, expected, rtol=1e-3)
    np.testing.assert_allclose(found.result.metrics["labelled_loss"], labelled, rtol=1e-3)
    np.testing.assert_allclose(found.result.metrics["unlabelled_weight"], 20.0)
    # One training-mode pass decides the statistics: that of all mixed rows.
    mean = found.result.state["model"]["batch_stats"]["mean"]
    np.testing.assert_allclose(mean, second.mean(axis=0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 1e-4])
def test_without_alpha_nothing_is_mixed(alpha):
    batch = batch_of("multi_label")
    batch["label"][::2] = np.nan
    found = run(batch, task="multi_label", alpha=alpha)
    before = together(batch["audio"], batch["unlabelled"]["audio"])
    np.testing.assert_allclose(found.seen[1], before, atol=1e-6)
    # Half of the songs have no label, and whoever is their partner has lost none of its own.
    for key in range(8):
        result = run(batch, task="multi_label", alpha=alpha, key=key).result
        labelled = result.metrics["labelled_loss"]
        assert (labelled[::2] == 0).all() and (labelled[1::2] > 0).all()


def test_a_row_keeps_half_of_itself_or_more():
    batch = batch_of()
    before = together(batch["audio"], batch["unlabelled"]["audio"])
    found = [shares(before, run(batch, key=key).seen[1]) for key in range(8)]
    partner, share = (np.stack(values) for values in zip(*found, strict=True))
    assert share.min() > 0.5 - 1e-3
    # A draw for each pair, as of Beta(3/4, 3/4) and folded at one half; some are of equal copies.
    others = share[share < 1]
    assert len(np.unique(others.round(4))) > 150 and abs(others.mean() - 0.778) < 0.03
    # Labelled and unlabelled rows are partners of each other.
    labelled = LABELLED[partner]
    assert 0 < labelled[:, LABELLED].mean() < 1 and 0 < labelled[:, ~LABELLED].mean() < 1


def test_padding_is_in_no_other_row():
    batch = batch_of("multi_label")
    whole = run(batch, task="multi_label", step=10)
    assert np.isfinite(whole.result.per_example).all()
    for rows in (batch, batch["unlabelled"]):
        rows["audio"][-3:], rows["label"][-3:], rows["valid"][-3:] = np.nan, np.nan, 0
    found = run(batch, task="multi_label", step=10)
    before = together(batch["audio"], batch["unlabelled"]["audio"])
    np.testing.assert_array_equal(np.isnan(found.seen[1]), np.isnan(before))
    assert np.isnan(before).any(axis=1).sum() == 9


def test_the_loss_of_padding_counts_nothing():
    def losses(last):
        batch = batch_of()
        batch["valid"][-2:], batch["unlabelled"]["valid"][-2:] = 0, 0
        batch["audio"][-2:], batch["unlabelled"]["audio"][-2:] = last, last
        return run(batch, step=10).result

    one, other = losses(0.0), losses(9.0)
    np.testing.assert_allclose(one.per_example[:-2], other.per_example[:-2], rtol=1e-6)
    for name in ("unlabelled_loss", "guess_confidence"):
        np.testing.assert_allclose(one.metrics[name], other.metrics[name], rtol=1e-6)


@pytest.mark.slow
def test_an_unobserved_tag_stays_so_in_mixtures():
    """Of a tag that no labelled song is known to have or lack, only unmixed guesses are left."""
    batch = batch_of("multi_label")
    batch["label"][:, 1] = np.nan
    known = batch["label"].copy()
    known[:, 1] = 1
    before = together(batch["audio"], batch["unlabelled"]["audio"])
    partner, share = shares(before, run(batch, task="multi_label").seen[1])

    def kernel_gradient(label):
        objective = made(mixmatch, Toy(), task="multi_label", total_steps=10, weight=0.0)
        initial = objective.init(jax.random.key(1))

        def mean_loss(params):
            given = batch | {"label": label}
            result = objective.loss(params, initial["state"], given, jax.random.key(0))
            return result.per_example.mean()

        gradient = jax.grad(mean_loss)(initial["params"])
        return np.asarray(gradient["model"]["Dense_0"]["kernel"])

    assert (~LABELLED[partner] & (share < 1))[LABELLED].any()
    hidden, seen = kernel_gradient(batch["label"]), kernel_gradient(known)
    # Not even a guess that a labelled song is mixed with teaches its unobserved tag.
    assert (hidden[:, 1] == 0).all() and (seen[:, 1] != 0).all()
    assert (hidden[:, [0, 2]] != 0).all() and np.isfinite(hidden).all()


@pytest.mark.slow
def test_nothing_flows_back_through_guesses():
    """One song without labels, unmixed: the gradient is that of a constant target."""
    batch, model = batch_of(labelled=1, unlabelled=1), Toy()
    settings = {"total_steps": 1, "ramp_up_steps": 0, "alpha": 0.0, "weight": 1.0}
    objective = made(mixmatch, model, task="single_label", **settings)
    initial = objective.init(jax.random.key(1))

    def unlabelled_loss(params):
        result = objective.loss(params, initial["state"], batch, jax.random.key(0))
        return result.metrics["unlabelled_loss"][0]

    found = jax.jit(jax.grad(unlabelled_loss))(initial["params"])["model"]["Dense_0"]["kernel"]
    kernel, x = initial["params"]["model"]["Dense_0"]["kernel"], batch["unlabelled"]["audio"]
    target = guesses(np.concatenate([x, x]), np.asarray(kernel), "single_label")[0]
    expected = jax.grad(lambda w: jnp.square(jax.nn.softmax(x[0] @ w) - target).mean())(kernel)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


def test_the_weight_grows_to_its_end():
    batch = batch_of()

    def weights(steps, **settings):
        objective = made(mixmatch, Toy(), task="single_label", weight=8.0, **settings)
        initial = objective.init(jax.random.key(1))

        def weight(step):
            state = initial["state"] | {"step": step}
            result = objective.loss(initial["params"], state, batch, jax.random.key(0))
            return result.metrics["unlabelled_weight"][0], result.state["step"]

        found = [weight(jnp.int32(step)) for step in steps]
        assert [int(later) for _, later in found] == [step + 1 for step in steps]
        return [float(value) for value, _ in found]

    assert weights((0, 5, 10, 20), total_steps=100, ramp_up_steps=10) == [0, 4, 8, 8]
    assert weights((0,), total_steps=100, ramp_up_steps=0) == [8]
    # As published, but for runs that end before.
    assert weights((50, 100), total_steps=100) == [4, 8]
    assert weights((8000, 16_000), total_steps=10**6) == [4, 8]


def test_every_row_is_augmented_by_itself():
    def noise(key, x):
        return x + jax.random.normal(key, x.shape)

    batch = batch_of()
    batch["unlabelled"]["audio"][:] = 0
    found = run(batch, chains=Chains(waveform=noise))
    assert len(np.unique(found.seen[0])) == found.seen[0].size == 2 * 16 * 4


class MLP(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        return {"logits": nn.Dense(K)(nn.relu(nn.Dense(32)(x)))}


@pytest.mark.slow
def test_songs_without_labels_teach():
    """Two labelled songs a class beside 300 without; labelled ones alone are learnt by heart."""
    rng, centres = np.random.default_rng(0), 3.0 * np.eye(K, 16)

    def songs(label):
        return (centres[label] + 0.8 * rng.standard_normal((len(label), 16))).astype(np.float32)

    label, truth = np.tile(np.arange(K), 2).astype(np.int32), np.arange(600) % K
    few, pool, tested = [songs(label) for _ in range(3)], songs(np.arange(300) % K), songs(truth)
    settings = {
        "task": "single_label",
        "chains": Chains(waveform=lambda key, x: x + 0.3 * jax.random.normal(key, x.shape)),
    }

    def accuracy(objective):
        first, step = start(objective, learning_rate=1e-2)
        found = []
        for audio in few:
            state = first
            for number in range(100):
                rows = np.random.default_rng(number).choice(300, 24, replace=False)
                batch = {"audio": audio, "label": label, "valid": np.ones(6, np.float32)}
                batch["unlabelled"] = {"audio": pool[rows], "valid": np.ones(24, np.float32)}
                state, _ = step(state, batch)
            logits = MLP().apply({"params": state.params["model"]}, tested, train=False)["logits"]
            found.append((np.asarray(logits).argmax(axis=-1) == truth).mean())
        return np.mean(found)

    model = Toy(MLP(), size=16)
    mixed = accuracy(made(mixmatch, model, total_steps=100, weight=10.0, **settings))
    assert mixed > 0.95 > accuracy(made(supervised, model, **settings)) + 0.06


class Normalised(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        x = nn.BatchNorm(use_running_average=not train)(nn.Dense(8)(x))
        return {"logits": nn.Dense(K)(nn.relu(x))}


@pytest.mark.slow
def test_eight_devices_do_what_one_does():
    """With batch norm, whose statistics are of all mixed rows."""
    batch = batch_of()
    settings = {"total_steps": 10, "ramp_up_steps": 0, "weight": 10.0}
    objective = made(mixmatch, Toy(Normalised()), task="single_label", **settings)
    initial = objective.init(jax.random.key(0))
    one, eight = (gradients(objective, initial, batch, num_devices=count) for count in (1, 8))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), one, eight)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"task": "regression"}, "objective.name is 'mixmatch'.*regression"),
        ({"num_augmentations": 0}, "objective.args.num_augmentations is 0; it must be a whole"),
        ({"num_augmentations": 1.5}, "objective.args.num_augmentations is 1.5"),
        ({"temperature": 0.0}, r"objective.args.temperature is 0.0; it must be in \(0, 1\]"),
        ({"alpha": -1.0}, "objective.args.alpha is -1.0; it must be at least 0"),
        ({"weight": -1.0}, "objective.args.weight is -1.0"),
        ({"ramp_up_steps": -1}, "objective.args.ramp_up_steps is -1"),
    ],
)
def test_errors(settings, message):
    with pytest.raises(ValueError, match=message):
        made(mixmatch, Toy(), **{"task": "single_label", "total_steps": 10} | settings)
