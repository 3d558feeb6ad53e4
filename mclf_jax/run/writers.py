"""Where the numbers of a run go beside metrics.jsonl, and what is called as it goes.

A writer is a function or a class of (workdir, *, config, first_step), whose result has any of

    write(kind, step, values)                  numbers of "train" or "valid"
    before_step(step)                          steps count from 1
    after_step(step, state, metrics)           arrays on the devices, which the next step overwrites
    before_evaluation(step, state)
    after_evaluation(step, state, values)
    close()

One that fails is named with its error, and the run goes on without it.
"""

import csv
import importlib.util
import json
import logging
import os
import secrets
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

import jax

from mclf_jax.common import files, plugins
from mclf_jax.common.text import tables


class TensorBoard:
    """Scalars in `tensorboard/`, as kind/name.

    Written where it is called: the thread of tensorboardX's `SummaryWriter` dies of a full disk,
    and whoever writes then waits for it for ever.
    """

    def __init__(self, workdir: Path, *, config: Mapping[str, Any], first_step: int):
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog  # pyright: ignore

        # It warns, not saying of what, of metrics that are undefined, which is no fault.
        logging.getLogger("tensorboardX.x2num").setLevel(logging.ERROR)
        folder = workdir / "tensorboard"
        folder.mkdir(parents=True, exist_ok=True)
        self._event, self._events = Event, EventsWriter(str(folder / "events"))
        # Hides what an earlier try wrote of steps that come again.
        self._add(first_step + 1, session_log=SessionLog(status=SessionLog.START))
        self._events.flush()

    def write(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        from tensorboardX.summary import scalar

        for name, value in values.items():
            self._add(step, summary=scalar(f"{kind}/{name}", value))
        self._events.flush()

    def close(self) -> None:
        self._events.close()

    def _add(self, step: int, **content: Any) -> None:
        self._events.write_event(self._event(wall_time=time.time(), step=step, **content))


class Csv:
    """A table of each kind, `train.csv` and `valid.csv`, with a row for each logged step."""

    def __init__(self, workdir: Path, *, config: Mapping[str, Any], first_step: int):
        self._workdir = workdir
        self._columns: dict[str, list[str]] = {}
        for kind in ("train", "valid"):
            # What came after the checkpoint that the run goes on from is written again.
            rows = [row for row in self._read(kind) if int(row["step"]) <= first_step]
            self._rewrite(kind, rows)

    def write(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        row = {"step": step, **values}
        if not row.keys() <= set(self._columns.get(kind, ())):
            self._rewrite(kind, [*self._read(kind), row])
            return
        with self._path(kind).open("a", encoding="utf-8", newline="") as file:
            self._write(file, kind, [row])

    def _path(self, kind: str) -> Path:
        return self._workdir / f"{kind}.csv"

    def _read(self, kind: str) -> list[dict[str, Any]]:
        if not self._path(kind).exists():
            return []
        with self._path(kind).open(encoding="utf-8", newline="") as file:
            table = csv.reader(file)
            names = list(map(tables.unescaped, next(table, ())))
            return [dict(zip(names, cells, strict=False)) for cells in table]

    def _rewrite(self, kind: str, rows: list[dict[str, Any]]) -> None:
        if not rows:
            self._path(kind).unlink(missing_ok=True)
            return
        self._columns[kind] = list(dict.fromkeys(name for row in rows for name in row))
        with (
            files.replacing(self._path(kind)) as path,
            path.open("w", encoding="utf-8", newline="") as file,
        ):
            names = dict(zip(self._columns[kind], self._columns[kind], strict=True))
            self._write(file, kind, [names, *rows])

    def _write(self, file: TextIO, kind: str, rows: Iterable[Mapping[str, Any]]) -> None:
        cells = ([row.get(name, "") for name in self._columns[kind]] for row in rows)
        tables.write_rows(file, cells, line_end="\r\n")


class WeightsAndBiases:
    """A run of Weights & Biases, which WANDB_MODE, WANDB_PROJECT and so on steer."""

    def __init__(self, workdir: Path, *, config: Mapping[str, Any], first_step: int):
        import wandb

        kept = workdir / "wandb_id.txt"
        identity = kept.read_text(encoding="utf-8") if kept.exists() else secrets.token_hex(4)
        files.write_text(kept, identity)
        project = os.environ.get("WANDB_PROJECT", "mclf_jax")
        self._run = wandb.init(
            dir=workdir,
            project=project,
            name=workdir.name,
            id=identity,
            resume="allow",
            config=json.loads(json.dumps(config)),
        )

    def write(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        self._run.log({f"{kind}/{name}": value for name, value in values.items()}, step=step)

    def close(self) -> None:
        self._run.finish()


class MLflow:
    """A run of MLflow, where MLFLOW_TRACKING_URI says, or in `mlflow.db` of the run."""

    def __init__(self, workdir: Path, *, config: Mapping[str, Any], first_step: int):
        import mlflow

        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{workdir.absolute()}/mlflow.db"
        self._client = mlflow.MlflowClient(uri)
        kept = workdir / "mlflow_id.txt"
        if kept.exists():
            self._run_id = kept.read_text(encoding="utf-8")
            return
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "mclf_jax")
        found = self._client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else self._client.create_experiment(name)
        self._run_id = self._client.create_run(experiment, run_name=workdir.name).info.run_id
        for field, value in config.items():
            self._client.log_param(self._run_id, field, str(value)[:500])
        files.write_text(kept, self._run_id)

    def write(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._client.log_metric(self._run_id, f"{kind}/{name}", value, step=step)

    def close(self) -> None:
        self._client.set_terminated(self._run_id)


WRITERS: dict[str, Callable[..., Any]] = {
    "tensorboard": TensorBoard,
    "csv": Csv,
    "wandb": WeightsAndBiases,
    "mlflow": MLflow,
}


class Writers:
    """The writers of a run, called one after another.

    Args:
        opened: by name.
        say: prints a line.
    """

    def __init__(self, opened: Mapping[str, Any], *, say: Callable[[str], None]):
        self._opened, self._say = dict(opened), say

    def call(self, method: str, *arguments: Any) -> None:
        """Call a method of every writer that has it."""
        for name, writer in list(self._opened.items()):
            if (function := getattr(writer, method, None)) is None:
                continue
            try:
                # They may look at what is on the devices, which the loop itself does not.
                with jax.transfer_guard("allow"):
                    function(*arguments)
            except Exception as error:
                del self._opened[name]
                self._say(_failed(name, error))


def open_writers(
    names: Iterable[str],
    *,
    workdir: Path,
    config: Mapping[str, Any],
    first_step: int,
    callbacks: Iterable[Any] = (),
    say: Callable[[str], None],
) -> Writers:
    """Open `runtime.writers`; one that cannot be opened is said and left out.

    Args:
        names: of `WRITERS`, or of what is outside, see `common.plugins`.
        workdir: the run directory.
        config: {"optim.learning_rate": 1e-3, ...}.
        first_step: steps already taken; later entries of an earlier try will be written again.
        callbacks: objects with the same methods.
        say: prints a line.
    """
    opened = {f"{type(one).__name__} ({i})": one for i, one in enumerate(callbacks)}
    for name in names:
        try:
            opened[name] = function_of(name)(workdir, config=config, first_step=first_step)
        except Exception as error:
            say(_failed(name, error))
    return Writers(opened, say=say)


def function_of(name: str) -> Callable[..., Any]:
    """What opens a writer.

    Raises:
        ValueError: there is none of that name, or the package that it needs is not installed.
    """
    if name in ("wandb", "mlflow") and importlib.util.find_spec(name) is None:
        raise ValueError(
            f"runtime.writers has {name!r}, which needs a package: pip install 'mclf-jax[{name}]'"
        )
    return WRITERS.get(name) or plugins.find(
        "writers", name, field="runtime.writers", known=list(WRITERS)
    )


def _failed(name: str, error: Exception) -> str:
    where = "".join(traceback.format_exception(error)) if name not in WRITERS else ""
    what = f"{type(error).__name__}: {error}"
    return f"{where}the writer {name} failed, and the run goes on without it ({what})"
