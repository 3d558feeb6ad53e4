"""A folder on object storage and its copy on a disk, which programs read and write.

`pull` brings the copy up to date, `push` the storage. A push writes files first, then `mirror.json`
with their names and a new token, and removes last what is gone: whoever pulls takes what is named
there, so a push that was cut off counts for nothing. The copy knows the token of its last pull or
push. If the storage still has that one, nobody else works there, and what the copy has more is new;
if not, the storage is right, and the copy becomes what it says. What is added beside a run, such as
a report, leaves the token as it is.
"""

import concurrent.futures
import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import secrets
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import filelock

from mclf_jax.common import files
from mclf_jax.common.storage import places, tries
from mclf_jax.common.storage.tries import StorageError

MANIFEST = "mirror.json"
_INDEX = ".mirror.json"
_THREADS = 8


@dataclasses.dataclass(frozen=True)
class _Known:
    """What the copy knows of the storage.

    Attributes:
        token: of the last pull or push; "" before it, and of folders that were put there by hand.
        files: by name {"key", "stat"}, as they were there and here when they were the same.
    """

    token: str
    files: Mapping[str, Mapping[str, Any]]


class Mirror:
    """A folder, or one file, on object storage, and its copy.

    Args:
        url: of it, see `places.check`.

    Attributes:
        url: of it.
        folder: the copy, in `files.cache_folder()`.
    """

    def __init__(self, url: str):
        self.url = url
        self._fs = places.filesystem(url.partition("://")[0])
        self._root = self._fs._strip_protocol(url).rstrip("/")
        digest = hashlib.sha256(url.encode()).hexdigest()[:12]
        self.folder = files.cache_folder() / "storage" / f"{Path(url).name}-{digest}"
        self._one = ""  # the name, where it is one file
        self._lacks = f"{url} cannot be written to: is there such a bucket?"

    def pull(self) -> Path:
        """Bring the copy up to date; the path of it, which is that of a file if the URL is of one.

        Raises:
            StorageError: the storage cannot be read.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._locked():
            there = self._there()
            if "" in there:
                self._one = Path(self.url).name
                return self._pull({self._one: there[""]}, token="") / self._one
            told = self._told() if MANIFEST in there else None
            names = there.keys() - {MANIFEST} if told is None else told["names"]
            found = {name: there[name] for name in names if name in there}
            return self._pull(found, token=told["token"] if told else "")

    def push(self, *, claim: str = "if changed") -> int:
        """Bring the storage up to date; the number of files that were new or other.

        Args:
            claim: "always": write there even if nothing is new, so that nobody else's push passes;
                "beside": add to what somebody else may be working on, whose pushes pass as before.

        Raises:
            StorageError: the storage cannot be written to, or somebody else wrote there.
        """
        with self._locked():
            known, here = self._known(), self.here()
            changed = [name for name in here if not _is(known, name, here[name])]
            gone = sorted(known.files.keys() - here.keys())
            if not (changed or gone or claim == "always"):
                return 0
            self._told_as_known(known)
            sent = {name for name in self._each(self._send, changed) if name}
            told = self._told_as_known(known)  # sending may take long
            token = known.token if claim == "beside" else ""
            token = token or secrets.token_hex(8)
            own = {name for name in here if name not in changed} | sent
            beside = set(told["names"] if told else ()) - known.files.keys() - here.keys()
            content = json.dumps({"token": token, "names": sorted(own | beside)}).encode()
            try:
                self._ask(f"writing {self.url}/{MANIFEST}", self._fs.pipe_file, MANIFEST, content)
            except FileNotFoundError as error:
                raise StorageError(f"{self._lacks} ({error})") from error
            for name in gone:
                self._remove(name)
            there = self._there()
            same = {name: dict(known.files[name]) for name in own - sent}
            same |= {name: {"key": there.get(name), "stat": here[name]} for name in sent}
            self._remember(_Known(token, same))
            return len(sent) + len(gone)

    def here(self) -> dict[str, list[int]]:
        """Name -> size and time of the files of the copy that go to the storage."""
        found = {}
        for path in self.folder.rglob("*"):
            name = path.relative_to(self.folder).as_posix()
            # Hidden files are locks and what is being written; so is what orbax calls tmp.
            if any(part.startswith(".") or "-checkpoint-tmp" in part for part in name.split("/")):
                continue
            if name != MANIFEST and path.is_file() and (stat := _stat(path)):
                found[name] = stat
        return found

    def _pull(self, found: Mapping[str, str], *, token: str) -> Path:
        known, here = self._known(), self.here()
        same = {**known.files}
        nobody_else = known.token == token
        ahead = {name for name in here if not _is(known, name, here[name])}
        if not nobody_else or (found and not known.files):
            # Before a first push there is nothing to lose: it had not come to a checkpoint.
            if lost := sorted(ahead & found.keys()) if known.files else []:
                told = "what had not come there is forgotten, and made again"
                warnings.warn(
                    f"{self.url} has been written to elsewhere since: {len(lost)} newer files of "
                    f"{self.folder} give way to it; {told}",
                    stacklevel=3,
                )
            for name in here.keys() - found.keys():
                (self.folder / name).unlink(missing_ok=True)
                for above in (self.folder / name).relative_to(self.folder).parents[:-1]:
                    with contextlib.suppress(OSError):  # something else is in it
                        (self.folder / above).rmdir()
            ahead = set()
        wanted = [
            name
            for name, key in found.items()
            if name not in here
            or not (name in ahead or same.get(name, {}).get("key") == key)
            or (not nobody_else and not _is(known, name, here[name]))
        ]
        for name in self._each(self._receive, wanted):
            same[name] = {"key": found[name], "stat": _stat(self.folder / name)}
        kept = {name: one for name, one in same.items() if name in found or nobody_else}
        if found or known.token:
            self._remember(_Known(token, kept))
        return self.folder

    def _there(self) -> dict[str, str]:
        """Name -> what changes with the content; "" if there is one file of that name."""
        try:
            listed = self._ask(f"listing {self.url}", self._fs.find, "", detail=True)
        except FileNotFoundError:
            return {}
        found = {}
        for path, info in listed.items():
            name = self._fs._strip_protocol(path).removeprefix(self._root).removeprefix("/")
            if ".." not in name.split("/") and not name.endswith("/"):  # nothing outside of it
                found[name] = _key(info)
        return found

    def _told(self) -> dict[str, Any] | None:
        """What the last push says of itself; None before it."""
        try:
            text = self._ask(f"reading {self.url}/{MANIFEST}", self._fs.cat_file, MANIFEST)
        except FileNotFoundError:
            return None
        try:
            told = json.loads(text)
            return {"token": str(told["token"]), "names": list(map(str, told["names"]))}
        except (ValueError, TypeError, KeyError) as error:
            raise StorageError(
                f"{self.url}/{MANIFEST} is damaged; remove it, and all files that are there count"
            ) from error

    def _told_as_known(self, known: _Known) -> dict[str, Any] | None:
        """The same; a StorageError if it is not of the last pull or push of this copy."""
        told = self._told()
        if (told["token"] if told else "") != known.token:
            raise StorageError(
                f"another process has written to {self.url} since this one read it, and what "
                f"is there is left as it is; what this one wrote is in {self.folder} until the "
                "next command with that path"
            )
        return told

    def _send(self, name: str) -> str | None:
        """The name, or None if the file is gone by now."""
        path = str(self.folder / name)
        if not os.path.exists(path):
            return None
        request = functools.partial(self._fs.put_file, path, f"{self._root}/{name}")
        try:
            tries.attempt(f"writing {self.url}/{name}", request)
        except FileNotFoundError as error:
            if os.path.exists(path):
                raise StorageError(f"{self._lacks} ({error})") from error
            return None
        return name

    def _receive(self, name: str) -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing(path) as temporary:
            at = "" if self._one else name
            self._ask(f"reading {self.url}/{at}", self._fs.get_file, at, str(temporary))
        return name

    def _remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._ask(f"removing {self.url}/{name}", self._fs.rm_file, name)

    def _ask(self, what: str, method: Callable, name: str, *arguments: Any, **named: Any) -> Any:
        path = f"{self._root}/{name}" if name else self._root
        return tries.attempt(what, functools.partial(method, path, *arguments, **named))

    def _each(self, function: Callable[[str], Any], names: Iterable[str]) -> list[Any]:
        with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
            try:
                return list(pool.map(function, names))
            except BaseException:
                pool.shutdown(cancel_futures=True)  # the others would wait as long for nothing
                raise

    def _known(self) -> _Known:
        path = self.folder / _INDEX
        nothing = _Known("", {})
        if not path.exists():
            return nothing
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return _Known(content["token"], content["files"])
        except (ValueError, TypeError, KeyError):  # damaged: all is read again
            return nothing

    def _remember(self, known: _Known) -> None:
        files.write_json(self.folder / _INDEX, dataclasses.asdict(known))

    def _locked(self) -> filelock.BaseFileLock:
        return filelock.FileLock(self.folder / ".mirror.lock")


def _is(known: _Known, name: str, stat: list[int] | None) -> bool:
    """Whether a file of the copy is still what it was when it and the storage were the same."""
    return name in known.files and known.files[name]["stat"] == stat


def _stat(path: Path) -> list[int] | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return [stat.st_size, stat.st_mtime_ns]


def _key(info: Mapping[str, Any]) -> str:
    for name in ("ETag", "etag", "md5Hash", "crc32c"):
        if info.get(name):
            return str(info[name])
    return f"{info.get('size')} {info.get('created', info.get('mtime'))}"
