"""A training step of each objective beside SimCLR's, of the same network, songs and features.

    python -m benchmarks.objectives [METHOD ...] [--batch 16] [--rounds 5] [--out FILE.json]

Methods, networks and windows are those of `configs/small_pretraining.py`, songs are composed ones.
A method and SimCLR take turns in one process, so that ratios hold on a machine that others use;
milliseconds do not. FLOPs are the compiler's count. Prints Markdown.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
from ml_collections import ConfigDict

from benchmarks.frame.alternate import alternate
from mclf_jax import config as config_lib
from mclf_jax.config import load_module
from mclf_jax.train import setup

CONFIG = "small_pretraining"
SIMCLR = {"temperature": 0.2, "projector": (128, 64)}
_SONGS = {"task": "style", "num_songs": 48, "song_s": 4.0}


def main(argv: Sequence[str] | None = None) -> None:
    """Print a table, a line for each method as soon as it is measured."""
    known = load_module(CONFIG).METHODS
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("methods", nargs="*", metavar="METHOD", help=", ".join(known))
    parser.add_argument("--batch", type=int, default=16, help="songs (16)")
    parser.add_argument("--rounds", type=int, default=5, help="medians are of so many (5)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="for the rows, as JSON")
    options = parser.parse_args(argv)
    rows = []
    print("| method | network | step over SimCLR's | FLOPs over SimCLR's | ms |")
    print("|---|---|---|---|---|")
    for method in options.methods or known:
        row = compare(method, batch=options.batch, rounds=options.rounds)
        rows.append(row)
        print(line(row), flush=True)
        if options.out:
            options.out.write_text(json.dumps(rows, indent=1))


def compare(method: str, *, batch: int, rounds: int) -> dict[str, object]:
    """{"method", "network", "seconds", "simclr_seconds", "flops", "simclr_flops"} of a step.

    Args:
        method: of `configs/small_pretraining.py`.
        batch: songs of a step.
        rounds: that medians are of.
    """
    config = config_lib.named(CONFIG, method=method, data="synthetic")
    config.data.args = ConfigDict(_SONGS)
    config.train.batch_size = batch
    beside = config.copy_and_resolve_references()
    beside.objective.name, beside.objective.args = "simclr", ConfigDict(SIMCLR)
    beside.optim.head_rates = ()
    calls, flops = {}, {}
    for name, of in (("own", config), ("simclr", beside)):
        calls[name], flops[name] = step_of(of)
    times = alternate(calls, rounds=rounds)
    return {
        "method": method,
        "network": config.model.name,
        "seconds": times["own"].median_s,
        "simclr_seconds": times["simclr"].median_s,
        "flops": flops["own"],
        "simclr_flops": flops["simclr"],
    }


def step_of(config: ConfigDict) -> tuple[Callable[[], object], float]:
    """(a call that makes one training step more, FLOPs of a step by the compiler's count)."""
    run = setup.build(config)
    batch = run.batches()[0]
    run.take_failed(batch)
    state = jax.jit(run.initial_state)()
    step = jax.jit(run.steps()[0]).lower(state, batch).compile()

    def call() -> None:
        nonlocal state
        state, _ = jax.block_until_ready(step(state, batch))

    return call, float((step.cost_analysis() or {}).get("flops", 0.0))


def line(row: dict) -> str:
    """A row of the table."""
    ratios = (row["seconds"] / row["simclr_seconds"], row["flops"] / row["simclr_flops"])
    cells = [row["method"], f"`{row['network']}`", *(f"{ratio:.2f}" for ratio in ratios)]
    return f"| {' | '.join(cells)} | {1e3 * row['seconds']:.0f} |"


if __name__ == "__main__":
    main()
