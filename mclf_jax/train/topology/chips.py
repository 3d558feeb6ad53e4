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
# "Inter-chip interconnect" is given there in Gbit/s for both directions together.
CHIPS = {
    chip.name: chip
    for chip in (
        Chip("v4", 275e12, 32e9, 1228e9, 150e9, f"{_DOCS}/v4"),
        Chip("v5e", 197e12, 16e9, 819e9, 100e9, f"{_DOCS}/v5e"),
        Chip("v5p", 459e12, 95e9, 2765e9, 300e9, f"{_DOCS}/v5p"),
        Chip("v6e", 918e12, 32e9, 1640e9, 200e9, f"{_DOCS}/v6e"),
    )
}
