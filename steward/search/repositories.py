"""The snapshot repository: how it is registered, and what must never be done to a registered one."""

from __future__ import annotations

from typing import Any, Protocol

from steward.search.description import FsRepository, Retention, S3Repository

CORRUPTED_GENERATION = -3
"""What the cluster state holds as the generation of a repository that Elasticsearch has marked corrupted."""

_PLACE = {"fs": ("location",), "s3": ("bucket", "base_path")}

# After a week no upload is still under way; its parts are invisible and are paid for.
_ABANDONED_UPLOAD_DAYS = 7


class Buckets(Protocol):
    """What must be known of a bucket before it may hold a repository."""

    def has_object_lock(self, bucket: str) -> bool: ...


def repository_body(repository: FsRepository | S3Repository) -> dict[str, Any]:
    """The body of `PUT _snapshot/<name>`. The region is no part of it: it is a setting of the nodes' S3 client."""
    if isinstance(repository, FsRepository):
        return {"type": "fs", "settings": {"location": repository.location}}
    return {
        "type": "s3",
        "settings": {"bucket": repository.bucket, "base_path": repository.base_path, "client": "default"},
    }


def read_only(body: dict[str, Any]) -> dict[str, Any]:
    """The same repository as the scratch cluster registers it: two writers would corrupt it."""
    return {**body, "settings": {**body["settings"], "readonly": "true"}}


def moved(desired: dict[str, Any], actual: dict[str, Any]) -> str | None:
    """Why *desired* would point a registered name at another place, or None where it stays.

    The snapshots stay behind in such a move, and nothing says so until one is needed.
    """
    if desired["type"] != actual["type"]:
        return f"it is registered as type {actual['type']}, described as type {desired['type']}"
    for setting in _PLACE[desired["type"]]:
        seen, expected = actual["settings"].get(setting), desired["settings"].get(setting)
        if seen != expected:
            return f"its {setting} is {seen!r}, described as {expected!r}"
    return None


def is_read_only(body: dict[str, Any]) -> bool:
    """Whether the registration forbids writing, which whoever looks into a damaged repository sets first."""
    return str(body["settings"].get("readonly", "false")).lower() == "true"


def bucket_lifecycle(repository: S3Repository, retention: Retention) -> dict[str, Any]:
    """The lifecycle of the repository's bucket, as `put-bucket-lifecycle-configuration` takes it.

    Objects never expire by age here: Elasticsearch alone knows which blobs a snapshot still needs. What it has deleted
    stays recoverable as a noncurrent version for as long as snapshots are kept.
    """
    return {
        "Rules": [
            {
                "ID": "steward-search-snapshots",
                "Status": "Enabled",
                "Filter": {"Prefix": f"{repository.base_path}/"},
                "NoncurrentVersionExpiration": {"NoncurrentDays": retention.days},
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": _ABANDONED_UPLOAD_DAYS},
            }
        ]
    }
