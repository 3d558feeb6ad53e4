"""Masked tokens: the loss by hand, what counts in it, what tells of codes that say nothing."""

import dataclasses
import functools
import types

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax import models
from mclf_jax.objectives.context import Context
from mclf_jax.objectives.diagnostics import collapse_message
from mclf_jax.objectives.tokens import tokenizers
from mclf_jax.objectives.tokens.masked_tokens import masked_tokens
from mclf_jax.objectives.tokens.masking import draw_blocks, fill_with_noise
from mclf_jax.objectives.tokens.representations import Timing, stacked
from tests.objectives.material import RATE_HZ, gradients, judge, made, small_model, songs, train

KEY = jax.random.key(0)
# Four tokens of 128 samples, of two frames of 16 bands.
MODEL = small_model("vit", patch=(2, 16))
HOP = 128
PROJECTED = {"num_codes": 8, "code_dim": 4, "mask_s": HOP / RATE_HZ}
SEVERAL = PROJECTED | {"representations": ("input", "log_mel"), "num_codebooks": 2}
FSQ = {"tokenizer": "fsq", "levels": (3, 2), "mask_s": HOP / RATE_HZ}


def rvq_teacher(**arguments):
    """A tokenizer that nobody has trained, with codes of as many samples."""
    settings = {"stack": 2, "num_stages": 3, "num_codes": 8, "code_dim": 4} | arguments
    model = models.build(
        "rvq",
        num_labels=2,
        features=dataclasses.asdict(MODEL.features),
        window_s=MODEL.window_s,
        **settings,
    )
    variables = jax.tree.map(np.asarray, model.init(jax.random.key(7)))
    return types.SimpleNamespace(model=model, variables=variables)


TRAINED = {"tokenizer": "trained", "teacher": "runs/rvq", "mask_s": HOP / RATE_HZ}


def small(**settings):
    teacher = rvq_teacher() if settings.get("tokenizer") == "trained" else None
    return masked_tokens(Context(MODEL, teacher=teacher), **settings)


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


def codes_of(settings, state, audio):
    """By the tokenizer itself, which test_tokenizers.py holds to numpy."""
    if settings is TRAINED:
        teacher = rvq_teacher()
        x = teacher.model.features(audio)
        return np.asarray(teacher.model.module.apply(teacher.variables, x, train=False)["codes"])
    names = settings.get("representations", ("input",))
    parts = {name: stacked(name, MODEL, Timing(4, HOP)) for name in names}
    shared = {"num_samples": 512, "num_codebooks": settings.get("num_codebooks", 1), "decay": 0.999}
    if settings is FSQ:
        coder = tokenizers.finite_scalar(parts, levels=(3, 2), **shared)
    else:
        coder = tokenizers.random_projection(parts, num_codes=8, code_dim=4, **shared)
    return np.asarray(coder.tokenize(state["tokenizer"], audio, "evaluate")[0])


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(PROJECTED, id="projected"),
        *(
            pytest.param(settings, id=name, marks=pytest.mark.slow)
            for name, settings in (("several", SEVERAL), ("fsq", FSQ), ("trained", TRAINED))
        ),
    ],
)
def test_the_loss_is_the_cross_entropy_of_masked_tokens(settings):
    params, state, _, evaluate = start(settings)
    num_codes = 6 if settings is FSQ else 8
    batch = one_view(8, seed=0)
    batch["valid"] = np.array([1] * 7 + [0], np.float32)
    got = evaluate(params, state, batch, KEY)

    mask_key, noise_key = jax.random.split(KEY, 5)[:2]
    masked = np.asarray(draw_blocks(mask_key, 8, num_tokens=4, block=1, probability=0.6))
    assert 0 < masked[:7].sum() < 28 and masked[7].any()
    heard = fill_with_noise(noise_key, batch["audio"], masked, hop=HOP, std=0.1)
    variables = {"params": params["model"], **state["model"]}
    x = MODEL.features(heard)
    tokens = np.asarray(MODEL.module.apply(variables, x, train=False)["tokens"], np.float64)
    layer = jax.tree.map(np.asarray, params["predictor"]["0"])
    codes = codes_of(settings, state, batch["audio"])
    scores = (tokens @ layer["kernel"] + layer["bias"]).reshape(*codes.shape, num_codes)
    losses, right = [], []
    for song, token in np.argwhere(masked[:7]):
        for stream, code in enumerate(codes[song, token]):
            row = scores[song, token, stream]
            losses.append(np.log(np.exp(row).sum()) - row[code])
            right.append(row.argmax() == code)
    np.testing.assert_allclose(got.per_example[:7].mean(), np.mean(losses), rtol=1e-4)
    assert got.per_example[7] == 0
    np.testing.assert_allclose(got.metrics["accuracy"][:7].mean(), np.mean(right), rtol=1e-5)
    streams = codes.shape[-1]
    assert (f"accuracy_{'stage_1' if settings is TRAINED else 'log_mel_2'}" in got.metrics) == (
        streams > 1
    )
    shares = [
        np.bincount(codes[:7, :, c][masked[:7]], minlength=8) / masked[:7].sum()
        for c in range(streams)
    ]
    entropy = [-sum(s * np.log(s) for s in share if s) for share in shares]
    np.testing.assert_allclose(got.metrics["code_perplexity"][0], np.exp(entropy).mean(), rtol=1e-4)


class _Table(nn.Module):
    """A network whose tokens are its parameters, whatever it hears."""

    num_labels: int = 2

    @nn.compact
    def __call__(self, x, *, train: bool):
        table = self.param("table", nn.initializers.normal(1.0), (4, 8))
        tokens = jnp.broadcast_to(table, (x.shape[0], 4, 8))
        return {"tokens": tokens, "embedding": tokens.mean(axis=1)}


def test_only_masked_tokens_are_learnt_from():
    model = dataclasses.replace(MODEL, name="table", module=_Table())
    objective = made(masked_tokens, model, **PROJECTED)
    initial, batch = jax.jit(objective.init)(KEY), one_view(1, seed=0)
    masked = draw_blocks(jax.random.split(KEY, 5)[0], 1, num_tokens=4, block=1, probability=0.6)[0]
    assert 0 < masked.sum() < 4

    def total(params):
        return objective.loss(params, initial["state"], batch, KEY).per_example.sum()

    found = jax.jit(jax.grad(total))(initial["params"])
    reached = np.abs(found["model"]["table"]).max(axis=1) > 0
    np.testing.assert_array_equal(reached, masked)


@functools.cache
def step_of_projected():
    """(params, state, batch) -> (gradients, state), compiled once."""
    objective = small(**PROJECTED)

    def total(params, state, batch):
        loss = objective.loss(params, state, batch, KEY)
        return loss.per_example.mean(), loss.state

    return jax.jit(jax.grad(total, has_aux=True))


def test_gradients_reach_the_network_and_what_is_drawn_stays():
    params, state, _, _ = start(PROJECTED)
    found, new = step_of_projected()(params, state, one_view(8, seed=0))
    for name, leaf in jax.tree_util.tree_leaves_with_path(found):
        assert np.isfinite(leaf).all(), name
    assert np.abs(found["model"]["blocks.0"]["mlp.fc1"]["kernel"]).max() > 0
    assert np.abs(found["predictor"]["0"]["kernel"]).max() > 0
    drawn = [tree["tokenizer"]["input"]["quantizer"] for tree in (state, new)]
    jax.tree.map(np.testing.assert_array_equal, *drawn)
    assert new["tokenizer"]["input"]["moments"]["count"] == 1


def test_always_guessing_the_commonest_code_is_the_other_number():
    params, state, _, evaluate = start(PROJECTED)
    batch = one_view(8, seed=0)
    for _ in range(3):
        _, state = step_of_projected()(params, state, batch)
    codes = codes_of(PROJECTED, state, batch["audio"])[..., 0]
    np.testing.assert_allclose(np.asarray(state["shares"]).sum(), 1, rtol=1e-5)
    masked = draw_blocks(jax.random.split(KEY, 5)[0], 8, num_tokens=4, block=1, probability=0.6)
    guess = int(np.asarray(state["shares"])[0].argmax())
    expected = (codes == guess)[np.asarray(masked)].mean()
    got = evaluate(params, state, batch, KEY).metrics["accuracy_commonest"]
    np.testing.assert_allclose(got.mean(), expected, rtol=1e-5)
    assert guess == np.bincount(codes.reshape(-1)).argmax()


def test_codes_that_are_all_alike_are_told_of():
    params, state, _, evaluate = start(PROJECTED)
    batch = one_view(8, seed=0)
    well = evaluate(params, state, batch, KEY).metrics
    silent = evaluate(params, state, batch | {"audio": np.zeros_like(batch["audio"])}, KEY).metrics
    assert well["code_perplexity"][0] > 1.4 > silent["code_perplexity"][0]
    said = collapse_message({"code_perplexity": float(silent["code_perplexity"][0])})
    assert "nearly all moments have the same code (code_perplexity 1.00" in said
    assert collapse_message({"code_perplexity": float(well["code_perplexity"][0])}) is None


class _OfOneView:
    """An objective that hears the first view of a batch of two."""

    def __init__(self, objective):
        self.init, self.evaluate = objective.init, objective.evaluate
        self.loss = lambda params, state, batch, key: objective.loss(
            params, state, batch | {"audio": batch["audio"][:, 0]}, key
        )


@pytest.mark.slow
def test_learns_more_than_how_frequent_codes_are():
    objective = small(**TRAINED)
    _, trained, _ = train(_OfOneView(objective), num_steps=150)
    found = judge(objective, trained, one_view(128, seed=10**6))
    assert found["accuracy"] > found["accuracy_commonest"] + 0.1
    assert found["loss"] < np.log(found["code_perplexity"])


@pytest.mark.slow
def test_one_device_equals_eight():
    objective = small(**SEVERAL)
    initial, batch = jax.jit(objective.init)(KEY), one_view(32, seed=0)
    one, eight = (gradients(objective, initial, batch, num_devices=count) for count in (1, 8))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5), one, eight)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tokenizer": "k_means"}, "objective.args.tokenizer is 'k_means'; allowed: random_proj"),
        ({"representations": ("chroma",)}, "objective.args.representations is 'chroma'; allowed:"),
        ({"representations": ("input", "input")}, "it must have some of input, log_mel, cqt, each"),
        (
            {"mask_probability": 1.0},
            r"objective.args.mask_probability is 1.0; it must be in \(0, 1",
        ),
        ({"mask_s": 1.0}, "mask_s is 1.0, which is 16 tokens of the 4 of a window of 0.256 s"),
        ({"num_codes": 1}, "objective.args.num_codes is 1; it must be"),
        ({"levels": (6, 1)}, r"objective.args.levels is \(6, 1\); it must be at least one number"),
        ({"tokenizer": "trained"}, "objective.args.teacher is '', which objective.args.tokenizer"),
        ({"teacher": "runs/a"}, "teacher is 'runs/a', but objective.args.tokenizer is 'random_"),
        (
            {"tokenizer": "trained", "teacher": "runs/a", "representations": ("cqt",)},
            r"representations is \('cqt',\), but the network of objective.args.teacher has its own",
        ),
    ],
)
def test_errors(settings, message):
    with pytest.raises(ValueError, match=message):
        made(masked_tokens, MODEL, **PROJECTED | settings)


def test_a_teacher_that_does_not_fit_is_refused():
    def told(teacher):
        return masked_tokens(Context(MODEL, teacher=teacher), **TRAINED)

    with pytest.raises(ValueError, match="'runs/rvq', whose codes are of 256 samples at 2000 Hz"):
        told(rvq_teacher(stack=4))
    untold = types.SimpleNamespace(model=MODEL, variables={})
    with pytest.raises(ValueError, match="'vit', which returns no 'codes' along time; .* take rvq"):
        told(untold)
    with pytest.raises(ValueError, match="'runs/rvq', and nobody has opened it"):
        told(None)


def test_what_the_pipeline_has_computed_cannot_be_masked():
    params, state, _, _ = start(PROJECTED)
    batch = one_view(2, seed=0)
    batch["features"] = MODEL.features(batch.pop("audio"))
    with pytest.raises(ValueError, match="features.on is 'pipeline', where nobody can mask"):
        small(**PROJECTED).loss(params, state, batch, KEY)


def test_patches_that_are_left_out_are_asked_for():
    model = small_model("vit", patch=(2, 16), patchout_rate=0.5)
    with pytest.raises(ValueError, match="model.args.patchout leaves tokens out"):
        made(masked_tokens, model, **PROJECTED)
