"""Many devices as one: start of the processes, the mesh, who holds what, batches onto it.

One program in the global view: arrays are global, `jax.jit` splits the work by their
shardings. The batch is split over all devices; parameters are replicated, or split too, within
each group of near devices ("fsdp").
"""

import collections
import functools
import os
import warnings
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.ad_checkpoint import checkpoint_name, checkpoint_policies
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from mclf_jax.common import checks, peers

PyTree = Any

_NAMES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
_KINDS = {
    "slurm": "Slurm",
    "ompi": "Open MPI",
    "gcetpu": "a TPU slice",
    "gketpu": "a TPU slice of Kubernetes",
}
_AXES = ("group", "data")
# Below this an array is cheaper to keep everywhere than to gather.
_FSDP_MIN_SIZE = 2**14
_GATHERED = "gathered parameters"
WITHOUT_GATHERED = checkpoint_policies.save_anything_except_these_names(_GATHERED)
"""A policy of `jax.checkpoint`: all is kept for the backward pass but what `gather` made."""


def start() -> None:
    """Join the other processes of a run; before anything else touches a device.

    When one of them ends too early, all do, see `peers`.

    Raises:
        ValueError: there is nothing to join, see `cluster`.
    """
    given = _given()
    if not given and cluster() is None:
        raise ValueError(
            "--distributed found no other processes: not started by Slurm's srun or Open MPI, on "
            f"no TPU slice and no Kubernetes; without them, set {', '.join(_NAMES)} in each"
        )
    with warnings.catch_warnings():
        if given:  # so that nothing needs to be found out
            warnings.filterwarnings("ignore", message="Kubernetes environment")
        peers.join(**given)


def cluster() -> dict[str, Any] | None:
    """What `start` joins: "kind", "num_processes" and "process_id"; None where there is nothing.

    JAX detects Slurm, Open MPI, TPU slices and, with its package, Kubernetes (see
    `jax.distributed.initialize`). Elsewhere, and before that, the environment says it:
    JAX_COORDINATOR_ADDRESS (host:port), JAX_NUM_PROCESSES and JAX_PROCESS_ID.

    Raises:
        ValueError: the environment says a part of it, or no number.
    """
    from jax._src.clusters import ClusterEnv

    if given := _given():
        address = given.pop("coordinator_address")
        return {"kind": f"JAX_COORDINATOR_ADDRESS={address}", **given}
    for kind in ClusterEnv._cluster_types:
        if not kind.opt_in_only_method and kind.is_env_present():
            return {
                "kind": _KINDS.get(kind.name, "Kubernetes"),
                "num_processes": kind.get_process_count(),
                "process_id": kind.get_process_id(),
            }
    return None


def _given() -> dict[str, Any]:
    """What the environment says to `jax.distributed.initialize`; nothing if it is silent."""
    given = {name: os.environ[name] for name in _NAMES if name in os.environ}
    if not given:
        return {}
    if len(given) < len(_NAMES):
        raise ValueError(
            f"for --distributed set all of {', '.join(_NAMES)}, or none; got {', '.join(given)}"
        )
    address, *numbers = given.values()
    for name, number in zip(_NAMES[1:], numbers, strict=True):
        if not number.isdecimal():
            raise ValueError(f"{name} is {number!r}; it must be a whole number, at least 0")
    if not address.rpartition(":")[2].isdecimal():
        raise ValueError(f"{_NAMES[0]} is {address!r}; it must be host:port of process 0")
    num_processes, process_id = map(int, numbers)
    checks.whole(_NAMES[1], num_processes, lowest=1)
    checks.whole(_NAMES[2], process_id, lowest=0, highest=num_processes - 1)
    return {
        "coordinator_address": address,
        "num_processes": num_processes,
        "process_id": process_id,
    }


def make_mesh(
    num_devices: int = 0, *, groups: int = 0, devices: Sequence[Any] | None = None
) -> Mesh:
    """A mesh over the first `num_devices` devices (0: all), with the axes "group" and "data".

    Within a group links are fast: a slice of a TPU, a host with GPUs.

    Args:
        num_devices: of those of JAX, or of the given ones.
        groups: `runtime.num_groups`; 0: as many as JAX says that there are, if they are alike.
        devices: which need not be there: programs can be compiled for them.

    Raises:
        ValueError: there are not as many devices, or not as many in each group.
    """
    devices = jax.devices() if devices is None else devices
    if num_devices > len(devices):
        raise ValueError(f"runtime.num_devices is {num_devices}; there are {len(devices)}")
    devices = devices[: num_devices or None]
    slices = collections.Counter(getattr(device, "slice_index", 0) for device in devices)
    alike = len(set(slices.values())) == 1
    groups = groups or (len(slices) if alike else 1)
    if len(devices) % groups:
        raise ValueError(
            f"runtime.num_groups is {groups}; it must divide the {len(devices)} devices"
        )
    types = (AxisType.Auto, AxisType.Auto)
    if len(slices) > 1 and alike:  # `jax.make_mesh` refuses slices
        within = (1, len(devices) // len(slices))
        placed = mesh_utils.create_hybrid_device_mesh(
            within, (len(slices), 1), devices, allow_split_physical_axes=True
        )
    elif len(slices) > 1 or groups > 1:
        placed = np.array(devices)
    else:
        return jax.make_mesh((1, len(devices)), _AXES, axis_types=types, devices=devices)
    return Mesh(placed.reshape(groups, -1), _AXES, axis_types=types)


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
            along their longest axis that the number of devices of a group divides, and each group
            has all of them (Zhao et al. 2023, "hybrid sharding").
    """

    def sharding(leaf):
        axes = [i for i, n in enumerate(leaf.shape) if n % mesh.shape["data"] == 0]
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
    """The first axis, of songs, split over all devices."""
    return NamedSharding(mesh, PartitionSpec(_AXES))


def put_batch(batch: PyTree, mesh: Mesh) -> PyTree:
    """This process's rows of a batch become a part of the global batch."""
    sharding = split_by_rows(mesh)

    def put(rows):
        return jax.make_array_from_process_local_data(sharding, rows)

    with jax.transfer_guard("allow"):  # it is what comes to the devices on purpose
        return jax.tree.map(put, batch)
