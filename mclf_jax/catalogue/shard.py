"""One shard: its songs are heard, those that fail again, and all of it is written at once."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax

from mclf_jax.api import Tagger
from mclf_jax.audio.decode import AudioError
from mclf_jax.catalogue import rows
from mclf_jax.catalogue.folder import open_catalogue
from mclf_jax.catalogue.load import tagger_of
from mclf_jax.common import files

_LONGEST_PAUSE_S = 30.0
_BYTES_AT_ONCE = 1 << 20


def write_shard(
    number: int, *, folder: str, retries: int, after_each: Callable[[], Any] = lambda: None
) -> None:
    """Hear the songs of a shard, unless it is done, and write it whole.

    Args:
        number: of the shard.
        folder: of the catalogue.
        retries: how often songs that fail are heard again.
        after_each: called when a song is done or has failed for the first time.

    Raises:
        jax.errors.JaxRuntimeError, MemoryError: the network fails, and not a song. The shard is
            not written then.
    """
    catalogue = open_catalogue(folder)
    place = catalogue.shard(number)
    if place.exists():  # a runner may give a shard to two workers
        return
    tagger = tagger_of(catalogue.network)
    heard = hear(tagger, catalogue.paths(number), retries=retries, after_each=after_each)
    content = rows.pack(heard, network=catalogue.network)
    if place.exists():  # the other worker was faster
        return
    with files.replacing(place) as temporary:
        temporary.write_bytes(content)


def hear(
    tagger: Tagger,
    paths: Sequence[str],
    *,
    retries: int,
    after_each: Callable[[], Any] = lambda: None,
) -> dict[str, dict[str, Any]]:
    """What is heard in songs, in their order; windows of several share a batch of the network.

    A song that fails may have been hit by a storage that fails now and then, and is heard again;
    after a pause of 1, 2, 4, ... seconds where a file cannot even be read.

    Returns:
        path -> {"duration_s", "scores", "embedding"} or {"reason"}, see `api.Tagger.hear_files`.
    """
    found: dict[str, dict[str, Any]] = {}
    left = list(paths)
    for attempt in range(retries + 1):
        if attempt and any(map(_storage_fails, left)):
            time.sleep(min(2.0 ** (attempt - 1), _LONGEST_PAUSE_S))
        for each in _each(tagger, left):
            path, error = each.pop("path"), each.pop("error", None)
            found[path] = each if error is None else {"reason": error.reason}
            if not attempt:
                after_each()
        left = [path for path in left if "reason" in found[path]]
    return {path: found[path] for path in paths}


def _each(tagger: Tagger, paths: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Of `hear_files`, also where a decoder fails in a way that nobody foresaw: it costs one song,
    of which nothing says which it is, so that those that are left are heard one by one."""
    count = 0
    try:
        for each in tagger.hear_files(paths):
            count += 1
            yield each
    except Exception as error:
        _raise_of_network(error)
        for path in paths[count:]:
            yield from _alone(tagger, path)


def _alone(tagger: Tagger, path: str) -> Iterator[dict[str, Any]]:
    try:
        yield from list(tagger.hear_files([path]))
    except Exception as error:
        _raise_of_network(error)
        reason = f"its decoder failed ({type(error).__name__}: {error})"
        yield {"path": path, "error": AudioError(path, reason)}


def _raise_of_network(error: Exception) -> None:
    """Raise what is not the fault of a song, such as a device without memory."""
    if isinstance(error, jax.errors.JaxRuntimeError | MemoryError | ImportError):
        raise error


def _storage_fails(path: str) -> bool:
    """Whether there is a file that cannot be read to its end, as of a network that is down."""
    # To open a pipe would be to wait for ever, and object storage has been waited for.
    if not os.path.isfile(path):
        return False
    try:
        with Path(path).open("rb") as file:
            while file.read(_BYTES_AT_ONCE):
                pass
    except OSError as error:
        return not isinstance(error, PermissionError | FileNotFoundError)
    return False
