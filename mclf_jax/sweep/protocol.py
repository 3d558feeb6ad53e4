"""A benchmark from Python: what `configs/ablations/benchmark.py` is on the command line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mclf_jax import config as config_lib
from mclf_jax.sweep.benchmark.table import tabulate
from mclf_jax.sweep.benchmark.tasks import probes_of
from mclf_jax.sweep.run import run
from mclf_jax.sweep.settings import Frozen, frozen


def benchmark(
    encoders: Mapping[str, str | Path | Frozen],
    tasks: Mapping[str, str | Path | Mapping[str, str]],
    *,
    workdir: str | Path,
    num_folds: int = 0,
    num_seeds: int = 1,
    num_windows: int | None = None,
) -> dict[str, Any]:
    """Probe frozen encoders on many tasks by MARBLE's rules, and tabulate them.

    Args:
        encoders: by name: a run directory, an exported file, or what `sweep.frozen` makes of one.
        tasks: folder by name, see `tasks.probes_of`; {"path": ..., "column": ...} where labels are
            in another column of a manifest than `label`.
        workdir: of results, `sweep.md` and `benchmark.csv`, `.json` and `.png`.
        num_folds, num_seeds, num_windows: see `tasks.probes_of`.

    Returns:
        The table, see `table.tabulate`; what could not be probed is told in "skipped", {encoder:
        why}.

    Raises:
        ValueError: no encoder or no task is named, or a name cannot be that of a folder.
    """
    if not encoders or not tasks:
        raise ValueError(f"{'tasks' if encoders else 'encoders'} is empty; name at least one")
    settings = [
        (name, {"encoder": of if isinstance(of, Frozen) else frozen(of)})
        for name, of in encoders.items()
    ]
    config = config_lib.base()
    config.data.name = "none"
    how = {"num_folds": num_folds, "num_seeds": num_seeds, "num_windows": num_windows}
    probes = {}
    for name, where in tasks.items():
        place = dict(where) if isinstance(where, Mapping) else {"path": where}
        if not {"path"} <= set(place) <= {"path", "column"}:
            raise ValueError(
                f"tasks has {name!r}: {where}; it must be a folder, or {{'path': ...}} with a "
                "'column' if wanted"
            )
        place["path"] = str(place["path"])
        probes |= dict(probes_of(name, **place, **how))
    results = run(config, settings, workdir=workdir, probes=probes)
    skipped = {r["name"]: r["status"] for r in results if r["status"] != "finished"}
    return tabulate(results) | {"skipped": skipped}
