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
