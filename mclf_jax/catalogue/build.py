"""A catalogue is made: its shards one after the other here, or many at a time on Apache Beam."""

import contextlib
import functools
import io
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mclf_jax.catalogue import rows
from mclf_jax.catalogue.folder import Catalogue, absolute, begin
from mclf_jax.catalogue.load import open_network
from mclf_jax.catalogue.shard import write_shard
from mclf_jax.common import checks, files, progress, walk
from mclf_jax.common.text import tables
from mclf_jax.export.collect import Paths


def build(
    run: Paths,
    paths: Sequence[str],
    *,
    out: str | os.PathLike,
    beam: Sequence[str] | None = None,
    songs_per_shard: int | None = None,
    retries: int = 2,
    **how: Any,
) -> dict[str, Any]:
    """Make a catalogue, or go on with it; what is in it is not done again.

    Args:
        run: as of `api.load`.
        paths: of audio files, in any order.
        out: folder of the catalogue.
        beam: options of an Apache Beam pipeline, as on Beam's command line, or none for its
            DirectRunner: with a process for each core, or in this one where JAX has an accelerator.
            All workers must see the audio, `run` and `out`. Without it, shards are made here.
        songs_per_shard: 1,000, or as it was begun, when not given. A stop loses what is done of a
            shard.
        retries: how often a song that cannot be heard is tried again.
        **how: of `api.load`: `window_s`, `num_windows`, `hop_s`, `aggregation`, `layer`.

    Returns:
        {"songs": how many it has, "done_before": how many of them it had, "skipped":
        [{"path", "reason"}], "skipped_list": where these are listed}.

    Raises:
        FileNotFoundError: `run` is none.
        ValueError: there are no songs; or `out` has a catalogue by another network, of other songs,
            or that is being made by another process.
        ImportError: pyarrow, or apache-beam where it is asked for, is not installed.
        RuntimeError: the network or a worker failed; what is done stays.
    """
    checks.at_least("retries", retries, 0)
    if isinstance(paths, str | os.PathLike):
        raise ValueError(f"paths is {os.fspath(paths)!r}; it must be a list of audio files")
    if not paths:
        raise ValueError("paths is empty; a catalogue needs at least one song")
    rows.check_installed()
    if beam is not None:
        from mclf_jax.data.prepare.beam import check_beam

        check_beam("a catalogue with --beam")
    out = absolute(out)
    local = "://" not in out
    if local:
        files.check_place("out", out, kind="folder")
    _, network = open_network(run, **how)
    with _alone(out) if local else contextlib.nullcontext():
        catalogue = begin(out, paths, network=network, songs_per_shard=songs_per_shard)
        for left_over in (catalogue.folder / "songs").glob(".*.partial.parquet"):
            left_over.unlink(missing_ok=True)  # of a process that was killed
        before = sum(each["songs"] for each in rows.tell(catalogue))
        _write_shards(catalogue, retries=retries, beam=beam)
        if left := catalogue.not_done():
            raise RuntimeError(
                f"Beam ended without {len(left)} of {len(catalogue.songs['starts'])} shards, such "
                f"as {catalogue.shard(left[0]).name}: do all workers see {out}?"
            )
        told = list(rows.tell(catalogue))
        skipped = [pair for each in told for pair in each["skipped"]]
        return {
            "songs": sum(each["songs"] for each in told),
            "done_before": before,
            "skipped": [{"path": path, "reason": reason} for path, reason in skipped],
            "skipped_list": write_skipped(catalogue, skipped),
        }


@contextlib.contextmanager
def _alone(out: str) -> Iterator[None]:
    os.makedirs(out, exist_ok=True)
    with files.locked(Path(out), refusal=f"another process is making {out}: wait for it"):
        yield


def write_skipped(catalogue: Catalogue, skipped: Sequence[Sequence[str]]) -> str:
    """Write [path, reason] of what is not in it as a table; where that is."""
    place, text = catalogue.folder / "skipped.csv", io.StringIO(newline="")
    tables.write_rows(text, [("path", "reason"), *((walk.shown(p), why) for p, why in skipped)])
    with files.replacing(place) as temporary:
        temporary.write_bytes(text.getvalue().encode())
    return os.fspath(place)


def _write_shards(catalogue: Catalogue, *, retries: int, beam: Sequence[str] | None) -> None:
    left = catalogue.not_done()
    write = functools.partial(write_shard, folder=os.fspath(catalogue.folder), retries=retries)
    if beam is not None:
        from mclf_jax.data.prepare.beam import map_on_beam

        if left:
            map_on_beam(write, left, pipeline_options=list(beam) or _here())
        return
    total = catalogue.songs["count"]
    with (
        progress.bar(total=total, title="catalogue", unit="song", leave=True) as bar,
        warnings.catch_warnings(record=True) as said,
    ):
        warnings.simplefilter("always", UserWarning)

        def after_each() -> None:
            for note in dict.fromkeys(str(each.message) for each in said):
                progress.say(f"note: {note}")
            said.clear()
            bar.update()

        num_left = sum(len(catalogue.paths(number)) for number in left)
        bar.update(total - num_left)
        bar.unpause()  # the time that is left is reckoned from what is done now
        for number in left:
            write(number, after_each=after_each)


def _here() -> list[str]:
    """A process for each core; but an accelerator belongs to the process that has opened it."""
    import jax

    from mclf_jax.data.prepare.beam import processes_here

    if jax.default_backend() == "cpu":
        return processes_here()
    return ["--runner=DirectRunner", "--direct_running_mode=in_memory"]
