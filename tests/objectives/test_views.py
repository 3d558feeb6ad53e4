"""Views reach the network augmented, and chunks give the gradients of the whole."""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from mclf_jax.augment import Chains, FreqMask, PolarityInversion, compose, random_apply
from mclf_jax.common import parallel
from mclf_jax.objectives import views
from tests.objectives.material import small_model, songs

KEY = jax.random.key(0)


class Plain(nn.Module):
    """A network without batch norm."""

    @nn.compact
    def __call__(self, x, *, train):
        x = nn.Conv(8, (5, 5))(x[..., None])
        x = nn.tanh(x).mean(axis=1).reshape(len(x), -1)
        return {"embedding": nn.Dense(6)(x), "logits": x}


def inputs(model, batch, chains=Chains(), num_views=2):  # noqa: B008
    call = functools.partial(views.augmented, model, chains, num_views=num_views, key=KEY)
    return np.asarray(jax.jit(call)(batch))


@pytest.mark.slow
def test_inputs_are_the_features_of_each_view():
    model = small_model()
    batch = songs(4, seed=0)
    x = inputs(model, batch)
    assert x.shape == (4, 2, *model.input_shape)
    expected = jax.jit(model.inputs)({"audio": batch["audio"][:, 1]})
    np.testing.assert_allclose(x[:, 1], expected, rtol=1e-4, atol=1e-3)
    from_pipeline = {name: rows for name, rows in batch.items() if name != "audio"}
    np.testing.assert_array_equal(inputs(model, from_pipeline | {"features": x}), x)


@pytest.mark.slow
def test_every_view_has_draws_of_its_own():
    model = small_model("clmr_sample_cnn")
    flip = Chains(waveform=compose([random_apply(PolarityInversion(), p=0.5)]))
    batch = songs(32, seed=0)
    sign = np.sign((inputs(model, batch, flip) * batch["audio"]).sum(axis=-1))
    assert set(np.unique(sign)) == {-1, 1}
    assert 0 < (sign[:, 0] == sign[:, 1]).mean() < 1

    masks = Chains(spectrogram=compose([FreqMask(1, 8)]))
    model = small_model()
    changed = np.asarray(inputs(model, batch, masks) != inputs(model, batch)).any(axis=2)
    assert (changed[:, 0] != changed[:, 1]).any(axis=-1).mean() > 0.5


def test_another_number_of_views_is_refused():
    model = small_model()
    with pytest.raises(ValueError, match=r"audio of the batch is \(4, 3, 512\).*needs 2 views"):
        inputs(model, songs(4, seed=0, num_views=3))
    single = songs(4, seed=0)
    single["audio"] = single["audio"][:, 0]
    with pytest.raises(ValueError, match=r"audio of the batch is \(4, 512\)"):
        inputs(model, single)


def encode_and_differentiate(model, *, num_chunks, num_devices=1):
    variables = jax.jit(model.init)(KEY)
    params = variables.pop("params")
    x = inputs(model, songs(16, seed=0))
    weight = np.random.default_rng(0).standard_normal((16, 2, views.embedding_size(model)))

    def loss(params, x):
        embedding, state = views.encode(
            model, params, variables, x, mode="train", key=KEY, num_chunks=num_chunks
        )
        return (embedding * weight).sum(), (embedding, state)

    mesh = parallel.make_mesh(num_devices)
    x = jax.device_put(x, NamedSharding(mesh, PartitionSpec("data")))
    step = jax.jit(jax.value_and_grad(loss, has_aux=True))
    return jax.device_get(step(jax.device_put(params, parallel.replicated(mesh)), x))


@pytest.mark.parametrize(("num_chunks", "num_devices"), [(2, 1), (4, 1), (16, 1), (2, 8)])
@pytest.mark.slow_beyond(2)
def test_chunks_give_the_gradients_of_the_whole(num_chunks, num_devices):
    model = dataclasses.replace(small_model(), module=Plain())
    whole = encode_and_differentiate(model, num_chunks=1)
    chunked = encode_and_differentiate(model, num_chunks=num_chunks, num_devices=num_devices)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), whole, chunked
    )


@pytest.mark.slow
def test_statistics_of_chunks_pass_on():
    model = small_model()
    x = inputs(model, songs(16, seed=0))
    variables = jax.jit(model.init)(KEY)
    params = variables.pop("params")
    state = variables
    encode = jax.jit(
        functools.partial(views.encode, model, mode="train", key=KEY), static_argnames="num_chunks"
    )
    encoded = [None] * 2
    for chunk in range(2):
        encoded[chunk], state = encode(params, state, x[chunk::2])
    embedding, chunked_state = encode(params, variables, x, num_chunks=2)
    for chunk in range(2):
        np.testing.assert_allclose(embedding[chunk::2], encoded[chunk], atol=1e-4)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), chunked_state, state)


@pytest.mark.slow
def test_chunks_need_less_memory():
    model = small_model(n_channels=16)
    variables = jax.eval_shape(model.init, KEY)
    x = jax.ShapeDtypeStruct((128, 2, *model.input_shape), jnp.float32)

    def temporary_bytes(num_chunks):
        def loss(params, state, x):
            embedding, _ = views.encode(
                model, params, state, x, mode="train", key=KEY, num_chunks=num_chunks
            )
            return jnp.square(embedding).sum()

        state = {k: v for k, v in variables.items() if k != "params"}
        compiled = jax.jit(jax.grad(loss)).lower(variables["params"], state, x).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert temporary_bytes(8) < temporary_bytes(1) / 3


def test_chunks_must_divide_the_batch():
    model = small_model()
    x = inputs(model, songs(4, seed=0))
    with pytest.raises(ValueError, match="num_chunks is 3; it must divide train.batch_size.* 4"):
        views.encode(model, {}, {}, x, mode="train", key=KEY, num_chunks=3)
