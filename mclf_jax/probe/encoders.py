"""What turns songs into embeddings: a run's network, and the same one untrained."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from mclf_jax import objectives
from mclf_jax.augment import Chains
from mclf_jax.common import keys, parallel
from mclf_jax.evaluation.windows import make_step, song_rows
from mclf_jax.models.hidden import layer_widths
from mclf_jax.objectives.context import context_of
from mclf_jax.run.directory import read_meta
from mclf_jax.run.experiment import Experiment
from mclf_jax.run.weights import describe_listening, digest, load_variables
from mclf_jax.shallow.embeddings import Embeddings, Encoder

PyTree = Any


OUTPUT, LAYERS = "embedding", "layers"
"""What is read of a network: its embedding, or all of its layers, see `models.hidden`."""


def load_trained(run: Path, parts: Experiment, *, read: str = OUTPUT) -> Encoder:
    """The best checkpoint of a run, on windows of the songs of `parts`."""
    best = load_variables(run, parts.model, _mesh(parts))
    return _network("trained", parts, best["variables"], step=best["step"], read=read)


def make_untrained(
    run: Path, parts: Experiment, *, seeds: Sequence[int], read: str = OUTPUT
) -> dict[int, Encoder]:
    """The network of a run before its first step, by seed; seeds above 0 draw other weights.

    Seed 0 is what the run itself started from: the model's part of what its objective makes of the
    key of training, `keys.stream(config.seed, "init")`; seed s is that of `config.seed + s`.
    Statistics of normalisation layers are as initialised, too.
    """
    config, task = parts.config.copy_and_resolve_references(), read_meta(run)["task"]
    config.objective.pos_weight = "none"
    if objectives.traits(config.objective.name).takes_unlabelled:
        # They start from the same network, and one of them would want its teacher.
        config.objective.update({"name": "supervised", "args": {}})
    context = context_of(
        parts.model,
        config,
        # They decide nothing about weights, and may need files that are not on this machine.
        chains=Chains(),
        task=task,
        label_names=parts.source.info.labels,
        targets=lambda: np.zeros((1, 1)),
        total_steps=1,
    )
    objective = objectives.build(context, config)

    @functools.partial(jax.jit, out_shardings=parallel.replicated(_mesh(parts)))
    def variables(key):
        initial = objective.init(key)
        return {"params": initial["params"]["model"], **initial["state"]["model"]}

    drawn = {seed: variables(keys.stream(config.seed + seed, "init")) for seed in seeds}
    return {
        seed: _network("untrained", parts, each, step=0, read=read) for seed, each in drawn.items()
    }


def _network(
    name: str, parts: Experiment, variables: PyTree, *, step: int, read: str = OUTPUT
) -> Encoder:
    mesh, model = _mesh(parts), parts.model
    widths = layer_widths(model) if read == LAYERS else {}
    step_of_rows = make_step(model, outputs=("embedding",), hidden=tuple(widths), mesh=mesh)

    def encode(songs: np.ndarray, progress: str) -> Embeddings:
        rows = song_rows(
            parts,
            songs,
            variables,
            step=step_of_rows,
            mesh=mesh,
            title=f"embeddings ({name})",
            progress=progress,
        )
        return Embeddings(rows["index"].astype(np.int64), rows["embedding"])

    # A run that was trained anew may have the same step, but not the same weights.
    identity = describe_listening(parts.config, model)
    identity |= {"step": step, "weights": digest(variables)}
    identity |= {"layers": widths} if widths else {}
    return Encoder(name, identity, encode)


def _mesh(parts: Experiment) -> Mesh:
    return parallel.make_mesh(parts.config.runtime.num_devices)
