"""Values of all songs in one file, with a journal beside it so that a command can go on."""

import argparse
import contextlib
import json
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mclf_jax.cli import flags
from mclf_jax.cli.songs.each import load_tagger
from mclf_jax.common import walk


def write_all(
    arguments: argparse.Namespace,
    write: Callable,
    *,
    hear: Callable,
    place: str = "out",
    settings: Mapping[str, Any] | None = None,
) -> int:
    """Values of all songs as a file; what is done is kept in a journal beside it.

    Args:
        arguments: of the command.
        write: writes the file, of tagger, journal and paths, and says what it has skipped.
        hear: from the tagger to its function of paths, such as `predict_files`.
        place: the argument that names the file.
        settings: what values depend on beside the tagger. With others than before the journal is
            begun anew; without any, what is of another network is refused.
    """
    from mclf_jax.common import files, interrupt, progress
    from mclf_jax.evaluation import journal as journal_lib

    out = Path(getattr(arguments, place))
    if out.name in ("", ".."):  # a folder has a journal beside it, by its name
        out = Path(os.path.abspath(out))
    paths, skipped = flags.find_audio(arguments.audio)
    for path, reason in skipped:
        print(f"skipped: {walk.shown(path)}: {reason}", file=sys.stderr)
    paths = list(dict.fromkeys(paths))
    tagger = load_tagger(arguments)
    identity = {"identity": tagger.identity}
    if settings is not None:
        told = json.dumps([dict(settings), dict(tagger.thresholds)], sort_keys=True)
        identity = {"identity": f"{tagger.identity} {told}", "others": "anew"}
    out.parent.mkdir(parents=True, exist_ok=True)
    with (
        files.locked(
            journal_lib.place(out),
            refusal=f"another command is writing {out}: wait until it is done",
        ),
        contextlib.closing(journal_lib.Journal(out, **identity)) as journal,
        progress.bar(total=len(paths), title=arguments.command, unit="song", leave=True) as bar,
        warnings.catch_warnings(record=True) as said,
    ):
        warnings.simplefilter("always", UserWarning)
        stamps = {path: journal_lib.stamp(path) for path in paths if not journal.is_done(path)}
        bar.update(len(paths) - len(stamps))
        bar.unpause()  # the time that is left is reckoned from what is done now
        try:
            for found in hear(tagger)(list(stamps)):
                path = found["path"]
                for note in dict.fromkeys(str(each.message) for each in said):
                    progress.say(f"note: {note}")
                said.clear()
                if error := found.get("error"):
                    skipped.append((path, error.reason))
                    bar.write(f"skipped: {error}", file=sys.stderr)
                else:
                    del found["path"]
                    journal.add(path, stamp=stamps[path], **found)
                bar.update()
        except interrupt.Interrupted as error:
            arguments.goes_on = "yes"
            raise interrupt.Interrupted(f"{error}, and {journal.path} has what is done") from None
        left_out = {path for path, _ in skipped}
        kept = [path for path in paths if path not in left_out]
        skipped += write(tagger, journal, kept)
        listed = journal_lib.write_skipped(out, skipped)
    print(f"{len(kept)} songs ({len(paths) - len(stamps)} of them done before): {out}")
    if skipped:
        print(f"{len(skipped)} skipped: {listed}")
    return 1 if skipped else 0


def write_all_tags(tagger: Any, journal: Any, paths: Sequence[str]) -> list[tuple[str, str]]:
    """Tags of songs that are done, into their files; (path, reason) of those that stay without."""
    from mclf_jax.audio.decode import AudioError
    from mclf_jax.audio.files.tags import write_tags
    from mclf_jax.common import progress
    from mclf_jax.evaluation.journal import stamp

    skipped, num_written = [], 0
    with progress.bar(total=len(paths), title="tags", unit="song", leave=True) as bar:
        for row in journal.rows(paths):
            path = row["path"]
            scores = dict(zip(tagger.labels, row["scores"], strict=True))
            try:
                if not journal.is_done(path):
                    raise AudioError(path, "tags not written: it has changed since it was heard")
                if write_tags(path, tagger.tags(scores)) == "written":
                    num_written += 1
                    journal.add(**row | {"stamp": stamp(path)})  # it sounds as it did
            except AudioError as error:
                skipped.append((path, error.reason))
                bar.write(f"skipped: {error}", file=sys.stderr)
            bar.update()
    print(f"tags of {num_written} songs written, {len(paths) - num_written - len(skipped)} were so")
    return skipped
