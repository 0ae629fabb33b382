from datetime import UTC, datetime

from steward.snapshots.blob_report import BlobsChecked, ManifestRef
from steward.snapshots.offsite_report import OffsiteCopied, OffsiteProved
from steward.snapshots.policy import SnapshotPolicy
from steward.snapshots.report import CopyDigest, SnapshotReport
from steward.verdicts import Verdict
from tasks.evidence import BLOBS_CLAIM, CLAIM, OFFSITE_CLAIM, night_statement

AT = datetime(2025, 7, 31, 1, 30, tzinfo=UTC)
BARE = SnapshotPolicy(blobs=False, offsite=False)
MANIFEST = ManifestRef(repository_uuid="u", generation=3, snapshot="n", entries=2, bytes=9, sha256="ab" * 32)
BLOBS = BlobsChecked(seconds=1.5, bytes=9, entries=2, generation=3, manifest=MANIFEST)
COPIED = OffsiteCopied(
    seconds=2, repository_uuid="u", generation=3, manifest_key="production/u/manifests/n", manifest_sha256="cd" * 32
)
PROVED = OffsiteProved(seconds=1, tenants=("acme",), documents=9, rto_seconds=0.25)


def report(**changes):
    return SnapshotReport(
        cluster="production",
        repository="nightly",
        snapshot="n",
        night=AT.date(),
        attempt=1,
        verdict=Verdict.VERIFIED,
        started_at=AT,
        ended_at=AT,
        code={"version": "1"},
        host="h",
        copies=[CopyDigest(index="tenant-acme-000001", algorithm="steward-content-v1", digest="ef" * 32)],
        **changes,
    )


def test_a_statement_claims_what_its_policy_checks_and_no_more():
    assert night_statement(BARE, report()).claim == CLAIM
    told = night_statement(SnapshotPolicy(), report()).claim
    assert told == f"{CLAIM}; {BLOBS_CLAIM}; {OFFSITE_CLAIM}"


def test_a_statement_names_every_blob_and_the_copy_by_the_digests_of_their_lists():
    told = night_statement(SnapshotPolicy(), report(blobs=BLOBS, copied=COPIED, copy_proved=PROVED))
    assert {each.name: next(iter(each.digest.values())) for each in told.artifacts} == {
        "nightly/n/tenant-acme-000001": "ef" * 32,
        "nightly/n/manifest": "ab" * 32,
        "production/u/manifests/n": "cd" * 32,
    }
    assert (told.figures["blobs"]["ms"], told.figures["blobs"]["entries"]) == (1500, 2)
    assert told.figures["offsite_copy"]["generation"] == 3
    assert told.figures["offsite_proof"]["rto_ms"] == 250


def test_what_was_not_checked_is_none_in_the_statement_and_never_zero():
    figures = night_statement(BARE, report()).figures
    assert (figures["blobs"], figures["offsite_copy"], figures["offsite_proof"]) == (None, None, None)
