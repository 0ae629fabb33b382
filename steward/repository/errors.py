"""Why a repository's blobs could not be read, or not be understood."""

from __future__ import annotations

from steward.errors import StewardError, Unavailable


class BlobsAway(Unavailable):
    """The place where the repository lies does not answer. It says nothing about what lies there."""


class BlobMissing(StewardError):
    """There is no blob at this path: deleted, never written, or, while the repository is written to, just replaced."""

    def __init__(self, path: str, place: str) -> None:
        super().__init__(
            f"{path} is not in {place}",
            hint="if the repository's generation has moved since, read the new one; otherwise the blob is lost",
        )
        self.path = path


class BlobRefused(StewardError):
    """What lies at this path is not to be read: no plain file, closed to this user, or outside the repository."""

    def __init__(self, path: str, why: str, *, hint: str) -> None:
        super().__init__(f"{path!r} is not read: {why}", hint=hint)
        self.path = path


class MalformedBlob(StewardError):
    """A blob was read whole and is not what Elasticsearch writes there. No retry makes it better."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}", hint="compare it with its off-site copy by the manifest's SHA-256")
        self.path, self.why = path, why


class SnapshotAbsent(StewardError):
    """The repository's catalogue does not list the snapshot."""


class ManifestUnreadable(StewardError):
    """A manifest is not one that was written here, or is damaged: nothing is concluded from it."""
