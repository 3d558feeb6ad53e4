"""Every network: size as published, learns from scratch, compiles once, and its options."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax import data, models
from mclf_jax.common import keys
from mclf_jax.config import base
from mclf_jax.models.encoders.pase import PLUS as PASE_PLUS
from mclf_jax.models.encoders.wav2vec import LARGE as WAV2VEC_LARGE
from mclf_jax.models.patches.vit import BASE as VIT_BASE
from mclf_jax.objectives.supervised import supervised
from mclf_jax.train import optim
from mclf_jax.train.step import init_state, make_train_step
from tests.models.reference import WITHOUT_FIXTURE
from tests.objectives.material import made

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
    ("vit", 50, {}, 21_412_276),
    ("vit", 50, VIT_BASE, 85_291_828),
    ("musicfm", 50, {}, 316_394_546),
    ("mobilenet", 527, {}, 4_876_831),
    ("mobilenet", 527, {"hidden_size": 512}, 983_599),
    ("rvq", 50, {}, 292_146),
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
    "vit": {"attention_dim": 32, "head_dim": 16, "num_layers": 2, "window_s": 2.0},
    "musicfm": {
        "conv_channels": 4,
        "attention_dim": 32,
        "num_heads": 4,
        "num_layers": 2,
        "kernel_size": 5,
        "window_s": 1.0,
    },
    "mobilenet": {"hidden_size": 128, "window_s": 1.0},
    "rvq": {"num_stages": 2, "num_codes": 16, "window_s": 1.0},
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
@pytest.mark.parametrize("name", sorted(WITHOUT_FIXTURE))
def test_learns_one_batch_by_heart(name):
    """The others learn as their published versions do: test_parity.py."""
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
    x = one_batch(precise)["features"]
    outputs = [
        jax.jit(lambda v, x, m=m: m.module.apply(v, x, train=False))(variables, x)
        for m in (precise, rough)
    ]
    assert outputs[1]["logits"].dtype == outputs[1]["embedding"].dtype == jnp.float32
    logits = [np.asarray(output["logits"]) for output in outputs]
    assert 0 < np.abs(logits[0] - logits[1]).max() < 0.05 * np.abs(logits[0]).max()

    def step(x):
        variables = rough.init(jax.random.key(0))
        params, state = variables["params"], {"batch_stats": variables["batch_stats"]}
        return variables, rough.apply_train(params, state, x, key=jax.random.key(0))[1]

    dtypes = {leaf.dtype for leaf in jax.tree.leaves(jax.eval_shape(step, x))}
    assert dtypes == {jnp.dtype("float32")}


@pytest.mark.parametrize("name", ["short_chunk_resnet", "music_tagging_transformer"])
@pytest.mark.slow
def test_remat_keeps_less_for_the_same_gradient(name):
    kept, gradients = {}, {}
    fewer = {"num_blocks": 4} if name == "short_chunk_resnet" else {}
    variables = small(name, window_s=1.0, **fewer).init(jax.random.key(0))
    state = {"batch_stats": variables["batch_stats"]}
    for remat in models.REMATS:
        model = small(name, remat=remat, window_s=1.0, **fewer)
        x = np.random.default_rng(0).standard_normal((2, *model.input_shape)).astype("f4")

        def logits(params, model=model, x=x):
            outputs, _ = model.apply_train(params, state, x, key=jax.random.key(2))
            return outputs["logits"]

        residuals = jax.eval_shape(lambda p, f=logits: jax.vjp(f, p)[1], variables["params"])
        kept[remat] = count(residuals)
        gradients[remat] = jax.jit(jax.grad(lambda p, f=logits: (f(p) ** 2).sum()))(
            variables["params"]
        )
    assert kept["blocks"] < 0.6 * kept["none"]
    for a, b in zip(*map(jax.tree.leaves, gradients.values()), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3 * max(1.0, np.abs(a).max()))


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("name", ["music_tagging_transformer", "cnnsa"])
def test_both_attentions_are_the_same_function(name):
    """In the layers that have them: the last of the network."""
    layer = {"cnnsa": "encoder.layer.1", "music_tagging_transformer": "transformer.layers.1"}[name]
    heard = np.random.default_rng(0).standard_normal((3, 19, 32)).astype("f4")
    found = {}
    for attention in ("plain", "dot_product_attention"):
        model = small(name, attention=attention)
        shapes = jax.eval_shape(model.init, jax.random.key(0))["params"]
        inside = _layer(model, layer)
        assert inside.attention == attention

        @jax.jit
        @jax.value_and_grad
        def loss(params, inside=inside):
            return (inside.apply({"params": params}, heard, train=True) ** 2).sum()

        params = jax.jit(lambda x, m=inside: m.init(jax.random.key(0), x, train=False))(heard)
        assert jax.tree.structure(params["params"]) == jax.tree.structure(shapes[layer])
        found[attention] = loss(params["params"])
    (plain, slopes), (fused, others) = found.values()
    np.testing.assert_allclose(plain, fused, rtol=1e-4)
    for a, b in zip(*map(jax.tree.leaves, (slopes, others)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-2 * max(1.0, np.abs(a).max()))


def _layer(model, name):
    """A submodule as the network makes it, on its own."""
    found = {}

    def note(call, args, kwargs, context):
        if context.module.name == name:
            found[name] = context.module.clone(parent=None, name=None)
        return call(*args, **kwargs)

    x = jnp.zeros((1, *model.input_shape))
    with nn.intercept_methods(note):
        jax.eval_shape(lambda k: model.module.init(k, x, train=False), jax.random.key(0))
    return found[name]


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
        ("vit", {"attention_dim": 100}, "attention_dim is 100; it must be a multiple of"),
        ("vit", {"window_s": 0.4}, r"patch is \(16, 16\), which does not fit in"),
        ("music_tagging_transformer", {"attention_dim": 100}, "a multiple of"),
        ("clmr_sample_cnn", {"strides": (3, 3)}, "it must have 9"),
        ("cnnsa", {"attention": "flash"}, "allowed: plain, dot_product_attention"),
    ],
)
def test_errors_say_what_is_allowed(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        model = models.build(name, num_labels=2, **arguments)
        jax.eval_shape(model.init, jax.random.key(0))
