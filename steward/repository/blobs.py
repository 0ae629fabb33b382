"""What reading a repository needs of the place where it lies: a folder, or a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

#: Metadata above this is not read into memory. Elasticsearch holds a blob of metadata in its heap as well.
MOST_METADATA_BYTES = 256 << 20


class Blobs(Protocol):
    """A repository's blobs by their paths below its root, parts joined by `/`.

    All raise BlobsAway (transient) where the place does not answer, and BlobRefused for what is not to be read.
    """

    def read(self, path: str) -> bytes:
        """A whole blob of metadata. BlobMissing; BlobRefused above MOST_METADATA_BYTES."""
        ...

    def chunks(self, path: str) -> Iterator[bytes]:
        """A blob of any size, piece by piece, in bounded memory. BlobMissing."""
        ...

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Path → bytes of every blob whose path begins with *prefix*; empty where there is none."""
        ...
