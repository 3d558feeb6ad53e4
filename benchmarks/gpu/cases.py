"""What is measured on both sides: networks, precisions, sizes, and how a step is timed."""

import argparse
import dataclasses
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PRECISIONS = ("bfloat16", "tensorfloat32", "float32")
"""In the order in which they are measured, which is also that of the memory that they take."""
NUM_LABELS = 50
ROUNDS = 5


@dataclasses.dataclass(frozen=True)
class Case:
    """A network and its batch.

    Attributes:
        network: by our name.
        batch_size: songs.
        arguments: of the network.
        window_s: length of the input; None: as published.
    """

    network: str
    batch_size: int
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)
    window_s: float | None = None


# The most important first. "small" shows on a CPU that all of it works, and measures nothing.
CASES = {
    "full": {
        "transformer": Case("music_tagging_transformer", 128),
        "short_chunk_resnet": Case("short_chunk_resnet", 128),
        "clmr": Case("clmr_sample_cnn", 96, {"dropout_rate": 0.0}),
    },
    "small": {
        "transformer": Case(
            "music_tagging_transformer",
            2,
            {"conv_channels": 8, "attention_dim": 32, "num_heads": 2, "num_layers": 1},
            1.0,
        ),
        "short_chunk_resnet": Case("short_chunk_resnet", 2, {"n_channels": 8}),
        "clmr": Case("clmr_sample_cnn", 2, {"n_channels": 8, "dropout_rate": 0.0}),
    },
}


def read_arguments(about: str) -> argparse.Namespace:
    """What both sides are asked on the command line."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("name", choices=CASES["full"])
    parser.add_argument("--size", choices=CASES, default="full")
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each figure")
    return parser.parse_args()


def timed(run: Callable[[int], Any], *, seconds: float) -> float:
    """Seconds of a step, the median of rounds.

    Args:
        run: does so many steps, and returns when the device is done with them.
        seconds: for all rounds together.
    """
    run(2)
    start_s = time.perf_counter()
    run(1)
    once_s = time.perf_counter() - start_s
    count = max(1, min(100, round(seconds / ROUNDS / once_s)))
    found = []
    for _ in range(ROUNDS):
        start_s = time.perf_counter()
        run(count)
        found.append((time.perf_counter() - start_s) / count)
    return statistics.median(found)


def say(**values: Any) -> None:
    """A line of results, which stays what it is if this process is ended later."""
    print(json.dumps(values), flush=True)


def weights_file(folder: Path, name: str) -> Path:
    """Where ours leave weights, an input and its logits for theirs."""
    return folder / f"weights-{name}.npz"
