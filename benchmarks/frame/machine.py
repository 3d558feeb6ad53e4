"""What is measured on: cores, threads, versions, and how fast a matrix product is there."""

import functools
import json
import os
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import numpy as np

from benchmarks.frame.alternate import alternate

_PACKAGES = (
    *("mclf-jax", "jax", "jaxlib", "flax", "numpy", "grain", "soundfile", "soxr"),
    *("torch", "torchaudio", "librosa", "audiomentations", "torch-audiomentations"),
)
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "XLA_FLAGS",
    "GLIBC_TUNABLES",
)
_WIDTH = 2048


def describe() -> dict[str, str | int]:
    """{"processor", "cores", "python", a version for each package, settings of threads}."""
    found: dict[str, str | int] = {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0,
        "python": platform.python_version(),
    }
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    found |= {name: os.environ[name] for name in _THREADS if name in os.environ}
    return found


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else ()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


@functools.cache
def product_flops_per_s() -> float:
    """Operations a second of a large float32 product, the better of XLA's and of PyTorch's."""
    import jax

    a = np.random.default_rng(0).standard_normal((_WIDTH, _WIDTH), np.float32)
    ours, product = jax.device_put(a), jax.jit(jax.numpy.matmul)
    calls = {"jax": lambda: product(ours, ours).block_until_ready()}
    try:
        import torch
    except ImportError:
        pass
    else:
        theirs = torch.from_numpy(a)
        calls["torch"] = lambda: theirs @ theirs
    times = alternate(calls, rounds=5, at_least_s=0.2)
    return 2 * _WIDTH**3 / min(found.median_s for found in times.values())


def find_unreadable(folder: Path, parts: Sequence[str]) -> str | None:
    """What is wrong with earlier results in `folder`, to which these parts would be added."""
    if folder.exists() and not folder.is_dir():
        return f"--out is {folder}, which is a file; give a folder"
    for part in parts:
        path = folder / f"{part}.json"
        try:
            if path.exists():
                json.loads(path.read_text())["rows"]
        except (ValueError, KeyError, TypeError) as error:
            return f"{path} is not of this program ({error}); remove it, or give another --out"
    return None
