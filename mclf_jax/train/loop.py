"""The training loop, for every model and every objective.

Restore what there is; then, for each step: read a batch, start the step, log the steps before it;
and where it is time to: evaluate, save, stop.
"""

import contextlib
import dataclasses
import datetime
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict
from threadpoolctl import threadpool_limits

from mclf_jax import config as config_lib
from mclf_jax.common import checks, disk, files, parallel
from mclf_jax.common.interrupt import any_process, stop_requests
from mclf_jax.common.machine.programs import keep_programs
from mclf_jax.common.storage.working import Working, run_folder
from mclf_jax.data import pipeline
from mclf_jax.evaluation import aggregation
from mclf_jax.evaluation.evaluate import (
    LAST,
    check_defined,
    check_metric,
    compute_metrics,
    score_songs,
)
from mclf_jax.evaluation.judge import make_judge
from mclf_jax.metrics import outside
from mclf_jax.objectives.diagnostics import collapse_message
from mclf_jax.run import checkpoint, writers
from mclf_jax.run.checkpoint import Checkpoints
from mclf_jax.run.cost import CostRecorder
from mclf_jax.run.directory import add_skipped, keep_splits
from mclf_jax.run.logbook import Logbook
from mclf_jax.run.state import TrainState
from mclf_jax.run.weights import reload_variables
from mclf_jax.run.writers import open_writers
from mclf_jax.train import beside, setup
from mclf_jax.train.progress import Progress, TrainingError, judge, score_of
from mclf_jax.train.setup import Training
from mclf_jax.train.spending.account import Account
from mclf_jax.train.spending.energy import EnergyMeter
from mclf_jax.train.spending.profile import Profile, parse_steps
from mclf_jax.train.start import Start, begin


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


def train(
    config: ConfigDict,
    *,
    workdir: str | Path,
    data_change: str = "refuse",
    config_change: str = "refuse",
    callbacks: Sequence[Any] = (),
    profile_steps: str = "",
) -> Outcome:
    """Train from the start, or go on from the last checkpoint in `workdir`; see `train.start`.

    The parameters after n steps are the same however often the run was stopped. A run that has
    begun with other data is refused, unless `data_change` is "allow".

    Args:
        config: of `config.load` or `config.base`.
        workdir: run directory, new or to be continued; on object storage (`s3://BUCKET/RUN`) it is
            worked on in a copy, which is sent there after each checkpoint.
        data_change: "refuse" or "allow".
        config_change: "refuse", or "extend" a run that had a shorter length.
        callbacks: objects with any of the methods that `run.writers` names.
        profile_steps: "A:B": write a trace of these steps, see `spending.profile`.

    Raises:
        ValueError: the config does not make sense, `workdir` holds another run, or another process
            is training there.
        TrainingError: the loss is not finite, or the validation metric is undefined.
    """
    config_lib.validate(config)
    traced = parse_steps(profile_steps) if profile_steps else None
    with run_folder(workdir) as place:
        if traced:
            callbacks = (*callbacks, Profile(place.path, first_step=traced[0], last_step=traced[1]))
        return _train_in(
            place,
            config,
            callbacks=callbacks,
            changes={"data_change": data_change, "config_change": config_change},
        )


def _train_in(
    place: Working, config: ConfigDict, *, changes: dict[str, str], callbacks: Sequence[Any]
) -> Outcome:
    workdir = place.path
    config = keep_splits(workdir, config)
    for name in config.runtime.writers:
        writers.function_of(name)
    files.check_place("workdir", workdir, kind="folder")
    keep_programs()
    run = setup.build(config)
    mesh = parallel.make_mesh(config.runtime.num_devices, groups=config.runtime.num_groups)
    setup.check_batch_size(config, mesh)
    validate = _validation(run, mesh)
    place.claim()
    with disk.explained(workdir), begin(run, place=place, mesh=mesh, **changes) as start:
        if start.progress.status != "running":
            return _outcome(start.progress, start.step)
        with _logbook(run, start, workdir, callbacks) as logbook:
            baseline = beside.baseline_values(run, start, workdir=workdir, logbook=logbook)
            start = beside.with_opinion(run, start, mesh=mesh, logbook=logbook)
            outcome = _train(
                run,
                start,
                workdir=workdir,
                mesh=mesh,
                validate=validate,
                logbook=logbook,
                baseline=baseline,
            )
            if baseline and outcome.status != "interrupted":
                logbook.say(beside.at_the_end(outcome.best_step, baseline, workdir=workdir))
            return outcome


def _train(
    run: Training,
    start: Start,
    *,
    workdir: Path,
    mesh: Mesh,
    validate: Callable[[TrainState], dict[str, float]],
    logbook: Logbook,
    baseline: dict[str, float],
) -> Outcome:
    config, total_steps, checkpoints = run.parts.config, run.total_steps, start.checkpoints
    state, progress, traits = start.state, start.progress, run.objective.traits
    out_shardings = (start.shardings, parallel.replicated(mesh))

    def jitted(run: Training) -> list[Any]:
        steps = run.steps(shardings=start.shardings)
        return [jax.jit(one, donate_argnums=0, out_shardings=out_shardings) for one in steps]

    train_steps = jitted(run)
    dataset = pipeline.timed(
        run.batches(process_index=jax.process_index(), process_count=jax.process_count())
    )
    # Run op by op, for debugging, a step moves all of its numbers.
    debugging = ("jax_disable_jit", "jax_debug_nans", "jax_debug_infs")
    op_by_op = any(getattr(jax.config, name) for name in debugging)
    counted = run.without_remat()
    account = Account(
        run,
        progress=progress,
        mesh=mesh,
        counted=None if op_by_op else (train_steps if counted is run else jitted(counted)),
    )
    clock = account.clock
    log = functools.partial(_log, logbook, checkpoints, account)
    # Metrics of a step are read when the next ones have been started.
    pending: list[tuple[int, dict[str, jax.Array]]] = []
    failed: set[str] = set()
    with (
        contextlib.closing(run.parts.iterate(dataset[start.step : total_steps])) as batches,
        stop_requests() as stop_signal,
        # Matrix products of the data threads are small: BLAS threads of their own only get in the
        # way of the step.
        threadpool_limits(1, user_api="blas"),
        # Nothing comes to the devices or leaves them by accident, which would wait for them.
        jax.transfer_guard("allow" if op_by_op else "disallow"),
    ):
        for step in range(start.step + 1, total_steps + 1):
            logbook.call("before_step", step)
            with clock.waiting_for_data(pending[-1][1]["loss"] if pending else None):
                batch = next(batches)
            account.take_seconds(batch, step=step)
            _note_failed(run.take_failed(batch), failed, workdir)

            stage = run.frozen.stage(step - 1)
            on_devices = parallel.put_batch(batch, mesh)
            state, step_metrics = account.call(train_steps[stage], stage, state, on_devices)
            pending.append((step, step_metrics))
            logbook.call("after_step", step, state, step_metrics)

            if len(pending) > config.runtime.log_every_steps:
                log(pending[:-1])
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
            means, pending = log(pending), []

            best_variables = score = None
            with clock.paused("evaluation"), jax.transfer_guard("allow"):
                if evaluating:
                    logbook.call("before_evaluation", step, state)
                    values = validate(state)
                    metric, others = config.eval.metric, outside.directions(config.eval.metrics)
                    watched = {"metric": metric, "direction": others.get(metric)}
                    progress = judge(
                        progress, values, step=step, patience=config.eval.patience, **watched
                    )
                    score = score_of(values.get(metric), **watched)
                    logbook.write("valid", step, values)
                    logbook.call("after_evaluation", step, state, values)
                    text = _describe(step, total_steps, values, progress, metric)
                    logbook.say(text + beside.than(values, baseline))
                    if message := collapse_message(means, advice=traits.against_collapse):
                        logbook.say(message)
                    is_best = progress.best_step == step
                    if is_best or checkpoint.is_among_best(checkpoints, step, score=score):
                        best_variables = state.variables()
                    if not is_best and step in run.phase_steps and traits.reloads_best:
                        state = _reload_best(state, workdir)
                        logbook.say(f"the next phase starts from step {progress.best_step}")
            with clock.paused("checkpoint"), jax.transfer_guard("allow"):
                progress = dataclasses.replace(
                    progress,
                    status="finished" if step == total_steps else progress.status,
                    songs=step * config.train.batch_size,
                    **clock.totals(),
                )
                checkpoint.save(
                    checkpoints,
                    step,
                    state=state,
                    progress=dataclasses.asdict(progress),
                    best_variables=best_variables,
                    score=score,
                )

            if progress.status == "running" and stopping:
                logbook.say(f"{stop_signal() or 'stopped'}: saved at step {step}")
                progress = dataclasses.replace(progress, status="interrupted")
            if progress.status != "running":
                break
    waited = progress.waited_s / max(progress.trained_s, 1e-9)
    took = datetime.timedelta(seconds=round(progress.trained_s))
    if not start.step or start.progress.trained_s:  # known of all steps, not of those since then
        logbook.say(
            f"{step} steps in {took}, {waited:.0%} of that waiting for data; "
            f"{progress.songs} songs heard"
        )
        logbook.say(account.text(steps=step))
    return _outcome(progress, step)


@contextlib.contextmanager
def _logbook(
    run: Training, start: Start, workdir: Path, callbacks: Sequence[Any]
) -> Iterator[Logbook]:
    """The log of a run, which begins with what is special about it."""
    config, first_process = run.parts.config, jax.process_index() == 0
    if first_process:
        mesh = parallel.make_mesh(config.runtime.num_devices)
        recorder = CostRecorder(
            workdir,
            first_step=start.step,
            batch_size=config.train.batch_size,
            devices=list(mesh.devices.flat),
            meter=EnergyMeter(mesh.local_devices),
        )
        callbacks = (*callbacks, recorder)
    infos = [source.info for source in run.sources]
    logbook = Logbook(
        workdir if first_process else None,
        first_step=start.step,
        total_steps=run.total_steps,
        batch_size=config.train.batch_size,
        open_writers=functools.partial(
            open_writers,
            config.runtime.writers,
            workdir=workdir,
            config=config_lib.flatten(config),
            first_step=start.step,
            callbacks=callbacks,
        ),
        progress=config.runtime.progress,
    )
    with contextlib.closing(logbook):
        for note in dict.fromkeys(note for info in infos for note in info.notes):
            logbook.say(note)
        if skipped := {file for info in infos for file in info.skipped}:
            logbook.say(f"{len(skipped)} files are skipped; reasons: {workdir}/skipped.csv")
        if (workdir / "init.txt").exists():
            logbook.say((workdir / "init.txt").read_text(encoding="utf-8").rstrip())
        if run.frozen.first_steps:
            logbook.say(run.frozen.text())
        if start.step:
            logbook.say(f"going on from step {start.step} of {run.total_steps}")
        yield logbook


def _validation(run: Training, mesh: Mesh) -> Callable[[TrainState], dict[str, float]]:
    """state -> metrics of the valid split: by its labels, or what the objective says of itself."""
    parts, info, config = run.parts, run.parts.source.info, run.parts.config
    if run.objective.evaluate is not None:
        field = f"eval.metric (of objective {config.objective.name})"
        checks.choice(field, config.eval.metric, ("loss", LAST))
        judge_split = make_judge(parts, objective=run.objective, mesh=mesh)
        metrics_of = functools.partial(judge_split, "valid")
    else:
        check_metric(
            config.eval.metric,
            task=info.task,
            parents=info.parents,
            labels=info.labels,
            others=config.eval.metrics,
        )
        aggregation.check(config.eval.aggregation, task=info.task, field="eval.aggregation")
        if len(info.splits.get("valid", ())):
            check_defined(config.eval.metric, parts, split="valid")
        parallel.check_batch_size(config.eval.batch_size, mesh, field="eval.batch_size")

        def metrics_of(state):
            scores = score_songs(parts, parts.indices("valid"), state.variables(), mesh=mesh)
            return compute_metrics(parts, scores).values

    return metrics_of if len(info.splits.get("valid", ())) else lambda state: {}


def _log(
    logbook: Logbook, checkpoints: Checkpoints, account: Account, done: Sequence
) -> dict[str, float]:
    """Write the mean of the steps in `done`, after making sure that they were sound."""
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
    means |= account.values(num_steps=len(done), last_step=steps[-1])
    logbook.write("train", steps[-1], means)
    logbook.advance(steps[-1], means)
    if message := account.message():
        logbook.say(message)
    return means


def _note_failed(names: Sequence[str], known: set[str], workdir: Path) -> None:
    """List songs that stopped being readable since the data set was opened, each once."""
    new = set(names) - known
    known |= new
    if new:
        reason = "could not be read while training; another song took its place"
        add_skipped(workdir, [(name, reason) for name in sorted(new)])


def _reload_best(state: TrainState, workdir: Path) -> TrainState:
    """The state with the best variables so far; what the optimiser remembers stays."""
    best = reload_variables(workdir, state.variables())
    return state.with_variables(best["variables"])


def _describe(step: int, total_steps: int, values, progress: Progress, metric: str) -> str:
    if not values:
        return f"step {step}/{total_steps}: saved (no valid split to evaluate on)"
    shown = [name for name in dict.fromkeys(("loss", metric)) if name != LAST]
    text = ", ".join(f"{name} {values[name]:.4f}" for name in shown)
    compared = progress.best_value is not None
    best = " (best so far)" if compared and progress.best_step == step else ""
    return f"step {step}/{total_steps}: valid {text}{best}"


def _outcome(progress: Progress, step: int) -> Outcome:
    return Outcome(progress.status, step, progress.best_step, progress.best_value)
