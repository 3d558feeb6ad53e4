"""Many devices as one: start of the processes, the mesh, who holds what, batches onto it.

One program in the global view: arrays are global, `jax.jit` splits the work by their
shardings. The batch is split over the mesh axis "data"; parameters are replicated, or
split too ("fsdp").
"""

import functools
import os
from collections.abc import Sequence
from typing import Any

import jax
from jax.ad_checkpoint import checkpoint_name, checkpoint_policies
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from mclf_jax.common import peers

PyTree = Any

# Below this an array is cheaper to keep everywhere than to gather.
_FSDP_MIN_SIZE = 2**14
_GATHERED = "gathered parameters"
WITHOUT_GATHERED = checkpoint_policies.save_anything_except_these_names(_GATHERED)
"""A policy of `jax.checkpoint`: all is kept for the backward pass but what `gather` made."""


def start() -> None:
    """Join the other processes of a run; before anything else touches a device.

    When one of them ends too early, all do, see `peers`. Where JAX detects the cluster (see
    `jax.distributed.initialize`: Slurm, TPU pods and more) nothing else is needed. Elsewhere the
    environment says it: JAX_COORDINATOR_ADDRESS (host:port), JAX_NUM_PROCESSES and JAX_PROCESS_ID.
    """
    names = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
    given = {name: os.environ[name] for name in names if name in os.environ}
    if given and len(given) < len(names):
        raise ValueError(
            f"for --distributed set all of {', '.join(names)}, or none; got {', '.join(given)}"
        )
    if not given:
        peers.join()
        return
    peers.join(
        coordinator_address=given["JAX_COORDINATOR_ADDRESS"],
        num_processes=int(given["JAX_NUM_PROCESSES"]),
        process_id=int(given["JAX_PROCESS_ID"]),
    )


def make_mesh(num_devices: int = 0, *, devices: Sequence[Any] | None = None) -> Mesh:
    """A mesh with the one axis "data" over the first `num_devices` devices (0: all).

    Those are of JAX, or the given ones, which need not be there: programs can be compiled for them.
    """
    devices = jax.devices() if devices is None else devices
    if num_devices > len(devices):
        raise ValueError(f"runtime.num_devices is {num_devices}; there are {len(devices)}")
    devices = devices[: num_devices or None]
    return jax.make_mesh((len(devices),), ("data",), axis_types=(AxisType.Auto,), devices=devices)


def check_batch_size(
    batch_size: int, mesh: Mesh, *, field: str, devices: str = "devices (runtime.num_devices)"
) -> None:
    """Raise a ValueError that names `field` if the batch does not divide over the mesh."""
    if batch_size % mesh.size:
        raise ValueError(
            f"{field} is {batch_size}; it must be a multiple of the {mesh.size} {devices}"
        )


def replicated(mesh: Mesh) -> NamedSharding:
    """The same array on every device."""
    return NamedSharding(mesh, PartitionSpec())


def param_shardings(abstract: PyTree, mesh: Mesh, *, strategy: str) -> PyTree:
    """A sharding for each array of a state.

    Args:
        abstract: arrays or `jax.ShapeDtypeStruct`s.
        mesh: of `make_mesh`.
        strategy: "replicated", or "fsdp": arrays of at least 16,384 elements are split
            along their longest axis that the number of devices divides (Zhao et al. 2023).
    """

    def sharding(leaf):
        axes = [i for i, n in enumerate(leaf.shape) if n % mesh.size == 0]
        if strategy == "replicated" or leaf.size < _FSDP_MIN_SIZE or not axes:
            return replicated(mesh)
        axis = max(axes, key=lambda i: leaf.shape[i])
        return NamedSharding(mesh, PartitionSpec(*[None] * axis, "data"))

    return jax.tree.map(sharding, abstract)


def gather(tree: PyTree, shardings: PyTree) -> PyTree:
    """Within a jitted function, arrays that `param_shardings` has split, whole on every device.

    Without it the compiler may leave them as they are and split activations by features instead,
    which costs many times the memory and the traffic. The gradient of such an array comes back
    split, so that no device holds the sum of all. Under `jax.checkpoint` with `WITHOUT_GATHERED`
    the backward pass gathers again what the forward pass had.
    """

    def whole(leaf, sharding):
        return leaf if sharding.is_fully_replicated else _gather(leaf, sharding)

    return jax.tree.map(whole, tree, shardings)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _gather(x: jax.Array, sharding: NamedSharding) -> jax.Array:
    x = jax.lax.with_sharding_constraint(x, replicated(sharding.mesh))
    return checkpoint_name(x, _GATHERED)


def _gather_forward(x, sharding):
    return _gather(x, sharding), None


def _gather_backward(sharding, _, gradient):
    return (jax.lax.with_sharding_constraint(gradient, sharding),)


_gather.defvjp(_gather_forward, _gather_backward)


def split_by_rows(mesh: Mesh) -> NamedSharding:
    """The first axis, of songs, split over "data"."""
    return NamedSharding(mesh, PartitionSpec("data"))


def put_batch(batch: PyTree, mesh: Mesh) -> PyTree:
    """This process's rows of a batch become a part of the global batch, split over "data"."""
    sharding = split_by_rows(mesh)

    def put(rows):
        return jax.make_array_from_process_local_data(sharding, rows)

    with jax.transfer_guard("allow"):  # it is what comes to the devices on purpose
        return jax.tree.map(put, batch)
