"""Every network: size as published, learns from scratch, compiles once, and its options."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax import data, models
from mclf_jax.common import keys
from mclf_jax.config import base
from mclf_jax.models.encoders.pase import PLUS as PASE_PLUS
from mclf_jax.models.encoders.wav2vec import LARGE as WAV2VEC_LARGE
from mclf_jax.objectives.supervised import supervised
from mclf_jax.train import optim
from mclf_jax.train.step import init_state, make_train_step
from tests.objectives.material import made

pytestmark = pytest.mark.usefixtures("quick_compiles")

# num_labels, further arguments, parameters: reference counts of the published versions.
PUBLISHED = [
    ("fcn", 50, {}, 447_732),
    ("vgg_ish", 50, {}, 605_748),
    ("musicnn", 50, {}, 784_300),
    ("musicnn", 50, {"backend_channels": 512, "dense_units": 500}, 7_972_000),
    ("crnn", 50, {}, 394_100),
    ("sample_cnn", 50, {}, 1_869_874),
    ("sample_cnn_se", 50, {}, 6_951_858),
    ("cnnsa", 50, {}, 10_521_652),
    ("harmonic_cnn", 50, {}, 3_631_551),
    ("short_chunk_cnn", 50, {}, 3_687_348),
    ("short_chunk_resnet", 50, {}, 12_104_244),
    ("music_tagging_transformer", 50, {}, 4_567_732),
    ("music_tagging_transformer", 50, {"attention_dim": 64}, 1_108_852),
    ("tutorial_cnn", 10, {}, 40_124),
    ("clmr_sample_cnn", 50, {}, 2_394_162),
    ("clmr_sample_cnn", 10, {}, 2_373_642),
    ("cpc", 50, {}, 6_380_082),
    ("cpc", 50, {"num_codes": 512}, 6_068_850),
    ("wav2vec", 50, {}, 12_370_482),
    ("wav2vec", 50, WAV2VEC_LARGE, 29_416_498),
    ("pase", 50, {}, 5_823_070),
    ("pase", 50, PASE_PLUS, 7_845_746),
]

FIVE_SECONDS = {"window_s": 5.0}
# Small enough for a CPU. Sample-level networks cannot be shortened: their poolings need 3^10.
SMALL = {
    "fcn": {"n_channels": 8, "pools": ((3, 2), (3, 2), (3, 2), (3, 3), (3, 4))} | FIVE_SECONDS,
    "vgg_ish": {"n_channels": 8},
    "musicnn": {"n_channels": 3, "backend_channels": 16, "dense_units": 32, "window_s": 1.0},
    "crnn": {"n_channels": 8} | FIVE_SECONDS,
    "sample_cnn": {"n_channels": 4},
    "sample_cnn_se": {"n_channels": 4},
    "cnnsa": {"n_channels": 16, "num_heads": 4} | FIVE_SECONDS,
    "harmonic_cnn": {"n_channels": 6},
    "short_chunk_cnn": {"n_channels": 4},
    "short_chunk_resnet": {"n_channels": 4},
    "music_tagging_transformer": {
        "conv_channels": 8,
        "attention_dim": 32,
        "num_heads": 4,
        "num_layers": 2,
    }
    | FIVE_SECONDS,
    "tutorial_cnn": {"pools": ((2, 2), (3, 3), (3, 2), (3, 3), (3, 3))} | FIVE_SECONDS,
    "clmr_sample_cnn": {"n_channels": 4},
    "cpc": {
        "n_channels": 32,
        "context_dim": 64,
        "kernel_sizes": (10, 8, 4, 4),
        "strides": (5, 4, 4, 4),
        "paddings": (2, 2, 2, 2),
        "norm": "layer",
        "window_s": 1.0,
    },
    "wav2vec": {"n_channels": 32, "context_kernel_sizes": (3, 3), "window_s": 1.0},
    "pase": {"n_channels": 8, "embedding_dim": 32},
}


def small(name, **changes):
    dropout = {key: 0.0 for key in models.arguments_of(name) if key.endswith("dropout_rate")}
    return models.build(name, num_labels=10, **(SMALL[name] | dropout | changes))


@functools.cache
def songs(sample_rate_hz):
    """Five seconds of three songs, each of another style."""
    source = data.build("synthetic", sample_rate_hz=sample_rate_hz, song_s=5.0, num_songs=30)
    rows = range(3)
    return {
        "audio": np.stack([source[i]["audio"] for i in rows]),
        "label": source.labels[rows],
        "valid": np.ones(3, np.float32),
    }


def one_batch(model):
    batch = songs(model.features.sample_rate_hz)
    features = model.features(batch["audio"][:, : model.window_samples])
    return {"features": features, "label": batch["label"], "valid": batch["valid"]}


def training(model, learning_rate=1e-2):
    """(jitted step, initial state)."""
    config = base().optim
    config.update({"name": "adam", "learning_rate": learning_rate, "grad_clip_norm": 1.0})
    settings = {
        "objective": made(supervised, model, task="single_label"),
        "optimizer": optim.build(config, total_steps=1000),
        "ema_decay": 0.0,
    }
    step = jax.jit(make_train_step(seed=0, **settings), donate_argnums=0)
    return step, jax.jit(lambda: init_state(keys.stream(0, "init"), **settings))()


def count(tree):
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(("name", "num_labels", "arguments", "parameters"), PUBLISHED)
def test_has_the_published_size(name, num_labels, arguments, parameters):
    model = models.build(name, num_labels=num_labels, **arguments)
    variables = jax.eval_shape(model.init, jax.random.key(0))
    assert count(variables["params"]) == parameters
    audio = jax.ShapeDtypeStruct((2, model.window_samples), jnp.float32)
    outputs = jax.eval_shape(model.apply, variables, audio)
    assert outputs["logits"].shape == (2, num_labels)
    head = models.ARCHITECTURES[name].head
    assert outputs["embedding"].shape[1] == variables["params"][head]["kernel"].shape[0]


def test_every_network_is_covered():
    assert set(SMALL) == set(models.ARCHITECTURES) == {name for name, *_ in PUBLISHED}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_learns_one_batch_by_heart(name):
    model = small(name)
    step, state = training(model)
    batch = one_batch(model)
    losses = []
    for _ in range(100):
        state, metrics = step(state, batch)
        losses.append(float(metrics["loss"]))
        if losses[-1] < 0.1:
            break
    assert losses[0] > 1.5  # ln 10 = 2.3 where nothing is known
    assert losses[-1] < 0.1
    assert step._cache_size() == 1


@pytest.mark.parametrize("n_mels", [96, 128])
@pytest.mark.parametrize("name", ["fcn", "musicnn", "crnn"])
def test_mel_variants(name, n_mels):
    model = models.build(name, num_labels=50, n_mels=n_mels)
    variables = jax.eval_shape(model.init, jax.random.key(0))
    assert model.input_shape[1] == n_mels
    if name == "musicnn":
        heights = [variables["params"][f"layers.{i}"]["conv"]["kernel"].shape[1] for i in (0, 1)]
        assert heights == {96: [67, 38], 128: [89, 51]}[n_mels]


@pytest.mark.parametrize(
    ("strides", "rate", "samples"),
    [
        ((3,) * 9, 22050, 59_049),
        ((3, 3, 3, 3, 3, 3, 5, 2, 2), 16000, 43_740),
        ((3, 3, 3, 2, 2, 4, 4, 2, 2), 8000, 20_736),
    ],
)
def test_clmr_stride_plans_leave_one_step(strides, rate, samples):
    model = models.build(
        "clmr_sample_cnn",
        num_labels=5,
        strides=strides,
        features={"sample_rate_hz": rate},
        window_s=samples / rate,
    )
    assert model.window_samples == samples
    variables = jax.eval_shape(model.init, jax.random.key(0))
    assert variables["params"]["fc"]["kernel"].shape == (512, 5)


@pytest.mark.parametrize("name", ["musicnn", "music_tagging_transformer", "crnn"])
@pytest.mark.slow
def test_bfloat16_computes_the_same_roughly_and_keeps_float32_weights(name):
    window = {"window_s": 2.0}  # CPUs are slow at it
    precise, rough = small(name, **window), small(name, dtype="bfloat16", **window)
    variables = precise.init(jax.random.key(0))
    x = jnp.asarray(one_batch(precise)["features"])
    outputs = [
        jax.jit(lambda v, x, m=m: m.module.apply(v, x, train=False))(variables, x)
        for m in (precise, rough)
    ]
    assert outputs[1]["logits"].dtype == outputs[1]["embedding"].dtype == jnp.float32
    scale = float(jnp.abs(outputs[0]["logits"]).max())
    difference = float(jnp.abs(outputs[0]["logits"] - outputs[1]["logits"]).max())
    assert 0 < difference < 0.05 * scale
    step, state = training(rough)
    batch = one_batch(rough)
    state, metrics = step(state, batch)
    assert {leaf.dtype for leaf in jax.tree.leaves((state.params, state.model_state))} == {
        jnp.dtype("float32")
    }
    assert np.isfinite(metrics["loss"])


@pytest.mark.parametrize("name", ["short_chunk_resnet", "music_tagging_transformer"])
@pytest.mark.slow
def test_remat_keeps_less_for_the_same_gradient(name):
    kept, gradients = {}, {}
    for remat in models.REMATS:
        model = small(name, remat=remat, window_s=4.0)
        variables = model.init(jax.random.key(0))
        state = {"batch_stats": variables["batch_stats"]}
        x = jax.random.normal(jax.random.key(1), (2, *model.input_shape))

        def logits(params, model=model, state=state, x=x):
            outputs, _ = model.apply_train(params, state, x, key=jax.random.key(2))
            return outputs["logits"]

        residuals = jax.eval_shape(lambda p, f=logits: jax.vjp(f, p)[1], variables["params"])
        kept[remat] = count(residuals)
        gradients[remat] = jax.jit(jax.grad(lambda p, f=logits: (f(p) ** 2).sum()))(
            variables["params"]
        )
    assert kept["blocks"] < 0.6 * kept["none"]
    for a, b in zip(*map(jax.tree.leaves, gradients.values()), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3 * max(1.0, float(jnp.abs(a).max())))


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("name", ["cnnsa", "music_tagging_transformer"])
def test_both_attentions_are_the_same_function(name):
    plain, fused = small(name), small(name, attention="dot_product_attention")
    variables = plain.init(jax.random.key(0))
    x = jnp.asarray(one_batch(plain)["features"])

    def loss(params, model):
        state = {"batch_stats": variables["batch_stats"]}
        outputs, _ = model.apply_train(params, state, x, key=jax.random.key(1))
        return (outputs["logits"] ** 2).sum()

    values = [
        jax.jit(jax.value_and_grad(loss), static_argnums=1)(variables["params"], model)
        for model in (plain, fused)
    ]
    np.testing.assert_allclose(values[0][0], values[1][0], rtol=1e-4)
    for a, b in zip(*map(jax.tree.leaves, (values[0][1], values[1][1])), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-2 * max(1.0, float(jnp.abs(a).max())))


def test_fused_attention_refuses_dropout_on_its_weights():
    model = small("cnnsa", attention="dot_product_attention", attention_dropout_rate=0.5)
    variables = jax.eval_shape(model.init, jax.random.key(0))
    x = jnp.zeros((1, *model.input_shape))
    with pytest.raises(ValueError, match="attention_dropout_rate=0"):
        jax.eval_shape(
            lambda v: model.apply_train(
                v["params"], {"batch_stats": v["batch_stats"]}, x, key=jax.random.key(0)
            ),
            variables,
        )


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("resnet", {}, "model.name is 'resnet'; allowed: clmr_sample_cnn, cnnsa"),
        ("fcn", {"n_chanels": 3}, "fcn takes dropout_rate, n_channels, pools"),
        ("fcn", {"dtype": "float16"}, "model.dtype is 'float16'; allowed: float32, bfloat16"),
        ("fcn", {"remat": "all"}, "model.remat is 'all'; allowed: none, blocks"),
        ("sample_cnn", {"n_mels": 96}, "sample_cnn takes a waveform; its fields are sample_rate"),
        ("fcn", {"window_s": 1.0}, "the input is too small for this network"),
        ("music_tagging_transformer", {"window_s": 60.0}, "positions for 512"),
        ("music_tagging_transformer", {"attention_dim": 100}, "a multiple of"),
        ("clmr_sample_cnn", {"strides": (3, 3)}, "it must have 9"),
        ("cnnsa", {"attention": "flash"}, "allowed: plain, dot_product_attention"),
    ],
)
def test_errors_say_what_is_allowed(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        model = models.build(name, num_labels=2, **arguments)
        jax.eval_shape(model.init, jax.random.key(0))
