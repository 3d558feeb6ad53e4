"""The songs of a command, one after the other: which, by what network, and under what names."""

import argparse
import contextlib
import itertools
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mclf_jax.cli import flags
from mclf_jax.common import walk

_SHOW_PROGRESS_FROM = 10  # songs
_LONGEST_NAME = 200  # bytes


def for_each_song(arguments: argparse.Namespace, function: Callable) -> int:
    """Call `function` on every audio file; a bad one is skipped, and makes the exit code 1."""
    from mclf_jax.audio.decode import AudioError
    from mclf_jax.common import progress

    paths, skipped = flags.find_audio(arguments.audio)
    for path, reason in skipped:
        print(f"skipped: {walk.shown(path)}: {reason}", file=sys.stderr)
    with _hearing_ahead(paths[0]):
        tagger = load_tagger(arguments)
    code = 1 if skipped else 0
    shown = "off" if len(paths) < _SHOW_PROGRESS_FROM else "auto"
    with progress.bar(
        total=len(paths), title=arguments.command, unit="song", progress=shown, leave=True
    ) as bar:
        for path in paths:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always", UserWarning)
                try:
                    function(tagger, path)
                except AudioError as error:
                    code = 1
                    print(f"skipped: {error}", file=sys.stderr)
            for note in dict.fromkeys(str(each.message) for each in said):
                print(f"note: {note}", file=sys.stderr)
            bar.update()
    return code


@contextlib.contextmanager
def _hearing_ahead(path: str) -> Iterator[None]:
    """Meanwhile a thread decodes the first song, which is remembered: opening a network takes long.

    What is wrong with the song is told when its turn comes.
    """
    from mclf_jax.audio.decode import hear

    def try_it() -> None:
        with contextlib.suppress(Exception):
            hear(path)

    thread = threading.Thread(target=try_it, daemon=True)
    thread.start()
    yield
    thread.join()


def load_tagger(arguments: argparse.Namespace) -> Any:
    """Of the run or file, cutting songs as the command says."""
    from mclf_jax.api import load
    from mclf_jax.audio.files import tags

    write_tags = arguments.command == "predict" and arguments.write_tags
    if write_tags:
        tags.check_installed("--write-tags")
    tagger = load(
        arguments.run,
        window_s=arguments.window_s,
        num_windows=arguments.num_windows,
        hop_s=arguments.hop_s,
        aggregation=arguments.aggregation,
        layer=arguments.layer,
        words=flags.words_of(arguments),
    )
    if write_tags and tagger.task == "regression":
        raise ValueError("--write-tags is for tags, and this run predicts numbers; leave it out")
    return tagger


def free_name(path: str, taken: set[str]) -> str:
    """The name of a song without its ending, or that with a number, if it is among the `taken`."""
    # Songs of several folders may share a name: "intro", "intro_2", ...
    endings = itertools.chain([""], (f"_{i}" for i in itertools.count(2)))
    # A name on disk may have 255 bytes, with the ending of a picture and of its partial file.
    stem = walk.shown(Path(path).stem).encode()[:_LONGEST_NAME].decode(errors="ignore")
    name = next(name for end in endings if (name := stem + end) not in taken)
    taken.add(name)
    return name
