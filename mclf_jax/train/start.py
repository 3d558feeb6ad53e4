"""Where a run starts, the first of these that holds:

1. It has ended: its last checkpoint says "finished" or "stopped_early", and nothing is trained;
   unless it is extended.
2. It goes on: it has a checkpoint, of which everything is taken, on however many devices.
3. From what was trained before: `init.path` is a run or a file of weights, of which `transfer`
   takes what fits; the rest is drawn from the seed.
4. Fresh: all is drawn from the seed.

In 1 and 2 the config must be the same as before, and the data too, unless `data_change` is "allow".
A run is extended if `config_change` is "extend" and its length is a longer one: it goes on from its
last checkpoint, and the learning rate is that of the longer run from there on. A constant one goes
on as it was; one that had come down to zero is up again.
"""

import contextlib
import dataclasses
import warnings
from collections.abc import Iterator
from typing import Any

import jax
from jax.sharding import Mesh

from mclf_jax.common import keys, parallel
from mclf_jax.common.files import write_text
from mclf_jax.common.storage.working import Working
from mclf_jax.metrics import outside
from mclf_jax.models.freezing import NEVER
from mclf_jax.run import checkpoint, restore
from mclf_jax.run.checkpoint import Checkpoints
from mclf_jax.run.directory import lock_run, start_run
from mclf_jax.run.state import TrainState
from mclf_jax.train import transfer
from mclf_jax.train.progress import Progress, from_json, score_of
from mclf_jax.train.setup import Training


@dataclasses.dataclass(frozen=True)
class Start:
    """What the loop goes on from.

    Attributes:
        state: of which `progress` says whether anything is left to do.
        step: steps taken.
        progress: of the run.
        shardings: of the state.
        checkpoints: of the run, open.
    """

    state: TrainState
    step: int
    progress: Progress
    shardings: Any
    checkpoints: Checkpoints


@contextlib.contextmanager
def begin(
    run: Training, *, place: Working, mesh: Mesh, data_change: str, config_change: str
) -> Iterator[Start]:
    """Start a run, whose directory is locked and whose checkpoints are open meanwhile.

    Raises:
        ValueError: `place` holds another run, or another process is training there, or what
            `init.path` names does not fit.
        FileNotFoundError: `init.path` names nothing.
    """
    workdir, abstract = place.path, jax.eval_shape(run.initial_state)
    # Nothing is written before the config is known to make a network, and to start from something.
    loaded = None if (workdir / "checkpoints").exists() else load_weights(run)
    first_process = jax.process_index() == 0
    with contextlib.ExitStack() as held:
        if first_process:
            held.enter_context(lock_run(workdir))
            start_run(
                workdir,
                config=run.parts.config,
                source=run.parts.source,
                unlabelled=run.unlabelled.source if run.unlabelled else None,
                model=run.parts.model,
                data_change=data_change,
                config_change=config_change,
            )
        shardings = parallel.param_shardings(
            abstract, mesh, strategy=run.parts.config.parallel.params
        )
        restored = restore.restore_latest(
            workdir / "checkpoints", checkpoint.abstract_like(abstract, shardings)
        )
        best_lost = restore.set_aside_damaged_best(workdir / "checkpoints")
        runtime, watched = run.parts.config.runtime, run.parts.config.eval
        checkpoints = checkpoint.open_checkpoints(
            workdir / "checkpoints",
            keep=checkpoint.Keep(
                runtime.keep_last, every_steps=runtime.keep_every_steps, best=runtime.keep_best
            ),
            before_save=place.before_save,
            after_save=place.after_save,
        )
        held.callback(checkpoint.close, checkpoints)
        if restored:
            step, state = restored["step"], restored["state"]
            progress = from_json(restored["progress"], name=f"{restored['path']}/progress/metadata")
            score = score_of(
                progress.best_value,
                metric=watched.metric,
                direction=outside.directions(watched.metrics).get(watched.metric),
            )
            if progress.best_step == step and best_lost:
                checkpoint.save_best(checkpoints, step, state.variables(), score=score)
            elif progress.best_step is not None and best_lost:
                told = f"{workdir}: {best_lost}; the next evaluation makes another"
                warnings.warn(told, stacklevel=2)
                progress = dataclasses.replace(progress, best_value=None)
            elif progress.best_step is not None and score is not None:
                checkpoint.note_score(checkpoints, progress.best_step, score=score)
            if config_change == "extend" and step < run.total_steps:
                progress = dataclasses.replace(progress, status="running", since_best=0)
        else:
            if not best_lost:
                told = f"{workdir}/checkpoints/latest is empty: training starts from the beginning"
                warnings.warn(told, stacklevel=2)
            loaded = loaded or load_weights(run)
            fresh = jax.jit(run.initial_state, out_shardings=shardings)
            step, state = 0, fresh(loaded.variables if loaded else None)
            progress = Progress()
            if loaded and first_process:
                write_text(workdir / "init.txt", loaded.text() + "\n")
        yield Start(state, step, progress, shardings, checkpoints)


def load_weights(run: Training) -> transfer.Loaded | None:
    """What `init.path` gives to start from; None if it is empty."""
    config, info = run.parts.config, run.parts.source.info
    if not config.init.path:
        return None

    @jax.jit
    def fresh_variables():
        initial = run.objective.init(keys.stream(config.seed, "init"))
        return {"params": initial["params"]["model"], **initial["state"]["model"]}

    loaded = transfer.initialise(
        fresh_variables(),
        config.init.path,
        model=run.parts.model,
        task=info.task,
        labels=info.labels,
        renames=config.init.rename,
        other_features=config.init.other_features,
    )
    _check_frozen(loaded, run)
    return loaded


def _check_frozen(loaded: transfer.Loaded, run: Training) -> None:
    """Raise a ValueError if what never trains would stay as it was drawn."""
    for part in loaded.report:
        is_new = part.collection == "params" and part.outcome in ("skipped", "new")
        if is_new and run.frozen.first_steps.get(part.name) == NEVER:
            raise ValueError(
                f"init.freeze keeps {part.name} as it is, for which {loaded.origin} has nothing "
                f"that fits ({part.detail}): make the network the same (model.args), freeze less, "
                "or start from something else (init.path)"
            )
