"""Whether a bucket has Object Lock: right for evidence, wrong for a snapshot repository."""

from __future__ import annotations

from steward.clients.s3 import BucketMissing, BucketWithoutLock, LockedBucket, _client
from steward.settings import Settings


def has_object_lock(settings: Settings, bucket: str) -> bool:
    """Asks the object store of *settings*. Raises what `steward.clients.s3` does; BucketMissing for no such bucket."""
    store = settings.objects
    asked = LockedBucket(bucket, store.endpoint or f"AWS {store.region}", _client(store, settings.vault))
    try:
        asked.check()
    except BucketWithoutLock:
        return False
    except BucketMissing as missing:
        raise BucketMissing(missing.message, hint="make it, versioned and without Object Lock") from None
    finally:
        asked.client.close()
    return True
