"""`parallel.params=fsdp`: parameters are split over devices, and the work is split by songs."""

import dataclasses
import functools
import importlib.util

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax.common import keys, parallel
from mclf_jax.objectives.supervised import supervised
from mclf_jax.train.step import init_state, make_train_step
from mclf_jax.train.topology import program
from mclf_jax.train.topology.devices import devices_of
from tests.objectives.material import made
from tests.train.test_step import batches, run, sgd, small_model

NEEDS_LIBTPU = pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None, reason="libtpu is not installed"
)
WIDTH, LAYERS, BATCH, DEVICES = 256, 3, 64, 8
LAYER_BYTES = 4 * WIDTH * WIDTH


class Wide(nn.Module):
    """More bytes of parameters than of activations, where splitting them matters."""

    @nn.compact
    def __call__(self, x, *, train):
        x = x.reshape(x.shape[0], -1)[:, :WIDTH]
        for i in range(LAYERS):
            x = nn.relu(nn.Dense(WIDTH, name=f"layer{i}")(x))
        return {"embedding": x, "logits": nn.Dense(3, name="head")(x)}


def compiled(strategy, devices=None):
    model = dataclasses.replace(small_model(), module=Wide())
    settings = {"objective": made(supervised, model, task="single_label"), "optimizer": sgd()}
    mesh = parallel.make_mesh(DEVICES, devices=devices)
    initial = functools.partial(init_state, keys.stream(0, "init"), ema_decay=0.0, **settings)
    state = jax.eval_shape(initial)
    shardings = parallel.param_shardings(state, mesh, strategy=strategy)
    shapes = {"features": (BATCH, *model.input_shape), "label": (BATCH,), "valid": (BATCH,)}
    rows = parallel.split_by_rows(mesh)
    batch = {
        name: jax.ShapeDtypeStruct(shape, jnp.int32 if name == "label" else "f4", sharding=rows)
        for name, shape in shapes.items()
    }
    step = jax.jit(
        make_train_step(seed=0, shardings=shardings, **settings),
        donate_argnums=0,
        out_shardings=(shardings, parallel.replicated(mesh)),
    )
    state = jax.tree.map(
        lambda leaf, at: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=at), state, shardings
    )
    return step.lower(state, batch).compile()


@pytest.mark.parametrize(
    "topology", ["cpu:8", pytest.param("v5e:2x4", marks=[pytest.mark.slow, NEEDS_LIBTPU])]
)
def test_parameters_are_gathered_and_activations_stay_split_by_songs(topology):
    devices = devices_of(topology)
    replicated, split = compiled("replicated", devices), compiled("fsdp", devices)
    before, after = replicated.memory_analysis(), split.memory_analysis()
    held = before.argument_size_in_bytes - after.argument_size_in_bytes
    assert held >= LAYERS * LAYER_BYTES * (DEVICES - 1) / DEVICES
    # On a TPU the next layer comes while one is at work.
    ahead = 1 if topology.startswith("cpu") else 2
    assert after.temp_size_in_bytes <= before.temp_size_in_bytes + ahead * LAYER_BYTES
    flops = [one.cost_analysis()["flops"] for one in (replicated, split)]
    # The optimiser alone has less to do, on a share of the parameters.
    assert 0.85 < flops[1] / flops[0] <= 1
    found = program.collectives(program.parse(split.as_text()))
    # Each layer comes whole for the forward pass and, but for the first one, for the backward pass.
    assert LAYERS <= found["all-gather"]["count"] < 2 * LAYERS
    assert found["all-gather"]["bytes"] <= 2 * LAYERS * LAYER_BYTES
    if ahead == 2:  # the compiler of CPUs adds up the whole, and takes a part of it
        assert found["reduce-scatter"]["bytes"] == LAYERS * LAYER_BYTES / DEVICES


@pytest.mark.parametrize("groups", [1, 2])
def test_losses_are_those_of_one_device(groups):
    objective = made(
        supervised, dataclasses.replace(small_model(), module=Wide()), task="single_label"
    )
    settings = {"objective": objective, "optimizer": sgd()}
    one, _ = run(1, batches(3, batch_size=8), **settings)
    settings |= {"strategy": "fsdp", "groups": groups}
    split, state = run(8, batches(3, batch_size=8), **settings)
    np.testing.assert_allclose(split, one, rtol=1e-5)
    kernel = state.params["model"]["layer1"]["kernel"]
    assert kernel.addressable_shards[0].data.size == kernel.size // (8 // groups)


def test_parts_of_a_batch_add_up_to_it_on_any_number_of_devices():
    objective = made(
        supervised, dataclasses.replace(small_model(), module=Wide()), task="single_label"
    )
    settings = {"objective": objective, "optimizer": sgd()}
    data = list(batches(3, batch_size=16))
    data[1]["valid"][3:9] = 0
    whole, state = run(1, data, **settings)
    for num_devices, strategy in ((1, "replicated"), (4, "fsdp")):
        parts, other = run(num_devices, data, strategy=strategy, accumulate=4, **settings)
        np.testing.assert_allclose(parts, whole, rtol=1e-5)
        for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(other), strict=True):
            np.testing.assert_allclose(np.asarray(a), np.asarray(b), atol=1e-5)


def test_groups_are_of_near_devices():
    @dataclasses.dataclass(frozen=True)
    class Device:
        id: int
        slice_index: int
        device_kind: str = "GPU"
        platform: str = "gpu"
        process_index: int = 0

    hosts = [Device(id=i, slice_index=i % 2) for i in range(6)]
    mesh = parallel.make_mesh(devices=hosts)
    assert mesh.axis_names == ("group", "data")
    assert [[one.id for one in row] for row in mesh.devices] == [[0, 2, 4], [1, 3, 5]]
    assert parallel.make_mesh(groups=1, devices=hosts).devices.shape == (1, 6)
    assert parallel.make_mesh(5, devices=hosts).devices.shape == (1, 5)
    with pytest.raises(ValueError, match="runtime.num_groups is 4; it must divide the 6 devices"):
        parallel.make_mesh(groups=4, devices=hosts)
