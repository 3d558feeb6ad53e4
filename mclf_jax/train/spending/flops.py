"""How much a step computes, by our own count, and what share of the chip that is."""

from collections.abc import Sequence
from typing import Any

from mclf_jax.models.size import count_flops
from mclf_jax.train.topology.chips import peak_flops


def step_flops(step: Any, *arguments: Any) -> float:
    """Floating-point operations of a jitted step, on all devices together.

    Two for each multiplication of matrix products and convolutions, forwards and backwards, as
    JAX traces them, so that it does not matter what a compiler makes of them: of network, heads,
    and what of augmentation and features the device does. Element-wise work and FFTs count
    nothing. A step that was traced is not traced again when it is called.
    """
    return count_flops(step.trace(*arguments).jaxpr)


def utilisation(flops_per_s: float, devices: Sequence[Any]) -> dict[str, float]:
    """{"utilisation": share of what the chips do at most in bfloat16}; {} where nobody knows that.

    In training this is what is called MFU (Chowdhery et al. 2022): their peak is that of matrix
    products, and time spent waiting counts.

    Args:
        flops_per_s: of all devices.
        devices: which.
    """
    peak = peak_flops(devices[0].device_kind)
    return {} if peak is None else {"utilisation": flops_per_s / len(devices) / peak}
