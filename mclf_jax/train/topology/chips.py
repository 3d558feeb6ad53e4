"""What accelerators can do at most, by their makers' own figures."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Chip:
    """Peaks of one chip.

    Attributes:
        name: as in the name of a topology, "v5e" of "v5e:16x16".
        flops: a second, in bfloat16.
        memory_bytes: of its main memory (HBM).
        memory_bytes_s: between that and the chip.
        link_bytes_s: to other chips, over all links of a chip together, in each direction.
        source: of the figures.
    """

    name: str
    flops: float
    memory_bytes: float
    memory_bytes_s: float
    link_bytes_s: float
    source: str


_DOCS = "https://docs.cloud.google.com/tpu/docs"
# Links: half of the "bidirectional inter-chip interconnect bandwidth"; of v4, where none is given,
# the all-reduce bandwidth of a pod divided by its chips, which for the others is the same.
CHIPS = {
    chip.name: chip
    for chip in (
        Chip("v4", 275e12, 32 * 2**30, 1200e9, 268e9, f"{_DOCS}/v4"),
        Chip("v5e", 197e12, 16e9, 819e9, 200e9, f"{_DOCS}/v5e"),
        Chip("v5p", 459e12, 95 * 2**30, 2765e9, 600e9, f"{_DOCS}/v5p"),
        Chip("v6e", 918e12, 32e9, 1638e9, 400e9, f"{_DOCS}/v6e"),
    )
}


# Dense, in FLOP/s, by the name that JAX gives to a device and the precision of a matrix product.
_TPU_KINDS = {
    "TPU v4": "v4",
    "TPU v5 lite": "v5e",
    "TPU v5e": "v5e",
    "TPU v5": "v5p",
    "TPU v5p": "v5p",
    "TPU v6 lite": "v6e",
    "TPU v6e": "v6e",
}
# Data sheets of NVIDIA, without sparsity: nvidia.com/en-us/data-center/{a100,h100,h200,l4,l40s}.
_A100 = {"bfloat16": 312e12, "tensorfloat32": 156e12, "float32": 19.5e12}
_HOPPER = {"bfloat16": 989.4e12, "tensorfloat32": 494.7e12, "float32": 67e12}
_GPUS = {
    "NVIDIA A100-SXM4-40GB": _A100,
    "NVIDIA A100-SXM4-80GB": _A100,
    "NVIDIA A100-PCIE-40GB": _A100,
    "NVIDIA A100 80GB PCIe": _A100,
    "NVIDIA H100 80GB HBM3": _HOPPER,
    "NVIDIA H200": _HOPPER,
    "NVIDIA L4": {"bfloat16": 121e12, "tensorfloat32": 60e12, "float32": 30.3e12},
    "NVIDIA L40S": {"bfloat16": 362e12, "tensorfloat32": 183e12, "float32": 91.6e12},
}


def peak_flops(device_kind: str, *, precision: str = "bfloat16") -> float | None:
    """What one device does at most in a second; None where its maker's figure is not here.

    Args:
        device_kind: `jax.Device.device_kind`.
        precision: "bfloat16", "tensorfloat32" or "float32". TPUs have a figure for the first.
    """
    if device_kind in _GPUS:
        return _GPUS[device_kind].get(precision)
    chip = CHIPS.get(_TPU_KINDS.get(device_kind, ""))
    return chip.flops if chip and precision == "bfloat16" else None
