"""The one door to the weights of a run: its best checkpoint, on the devices that use it."""

from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from mclf_jax.common import parallel
from mclf_jax.models import Model
from mclf_jax.run import checkpoint


def load_variables(run: str | Path, model: Model, mesh: Mesh) -> dict[str, Any]:
    """{"step", "variables"} of a run's best checkpoint, on every device of a mesh."""
    abstract = jax.eval_shape(model.init, jax.random.key(0))
    shardings = jax.tree.map(lambda _: parallel.replicated(mesh), abstract)
    return checkpoint.restore_best(
        Path(run) / "checkpoints", checkpoint.abstract_like(abstract, shardings)
    )
