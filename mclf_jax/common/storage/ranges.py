"""Files on object storage, of which only the bytes that are asked for come."""

import functools
import hashlib

from mclf_jax.common.storage import places, tries

_BLOCK = 1 << 23


class RemoteFile:
    """A file that does not change; threads may share it.

    Args:
        url: of it.
    """

    def __init__(self, url: str):
        self.name = url
        self._fs = places.filesystem(url.partition("://")[0])
        tries.count_here()

    def pread(self, num_bytes: int, start: int) -> bytes:
        """Bytes from a position on, fewer where it ends.

        Raises:
            StorageError: it cannot be read.
        """
        if num_bytes <= 0:
            return b""
        request = functools.partial(
            self._fs.cat_file, self.name, start=start, end=start + num_bytes
        )
        return tries.attempt(f"reading {self.name}", request)

    def checksum(self) -> str:
        """SHA-256 of all of it, as hex."""
        digest, start = hashlib.sha256(), 0
        while block := self.pread(_BLOCK, start):
            digest.update(block)
            start += len(block)
            if len(block) < _BLOCK:
                break
        return digest.hexdigest()
