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

    def checksum(self, num_bytes: int) -> str:
        """SHA-256 of all of its bytes, of which there are so many, as hex."""
        digest = hashlib.sha256()
        for start in range(0, num_bytes, _BLOCK):  # S3 refuses to read from the end on
            digest.update(self.pread(min(_BLOCK, num_bytes - start), start))
        return digest.hexdigest()
