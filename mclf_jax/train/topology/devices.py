"""Devices by the name of a topology: of a pod that is not here, or virtual ones of this CPU."""

import contextlib
import os
from typing import Any

import jax

from mclf_jax.train.topology.chips import CHIPS


def devices_of(topology: str) -> list[Any]:
    """Devices to compile for; on those of a TPU nothing can be run.

    Args:
        topology: "CHIP:SHAPE", such as "v5e:16x16" or "v5p:2x2x2", of which libtpu knows what it
            looks like; or "cpu:N".

    Raises:
        ValueError: there is none of that name, or libtpu is not installed.
    """
    chip, _, shape = topology.partition(":")
    if chip == "cpu" and shape.isdigit() and int(shape):
        return _virtual(int(shape))
    if chip not in CHIPS or not shape:
        raise ValueError(
            f"--topology is {topology!r}; it must be cpu:N or CHIP:SHAPE, such as v5e:16x16, of "
            f"{', '.join(CHIPS)}"
        )
    try:
        import libtpu  # noqa: F401  # pyright: ignore
    except ImportError as error:
        raise ValueError(
            f"--topology {topology} needs libtpu, which compiles for TPUs without one: "
            "pip install 'mclf-jax[tpu]'; cpu:N does without"
        ) from error
    from jax.experimental import topologies

    # Or it asks a server of Google's cloud what this machine is, for minutes.
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    # It lets one process at a time have the TPU, and here nobody wants it.
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    try:
        found = topologies.get_topology_desc(
            platform="tpu", topology_name=topology, **_one_host(shape)
        )
    except Exception as error:  # of libtpu, which has no kinds of them
        told = str(error).strip().splitlines()[0]
        raise ValueError(f"--topology {topology}: libtpu cannot make its devices: {told}") from None
    return list(found.devices)


def _one_host(shape: str) -> dict[str, tuple[int, ...]]:
    """What libtpu wants to know of shapes that hosts of 2x2 chips, its default, do not fill."""
    sides = [int(side) for side in shape.split("x") if side.isdigit()]
    if all(side % 2 == 0 for side in sides[:2]):
        return {}
    return {"chips_per_host_bounds": (*sides, 1, 1, 1)[:3]}


def _virtual(count: int) -> list[Any]:
    if "XLA_FLAGS" not in os.environ or "device_count" not in os.environ["XLA_FLAGS"]:
        # Once JAX has begun it has as many as it has.
        with contextlib.suppress(RuntimeError):
            jax.config.update("jax_num_cpu_devices", count)
    devices = jax.devices("cpu")
    if len(devices) < count:
        raise ValueError(
            f"--topology is cpu:{count}, and JAX has begun with {len(devices)} virtual devices; "
            f"set XLA_FLAGS=--xla_force_host_platform_device_count={count} before it does"
        )
    return devices[:count]
