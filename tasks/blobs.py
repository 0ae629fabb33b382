"""The blobs of a night: read where they lie, and compared with what the cluster, their metadata and earlier nights say."""

from __future__ import annotations

from steward.clients.blobs import open_blobs
from steward.clients.blobs_s3 import BucketBlobs
from steward.clients.postgres import connect
from steward.clients.snapshot_blobs import BlobRecord
from steward.operations.fencing import fence
from steward.settings import load
from steward.snapshots.blob_check import READERS, check_night_blobs
from steward.snapshots.blob_record import Tonight
from steward.snapshots.blob_report import BlobsChecked
from steward.snapshots.checked import Attempt
from steward.snapshots.moments import keep_open
from steward.snapshots.policy import SnapshotPolicy
from steward.snapshots.taking import KEEP_OPEN_SECONDS, SnapshotTaken, every
from tasks.durable import operation, step
from tasks.snapshots import production

#: A bucket is waited for more than it is worked for.
BUCKET_READERS = 16


@step("check blobs", run_name="check blobs of {taken.name}", key="{taken.name}")
def check_blobs(policy: SnapshotPolicy, attempt: Attempt, taken: SnapshotTaken) -> BlobsChecked:
    """Findings on what lies in the repository; points in time stay open however long it is read.

    Killed, it goes on where it was: what was read is noted every few seconds, for this operation alone. A manifest of
    what was read is kept, and trusted only once the night is VERIFIED.
    """
    settings = load()
    record = BlobRecord(
        connect=lambda: connect(load()),
        fence=fence,
        cluster=policy.cluster,
        repository=policy.repository,
        night=attempt.night,
        by=f"operation {operation().id}, round {operation().round}",
    )
    tonight = Tonight(
        repository=policy.repository,
        snapshot=taken.name,
        snapshot_uuid=taken.uuid,
        night=attempt.night,
        retention_days=policy.retention_days,
        blob_check_days=policy.blob_check_days,
    )
    with production(policy) as source, open_blobs(settings, policy.repository) as blobs:
        touch = every(KEEP_OPEN_SECONDS, lambda: keep_open(source, taken.before.joined(taken.moments)))
        readers = BUCKET_READERS if isinstance(blobs, BucketBlobs) else READERS
        return check_night_blobs(blobs, source, record, tonight, touch=touch, readers=readers)
