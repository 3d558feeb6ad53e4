"""The training loop, top to bottom in execution order, for every model and every objective."""

import contextlib
import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict
from threadpoolctl import threadpool_limits

from mclf_jax import config as config_lib
from mclf_jax import metrics
from mclf_jax.common import parallel
from mclf_jax.common.clock import Clock
from mclf_jax.common.files import write_text
from mclf_jax.common.interrupt import any_process, stop_requests
from mclf_jax.evaluation.evaluate import (
    LAST,
    check_metric,
    compute_metrics,
    score_songs,
)
from mclf_jax.evaluation.judge import make_judge
from mclf_jax.objectives import Objective
from mclf_jax.objectives.diagnostics import collapse_message
from mclf_jax.run import checkpoint
from mclf_jax.run.directory import add_skipped, lock_run, start_run
from mclf_jax.run.experiment import Experiment
from mclf_jax.run.logbook import Logbook
from mclf_jax.run.state import TrainState
from mclf_jax.train import setup as training


class TrainingError(ArithmeticError):
    """Training cannot go on; the message says where and what to change."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a call of `train` ended.

    Attributes:
        status: "finished", "stopped_early" or "interrupted".
        step: steps taken.
        best_step, best_value: of the best checkpoint; None before the first evaluation.
    """

    status: str
    step: int
    best_step: int | None
    best_value: float | None


def train(config: ConfigDict, *, workdir: str | Path, data_change: str = "refuse") -> Outcome:
    """Train from the start, or go on from the last checkpoint in `workdir`.

    The parameters after n steps are the same however often the run was stopped. A run that has
    begun with other data is refused, unless `data_change` is "allow".

    Raises:
        ValueError: the config does not make sense, `workdir` holds another run, or another process
            is training there.
        TrainingError: the loss is not finite, or the validation metric is undefined.
    """
    workdir = Path(workdir)
    config_lib.validate(config)
    with contextlib.ExitStack() as held:
        return _train(config, workdir=workdir, data_change=data_change, held=held)


def _train(
    config: ConfigDict, *, workdir: Path, data_change: str, held: contextlib.ExitStack
) -> Outcome:
    first_process = jax.process_index() == 0

    # The parts.
    run = training.build(config)
    parts, total_steps, batch_size = run.parts, run.total_steps, config.train.batch_size
    info, traits = parts.source.info, run.objective.traits
    infos = [info, *([run.unlabelled.source.info] if run.unlabelled else [])]
    mesh = parallel.make_mesh(config.runtime.num_devices)
    parallel.check_batch_size(batch_size, mesh, field="train.batch_size")
    has_valid = len(info.splits.get("valid", ())) > 0
    validate = _validation(parts, run.objective, mesh)

    # The state: from the last checkpoint, or from the seed, or from another run.
    abstract = jax.eval_shape(run.initial_state)
    # Nothing is written before the config is known to make a network, and to start from something.
    loaded = None if (workdir / "checkpoints").exists() else run.pretrained()
    if first_process:
        held.enter_context(lock_run(workdir))
        start_run(
            workdir,
            config=config,
            source=parts.source,
            unlabelled=run.unlabelled.source if run.unlabelled else None,
            model=parts.model,
            data_change=data_change,
        )
    shardings = parallel.param_shardings(abstract, mesh, strategy=config.parallel.params)
    checkpoints = checkpoint.open_checkpoints(workdir / "checkpoints")
    restored = checkpoint.restore_latest(checkpoints, checkpoint.abstract_like(abstract, shardings))
    if restored:
        first_step, state, progress = restored["step"], restored["state"], restored["progress"]
    else:
        loaded = loaded or run.pretrained()
        variables = loaded.variables if loaded else None
        first_step, state = 0, jax.jit(run.initial_state, out_shardings=shardings)(variables)
        if loaded and first_process:
            write_text(workdir / "init.txt", loaded.text() + "\n")
        progress = {"status": "running", "best_step": None, "best_value": None, "since_best": 0}
    if progress["status"] != "running":
        checkpoint.close(checkpoints)
        return _outcome(progress, first_step)

    # The step and its data.
    train_steps = [
        jax.jit(one, donate_argnums=0, out_shardings=(shardings, parallel.replicated(mesh)))
        for one in run.steps()
    ]
    dataset = run.batches(process_index=jax.process_index(), process_count=jax.process_count())
    batches = parts.iterate(dataset[first_step:total_steps])
    logbook = Logbook(
        workdir if first_process else None,
        first_step=first_step,
        total_steps=total_steps,
        batch_size=batch_size,
        progress=config.runtime.progress,
    )
    for note in dict.fromkeys(note for one in infos for note in one.notes):
        logbook.say(note)
    if skipped := {file for one in infos for file in one.skipped}:
        logbook.say(f"{len(skipped)} files are left out; reasons: {workdir}/skipped.csv")
    if (workdir / "init.txt").exists():
        logbook.say((workdir / "init.txt").read_text(encoding="utf-8").rstrip())
    if run.frozen.first_steps:
        logbook.say(run.frozen.text())
    if first_step:
        logbook.say(f"going on from step {first_step} of {total_steps}")

    # The loop. Metrics of a step are read when the next ones have been started.
    pending: list[tuple[int, dict[str, jax.Array]]] = []
    means: dict[str, float] = {}
    failed: set[str] = set()
    clock = Clock()
    try:
        # Matrix products of the data threads are small: BLAS threads of their own only get in
        # the way of the step.
        with stop_requests() as stop_signal, threadpool_limits(1, user_api="blas"):
            for step in range(first_step + 1, total_steps + 1):
                with clock.waiting_for_data(pending[-1][1]["loss"] if pending else None):
                    batch = next(batches)
                _note_failed(run.take_failed(batch), failed, workdir)
                train_step = train_steps[run.frozen.stage(step - 1)]
                state, step_metrics = train_step(state, parallel.put_batch(batch, mesh))
                pending.append((step, step_metrics))
                if len(pending) > config.runtime.log_every_steps:
                    means = _log(logbook, pending[:-1], clock, checkpoints, batch_size)
                    pending = pending[-1:]
                elif len(pending) > 1:
                    # No more than one step ahead of the device, which bounds memory.
                    jax.block_until_ready(pending[-2][1])

                # Between processes the question costs a message, so it is asked less often.
                ask = jax.process_count() == 1 or step % config.runtime.log_every_steps == 0
                stopping = ask and any_process(bool(stop_signal()))
                evaluating = step in run.evaluation_steps
                if not (evaluating or stopping):
                    continue

                means = _log(logbook, pending, clock, checkpoints, batch_size) or means
                pending = []
                with clock.paused():
                    best_variables = None
                    if evaluating:
                        values = {}
                        if has_valid:
                            values = validate(state)
                        if _judge(progress, step, values, config.eval):
                            best_variables = state.variables()
                        logbook.write("valid", step, values)
                        logbook.say(_describe(step, total_steps, values, progress, config.eval))
                        if message := collapse_message(means, advice=traits.against_collapse):
                            logbook.say(message)
                        starts_again = step in run.phase_steps and progress["best_step"] != step
                        if starts_again and traits.reloads_best:
                            state = _reload_best(state, workdir)
                            logbook.say(f"the next phase starts from step {progress['best_step']}")
                    if step == total_steps:
                        progress["status"] = "finished"
                    checkpoint.save(
                        checkpoints,
                        step,
                        state=state,
                        progress=progress,
                        best_variables=best_variables,
                    )
                if progress["status"] != "running":
                    break
                if stopping:
                    logbook.say(f"{stop_signal() or 'stopped'}: saved at step {step}")
                    return _outcome(progress | {"status": "interrupted"}, step)
    finally:
        logbook.close()
        batches.close()
        checkpoint.close(checkpoints)
    return _outcome(progress, step)


def _validation(
    parts: Experiment, objective: Objective, mesh: Mesh
) -> Callable[[TrainState], dict[str, float]]:
    """state -> metrics of the valid split: by its labels, or what the objective says of itself."""
    info, metric = parts.source.info, parts.config.eval.metric
    if objective.evaluate is not None:
        if metric not in ("loss", LAST):
            raise ValueError(
                f"eval.metric is {metric!r}; for objective {parts.config.objective.name} allowed: "
                f"loss, {LAST}"
            )
        judge = make_judge(parts, objective=objective, mesh=mesh)
        return functools.partial(judge, "valid")
    check_metric(metric, task=info.task, parents=info.parents)
    parallel.check_batch_size(parts.config.eval.batch_size, mesh, field="eval.batch_size")

    def metrics_of(state):
        scores = score_songs(parts, parts.indices("valid"), state.variables(), mesh=mesh)
        return compute_metrics(parts, scores).values

    return metrics_of


def _reload_best(state: TrainState, workdir: Path) -> TrainState:
    """The state with the best variables so far; what the optimiser remembers stays."""
    variables = state.variables()
    shardings = jax.tree.map(lambda leaf: leaf.sharding, variables)
    abstract = checkpoint.abstract_like(variables, shardings)
    best = checkpoint.restore_best(workdir / "checkpoints", abstract)
    return state.with_variables(best["variables"])


def _judge(progress: dict[str, Any], step: int, values: dict[str, float], config) -> bool:
    """Update `progress` with an evaluation; True if it is the best so far."""
    if not values or config.metric == LAST:
        # Nothing to compare by: the newest counts as the best.
        progress |= {"best_step": step}
        return True
    value = values[config.metric]
    if not math.isfinite(value):
        raise TrainingError(
            f"{config.metric} of the valid split is {value} at step {step}, so no checkpoint can "
            "be the best; choose another eval.metric, or give the split songs of every label"
        )
    best = progress["best_value"]
    sign = 1 if metrics.direction(config.metric) == "max" else -1
    if best is None or sign * value > sign * best:
        progress |= {"best_step": step, "best_value": value, "since_best": 0}
        return True
    progress["since_best"] += 1
    if config.patience and progress["since_best"] >= config.patience:
        progress["status"] = "stopped_early"
    return False


def _log(
    logbook: Logbook, done: list, clock: Clock, checkpoints, batch_size: int
) -> dict[str, float]:
    """Write the mean of the steps in `done`, after making sure that they were sound."""
    if not done:
        return {}
    steps = [step for step, _ in done]
    fetched = jax.device_get([step_metrics for _, step_metrics in done])
    for step, values in zip(steps, fetched, strict=True):
        if not math.isfinite(values["loss"]):
            checkpoints.latest.wait_until_finished()
            good = checkpoints.latest.latest_step()
            raise TrainingError(
                f"the loss is {values['loss']} at step {step}; the last good checkpoint is "
                + ("that of step " + str(good) if good else "the start")
                + ". Lower optim.learning_rate, or set optim.grad_clip_norm."
            )
    means = {name: float(np.mean([values[name] for values in fetched])) for name in fetched[0]}
    means["learning_rate"] = float(fetched[-1]["learning_rate"])
    means |= clock.rates(songs=len(done) * batch_size)
    logbook.write("train", steps[-1], means)
    logbook.advance(steps[-1], means)
    return means


def _note_failed(names: Sequence[str], known: set[str], workdir: Path) -> None:
    """List songs that stopped being readable since the data set was opened, each once."""
    new = set(names) - known
    known |= new
    if new:
        reason = "could not be read while training; another song took its place"
        add_skipped(workdir, [(name, reason) for name in sorted(new)])


def _describe(step: int, total_steps: int, values, progress, config) -> str:
    if not values:
        return f"step {step}/{total_steps}: saved (no valid split to evaluate on)"
    shown = [name for name in dict.fromkeys(("loss", config.metric)) if name != LAST]
    text = ", ".join(f"{name} {values[name]:.4f}" for name in shown)
    compared = progress["best_value"] is not None
    best = " (best so far)" if compared and progress["best_step"] == step else ""
    return f"step {step}/{total_steps}: valid {text}{best}"


def _outcome(progress: dict[str, Any], step: int) -> Outcome:
    return Outcome(progress["status"], step, progress["best_step"], progress["best_value"])
