"""Which URLs are of object storage that can be used, and how it is reached."""

import functools
import os
from typing import Any

from mclf_jax.common import files

SCHEMES = ("gs", "s3", "memory")
"""Google's, Amazon's and what speaks its language (AWS_ENDPOINT_URL); memory is for tests."""

# Each request ends in so many seconds, and is tried again by `tries` alone, which counts.
_OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {
        "config_kwargs": {
            "connect_timeout": 10,
            "read_timeout": 60,
            "retries": {"max_attempts": 1},
        }
    },
    "gs": {"requests_timeout": 60},
}


def check(field: str, url: str | os.PathLike) -> str:
    """The URL without a slash at its end.

    Raises:
        ValueError: it is none that can be read and written.
    """
    url = os.fspath(url)
    found = files.URL.match(url)
    scheme, slashes = found.groups() if found else ("", "")
    if scheme not in SCHEMES:
        raise ValueError(
            f"{field} is {url}; allowed: a path on a disk, gs://BUCKET/FOLDER, s3://BUCKET/FOLDER"
        )
    if slashes != "//":
        raise ValueError(
            f"{field} is {url}, with one slash, as pathlib.Path leaves it; give it as a string, "
            f"{scheme}://..."
        )
    url = url.rstrip("/")
    if url.count("/") < 3 and scheme != "memory":
        raise ValueError(f"{field} is {url}, a bucket as a whole; name a folder in it: {url}/NAME")
    return url


@functools.lru_cache
def filesystem(scheme: str) -> Any:
    """Of fsspec, for one of `SCHEMES`.

    Raises:
        ImportError: a package is missing; the message says how it is installed.
    """
    try:
        import fsspec

        found = fsspec.filesystem(scheme, use_listings_cache=False, **_OPTIONS.get(scheme, {}))
    except ImportError as error:
        raise ImportError(
            f"{scheme}:// needs more packages ({error}): pip install 'mclf-jax[cloud]'"
        ) from error
    if scheme == "s3":
        found.retries = 1
    return found
