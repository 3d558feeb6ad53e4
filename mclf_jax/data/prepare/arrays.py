"""What is known of each item in numbers: an .npz as numpy writes it, but read by rows of labels."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from mclf_jax.common import files
from mclf_jax.data.base import targets as target_lib
from mclf_jax.data.base.targets import Targets

_LABEL = "label"
_BLOCK_VALUES = 1 << 21


def write(path: Path, targets: Targets, **arrays: np.ndarray) -> None:
    """The labels of all items, as an array "label", and other arrays by their names.

    Compressed, because of thousands of tags a song has few.
    """
    with (
        files.replacing(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file,
    ):
        with file.open(f"{_LABEL}.npy", "w", force_zip64=True) as member:
            shape, dtype = np.shape(targets[:0])[1:], targets[:0].dtype
            header = npy.header_data_from_array_1_0(np.empty((0, *shape), dtype))
            npy.write_array_header_1_0(member, header | {"shape": (len(targets), *shape)})
            for block in target_lib.blocks(targets):
                member.write(np.ascontiguousarray(block).data)
        for name, array in arrays.items():
            with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                npy.write_array(member, array, allow_pickle=False)


def read(path: Path, *, task: str) -> tuple[Targets, dict[str, np.ndarray]]:
    """The labels, tags for "multi_label", and the other arrays."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files if name != _LABEL}
        if task != "multi_label":
            return file[_LABEL], arrays
    with zipfile.ZipFile(path) as file, file.open(f"{_LABEL}.npy") as member:
        npy.read_magic(member)
        (num_items, num_labels), _, dtype = npy.read_array_header_1_0(member)

        def blocks() -> Iterator[np.ndarray]:
            step = max(1, _BLOCK_VALUES // max(1, num_labels))
            for start in range(0, num_items, step):
                num_rows = min(step, num_items - start)
                data = member.read(num_rows * num_labels * dtype.itemsize)
                yield np.frombuffer(data, dtype).reshape(num_rows, num_labels)

        return target_lib.compact(blocks(), num_labels=num_labels), arrays
