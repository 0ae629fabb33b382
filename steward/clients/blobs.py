"""The blobs of a repository, wherever the settings say that it lies."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from steward.clients.blobs_fs import FolderBlobs
from steward.clients.blobs_s3 import open_bucket_blobs
from steward.errors import BadInput
from steward.repository.blobs import Blobs
from steward.settings import VARIABLE, FolderRepository, Settings


@contextmanager
def open_blobs(settings: Settings, repository: str) -> Generator[Blobs]:
    """Read the blobs of *repository*, by the name that clusters know it by.

    Raises BadInput where the settings do not say where it lies, BlobsAway (transient) where that place does not answer,
    and for a bucket BucketMissing and ObjectStoreRefused.
    """
    if settings.snapshots is None:
        raise BadInput(
            f"the settings do not say where repository {repository!r} lies: they have no [snapshots]",
            hint=f"add [snapshots.repositories.{repository}] to the file that {VARIABLE} names (docs/settings.md), or "
            "switch blobs and offsite off in the policy: a night without them proves less",
        )
    place = settings.snapshots.repository(repository)
    if isinstance(place, FolderRepository):
        blobs = FolderBlobs(place.path)
        # A folder is opened with the first blob; an absent one is to be told of before anything is touched.
        blobs.sizes("index.")
        yield blobs
    else:
        with open_bucket_blobs(settings, place, table=f"snapshots.repositories.{repository}") as blobs:
            yield blobs
