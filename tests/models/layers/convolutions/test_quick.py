"""The usual convolution with gradients of its own: the same values and the same gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from mclf_jax.common import parallel
from mclf_jax.models.layers.convolutions import quick as layer
from mclf_jax.models.layers.convolutions.quick import choose_ways, quick_conv

# Input, kernel, strides, padding.
CASES = {
    "strided": ((2, 9, 8, 3), (3, 3, 3, 4), (2, 2), ((1, 1), (1, 1))),
    "one axis": ((2, 6, 7, 3), (3, 3, 3, 4), (1, 2), ((1, 1), (0, 2))),
    "long strides": ((2, 11, 4, 3), (2, 1, 3, 4), (3, 1), ((0, 0), (0, 0))),
    "samples": ((2, 20, 3), (3, 3, 4), (1,), ((1, 1),)),
}
LAYOUTS = {3: ("NWC", "WIO", "NWC"), 4: ("NHWC", "HWIO", "NHWC")}


@pytest.fixture
def chosen(monkeypatch):
    """Whatever the size, layers are differentiated in ways of their own."""
    for name in ("_POSITIONS", "_POSITIONS_STRIDED", "_POSITIONS_OF_BATCH", "_INPUTS", "_OUTPUTS"):
        monkeypatch.setattr(layer, name, 0)
    monkeypatch.setattr(layer, "_BLOCK", 20)
    monkeypatch.setattr(jax, "device_count", lambda: 1)


def energies(case):
    """The layer, ours and XLA's: functions of input and kernel."""
    shape, kernel_shape, strides, padding = CASES[case]
    rng = np.random.default_rng(0)
    given = rng.normal(size=shape), rng.normal(size=kernel_shape)

    def energy(convolve, x, kernel):
        numbers = lax.conv_dimension_numbers(x.shape, kernel.shape, LAYOUTS[x.ndim])
        return jnp.sin(convolve(x, kernel, strides, padding, dimension_numbers=numbers)).sum()

    calls = (functools.partial(energy, f) for f in (quick_conv, lax.conv_general_dilated))
    return given, *calls


@pytest.mark.slow_beyond(2)
@pytest.mark.parametrize(
    ("case", "few"),
    [
        ("strided", 0),
        ("samples", 8),
        ("one axis", 0),
        ("long strides", 0),
        ("strided", 8),
    ],
)
def test_gradients_are_those_of_xla(case, few, chosen, monkeypatch):
    monkeypatch.setattr(layer, "_FEW", few)
    with jax.enable_x64(True):
        given, ours, usual = energies(case)
        assert "_conv" in str(jax.make_jaxpr(ours)(*given))
        found, wanted = (
            jax.jit(jax.value_and_grad(call, argnums=(0, 1)))(*given) for call in (ours, usual)
        )
        assert found[0] == wanted[0]
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12), found, wanted
        )


@pytest.mark.slow_beyond(2)
def test_it_is_a_function_like_others(chosen, monkeypatch):
    """Under vmap, split over devices, and for programs that are stored for another platform."""
    monkeypatch.setattr(layer, "_FEW", 0)
    given, ours, usual = energies("strided")
    given = tuple(np.float32(array) for array in given)
    pair = np.stack([given[0], 2 * given[0]])
    found, wanted = (
        jax.vmap(jax.grad(call, argnums=1), (0, None))(pair, given[1]) for call in (ours, usual)
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)

    x = parallel.put_batch({"x": given[0]}, parallel.make_mesh(devices=jax.devices()[:2]))["x"]
    gradient = jax.jit(jax.grad(ours, argnums=1))
    np.testing.assert_allclose(gradient(x, given[1]), wanted[0], rtol=1e-4, atol=1e-4)

    for platform, loops in (("cpu", True), ("tpu", False)):
        text = jax.export.export(gradient, platforms=[platform])(*given).mlir_module()
        assert ("stablehlo.while" in text) == loops


def test_ways_by_shape():
    same, halved = ((1, 1), ((1, 1), (1, 1))), ((2, 2), ((1, 1), (1, 1)))
    assert choose_ways((8, 115, 64, 128), (3, 3, 128, 128), *same) == ("blocks", "xla")
    assert choose_ways((8, 116, 64, 128), (3, 3, 128, 128), *halved) == ("blocks", "phases")
    assert choose_ways((8, 58, 32, 128), (3, 3, 128, 256), *halved) == ("blocks", "xla")
    assert choose_ways((8, 231, 128, 1), (3, 3, 1, 128), *same) == ("product", "product")
    assert choose_ways((8, 59049, 1), (3, 1, 128), *halved) == ("product", "product")
    assert choose_ways((8, 19683, 128), (3, 128, 128), *same) == ("xla", "xla")
    assert choose_ways((8, 7, 4, 256), (3, 3, 256, 256), *same) == ("xla", "xla")
    assert choose_ways((8, 231, 128, 1), (3, 3, 1, 4), *same) == ("xla", "xla")


def test_small_layers_and_many_devices_are_left_to_xla(monkeypatch):
    x, kernel = np.ones((1, 30, 30, 32), "f4"), np.ones((3, 3, 32, 32), "f4")
    settings = {"dimension_numbers": LAYOUTS[4], "padding": ((1, 1), (1, 1))}

    def text(x):
        call = functools.partial(quick_conv, window_strides=(1, 1), **settings)
        return str(jax.make_jaxpr(call)(x, kernel.astype(x.dtype)))

    monkeypatch.setattr(jax, "device_count", lambda: 1)
    assert "custom_vjp" in text(x)
    assert "custom_vjp" not in text(x[:, :9])
    assert "custom_vjp" not in text(x.astype(jnp.bfloat16))
    monkeypatch.setattr(jax, "device_count", lambda: 8)
    assert "custom_vjp" not in text(x)


def test_a_batch_of_any_size_is_exported(monkeypatch):
    """188 positions an example are few channels' product in a large batch, and not in a small."""
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    settings = {"dimension_numbers": LAYOUTS[3], "padding": ((0, 0),), "window_strides": (1,)}
    call = jax.jit(functools.partial(quick_conv, **settings))
    (batch,) = jax.export.symbolic_shape("B")
    x = jax.ShapeDtypeStruct((batch, 190, 1), jnp.float32)
    kernel = np.ones((3, 1, 32), np.float32)
    exported = jax.export.export(call)(x, kernel)
    found = exported.call(np.ones((2, 190, 1), np.float32), kernel)
    assert found.shape == (2, 188, 32) and (found == 3).all()
