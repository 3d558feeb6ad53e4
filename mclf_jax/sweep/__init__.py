"""Ablations and recipes of many stages: what a config's `sweep()` yields, trained and tabulated."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from mclf_jax.common.callable import make_callable
from mclf_jax.sweep.settings import (
    Frozen,
    RunOf,
    Setting,
    frozen,
    grid,
    probes_of,
    run_of,
    settings_of,
)

__all__ = ["Frozen", "RunOf", "Setting", "frozen", "grid", "probes_of", "run_of", "settings_of"]


def sweep(
    config: ConfigDict,
    vary: Mapping[str, Sequence[Any]],
    *,
    workdir: str | Path,
    num_seeds: int = 1,
    **more: Any,
) -> list[dict]:
    """Train and score every combination of values, as {"optim.learning_rate": (1e-3, 3e-4)}.

    Args:
        config: that they change.
        vary: field -> values.
        workdir: of the run directories, `sweep.md` and `sweep.csv`.
        num_seeds: of each combination, unless `vary` has seeds.
        **more: of `sweep.run.run`, which says what is returned and raised.
    """
    from mclf_jax.sweep.run import run  # imports jax, which config files do without

    seeds = {} if "seed" in vary else {"seed": range(num_seeds)}
    return run(config, list(grid({**vary, **seeds})), workdir=workdir, **more)


make_callable(__name__, sweep)
