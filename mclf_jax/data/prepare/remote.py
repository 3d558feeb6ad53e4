"""A prepared data set on object storage: its tables are copied, its shards read in parts."""

import functools
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mclf_jax.common import files
from mclf_jax.common.storage import places, tries
from mclf_jax.common.storage.ranges import RemoteFile
from mclf_jax.data.prepare.meta import CHECKSUMS, META, TABLES


def find(url: str) -> str:
    """The prepared data set at a URL, or the only one a level or two below it.

    Raises:
        ValueError: there is none, or there are several.
    """
    url = places.check("path", url)
    tries.count_here()  # with data workers, which are started later
    fs, found = places.filesystem(url.partition("://")[0]), []
    for pattern in ("", "*/", "*/*/"):
        if not found:
            look = functools.partial(fs.glob, f"{url}/{pattern}{META}")
            paths = tries.attempt(f"listing {url}", look)
            found = [path for path in paths if "/incomplete-" not in path]
    root = fs._strip_protocol(url)
    below = [path.removeprefix(root).removesuffix(META).strip("/") for path in sorted(found)]
    if len(below) == 1:
        return f"{url}/{below[0]}".rstrip("/")
    if below:
        names = ", ".join(below)
        raise ValueError(f"{url} holds several prepared data sets; give one of them: {names}")
    raise ValueError(
        f"{url} is no prepared data set: no {META} in it. Audio files are read from disks: prepare "
        "them there by `mclf data prepare`, and copy what that makes"
    )


def copy_tables(url: str) -> Path:
    """A folder on this disk with what is known of the items."""
    digest = hashlib.sha256(url.encode()).hexdigest()[:12]
    folder = files.cache_folder() / "storage" / f"tables-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    fs = places.filesystem(url.partition("://")[0])
    for name in (*TABLES, CHECKSUMS):
        read = functools.partial(fs.cat_file, f"{url}/{name}")
        try:
            content = tries.attempt(f"reading {url}/{name}", read)
        except FileNotFoundError:
            if name == CHECKSUMS:  # which earlier versions have not
                (folder / name).unlink(missing_ok=True)
                continue
            raise ValueError(f"{url} is not complete: it has no {name}") from None
        with files.replacing(folder / name) as temporary:
            temporary.write_bytes(content)
    return folder


def check_shards(url: str, shards: Sequence[Mapping[str, Any]], *, checksums: str) -> None:
    """Raise a ValueError that names a shard that is missing or not what was prepared.

    Their sizes are compared; with `checksums` "verify" all of their bytes, which come for it.
    """
    fs = places.filesystem(url.partition("://")[0])
    look = functools.partial(fs.find, url, detail=True)
    listed = tries.attempt(f"listing {url}", look)
    sizes = {path.rpartition("/")[2]: info["size"] for path, info in listed.items()}
    for shard in shards:
        name = shard["file"]
        if name not in sizes:
            raise ValueError(f"{url}/{name} is missing: the data set was not copied completely")
        if sizes[name] != shard["num_bytes"]:
            raise ValueError(
                f"{url}/{name} has {sizes[name]} bytes, not {shard['num_bytes']}: it was cut or "
                "changed"
            )
        if checksums != "verify":
            continue
        if RemoteFile(f"{url}/{name}").checksum(sizes[name]) != shard["sha256"]:
            raise ValueError(f"{url}/{name} is not what was prepared: copy the data set again")
