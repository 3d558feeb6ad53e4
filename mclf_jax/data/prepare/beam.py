"""`prepare` on Apache Beam, for data that outgrow one machine.

Each shard is one element: a worker decodes its items and writes it. Records, fingerprint and going
on after a stop are those of `prepare`, as it is the same code. The audio and `out` must be folders
that all workers see.
"""

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mclf_jax.data.catalogue.items import Catalogue
from mclf_jax.data.prepare.run import prepare
from mclf_jax.data.prepare.shard import Settings, Task, write_task
from mclf_jax.data.prepare.state import Work


def prepare_beam(
    catalogue: Catalogue,
    out: str | os.PathLike,
    *,
    pipeline_options: Sequence[str] = (),
    **settings: Any,
) -> Path:
    """As `prepare`, with the shards written by a Beam pipeline.

    Args:
        catalogue: what a reader of `data.readers` found.
        out: directory of prepared data sets, which all workers see.
        pipeline_options: as on Beam's command line, such as "--runner=DataflowRunner". Without
            any, Beam's DirectRunner does it here, with a process for each core.
        **settings: those of `prepare` apart from `num_workers`, `progress` and `run`.

    Returns:
        The directory, which `reader.prepared` and `tfds.builder_from_directory` read.

    Raises:
        ImportError: apache-beam is not installed.
        ValueError: as `prepare`.
        RuntimeError: a worker failed; what is there stays, and the same call goes on with it.
    """
    check_beam("preparing on Apache Beam")
    if forbidden := {"num_workers", "progress", "run"} & settings.keys():
        raise ValueError(
            f"{', '.join(sorted(forbidden))} cannot be given with Beam: its own options, in"
            " pipeline_options, say where and on how many workers it runs"
        )

    def run(work: Work) -> None:
        tasks = work.open_tasks()
        if not tasks:
            return
        # Absolute: a worker has its own working directory.
        folder, results = os.path.abspath(work.folder), os.path.abspath(work.results)
        write = functools.partial(_write, folder=folder, results=results, by=work.settings)
        map_on_beam(write, tasks, pipeline_options=list(pipeline_options) or processes_here())
        if missing := work.open_tasks():
            raise RuntimeError(
                f"Beam ended without {len(missing)} of {len(tasks)} shards, such as"
                f" {missing[0].file_name}: do all workers see {folder}?"
            )

    return prepare(catalogue, out, run=run, **settings)


def check_beam(what: str) -> None:
    """Raise an ImportError that says what to install for `what` unless apache-beam is there."""
    try:
        import apache_beam  # noqa: F401
    except ImportError as error:
        raise ImportError(f"{what} needs it: pip install 'mclf-jax[beam]' ({error})") from error


def map_on_beam(
    write: Callable[[Any], None], tasks: Sequence[Any], *, pipeline_options: Sequence[str]
) -> None:
    """Call a function of a module with each task, in a Beam pipeline, which has ended then."""
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions, SetupOptions

    options = PipelineOptions(list(pipeline_options))
    options.view_as(SetupOptions).save_main_session = False
    with beam.Pipeline(options=options) as pipeline:
        (
            pipeline
            | "Shards" >> beam.Create(tasks)
            | "Spread" >> beam.Reshuffle()
            | "Write" >> beam.Map(write)
        )


def processes_here() -> list[str]:
    """Options of Beam's own runner on this machine, with a process for each core."""
    return [
        "--runner=DirectRunner",
        "--direct_running_mode=multi_processing",
        f"--direct_num_workers={os.cpu_count()}",
    ]


def _write(task: Task, *, folder: str, results: str, by: Settings) -> None:
    write_task(task, folder=Path(folder), results=Path(results), settings=by)
