"""A night whose process is killed while it copies, and again while it proves the copy: it goes on, and leaves nothing."""

from __future__ import annotations

from datetime import UTC, datetime

from flows.nightly_snapshot import nightly_snapshot
from replica import inventory
from steward.clients.elasticsearch import open_search
from steward.clients.offsite_bucket import open_offsite_bucket
from steward.clients.offsite_fetching import read_document
from steward.clients.postgres import connect
from steward.operations.effects import left_effects
from steward.operations.ledger import Ledger
from steward.repository.copying import blob_key, root_of
from steward.snapshots import capture
from steward.verdicts import Verdict
from tests.flows.killed_runs import Death, run_killed

TONIGHT = datetime.now(UTC).date()


def test_a_night_killed_while_it_copies_and_while_it_proves_goes_on_and_leaves_nothing(fresh, settings, replica):
    for call in (
        "steward.clients.offsite_bucket:OffsiteBucket.put#9",
        "steward.clients.offsite_proving:content_digests",
    ):
        run_killed(
            replica,
            inventory.settings_file(replica),
            "flows.nightly_snapshot.nightly_snapshot",
            fresh.model_dump(mode="json"),
            Death("call", call),
            period=str(TONIGHT),
        )
        with connect(settings) as db:
            # Nobody has to wait for it.
            db.execute("update steward.operations set lease_until = clock_timestamp() where state = 'running'")
    # Killed in the proof, everything that it makes is there.
    assert len(repositories(settings, fresh)) == 2
    report = nightly_snapshot(fresh, TONIGHT)
    assert (report.verdict, report.copied.verdict, report.copy_proved.verdict) == (Verdict.VERIFIED,) * 3
    assert once_each(settings, fresh, report)
    assert repositories(settings, fresh) == {"nightly"}
    assert list(settings.snapshots.staging.path.iterdir()) == []
    book = Ledger(settings)
    assert left_effects(book, "nightly-snapshot", fresh.cluster) == []
    book.close()


def repositories(settings, policy):
    with open_search(settings, policy.scratch_cluster, "restore") as there:
        return set(capture.repositories(there))


def once_each(settings, policy, report):
    """Whether each blob that the snapshot pins has one version, but what another night wrote under its name, and is locked."""
    root = root_of(policy.cluster, report.copied.repository_uuid)
    with open_offsite_bucket(settings) as bucket:
        document = read_document(bucket, report.copied.manifest_key, report.copied.manifest_version)
        pinned = {blob_key(root, entry.path): entry for entry in document.blobs.entries}
        versions = [each for each in bucket.versions(f"{root}/blobs/") if each.key in pinned]
        assert all(bucket.state(each.key, each.version).locked_until for each in versions)
        sums = [bucket.state(each.key, each.version).sha256 for each in versions]
    same = [each for each, sha256 in zip(versions, sums, strict=True) if pinned[each.key].sha256 == sha256]
    return len(same) == len(pinned)
