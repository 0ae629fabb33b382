from datetime import UTC, date, datetime, timedelta

import pytest

from steward.errors import BadInput
from steward.snapshots.blob_report import BlobsChecked, ManifestRef
from steward.snapshots.checked import Attempt, Checked, Plan, assemble_report, is_worth_copying, unproved_report
from steward.snapshots.content import IndexContent
from steward.snapshots.errors import PointInTimeLost
from steward.snapshots.findings import refuted, unknown
from steward.snapshots.offsite_report import OffsiteCopied
from steward.snapshots.planning import TenantSize
from steward.snapshots.policy import GoldenQuery, SnapshotPolicy
from steward.snapshots.stages import Stage, add_stages, seconds_covered
from steward.snapshots.trend import draw_trend
from steward.verdicts import Verdict

AT = datetime(2025, 7, 31, 1, 30, tzinfo=UTC)
NIGHT = AT.date()
POLICY = SnapshotPolicy(golden_queries=[GoldenQuery(name="q", query={"match_all": {}})])
ATTEMPT = Attempt(
    cluster="production", night=NIGHT, attempt=1, moment=1, snapshot="nightly-2025-07-31-1", started_at=AT
)


def size(name, proved=None):
    return TenantSize(tenant=name, indices=[f"tenant-{name}-000001"], bytes=5, proved=proved)


def proof(name, **changes):
    parts = {"documents": 10, "bytes": 99, "digest": f"a:10:d-{name}", "unchanged": 10}
    return IndexContent.model_validate({"index": f"tenant-{name}-000001"} | parts | changes)


def report(proofs, *, findings=(), matches=None, tenants=("acme", "bolt"), planned=("acme", "bolt"), previous=None):
    sizes = [size(name, NIGHT - timedelta(days=3)) for name in tenants]
    plan = Plan(tenants=sizes, batches=[[each for each in sizes if each.tenant in planned]])
    checks = [
        Checked(stage=Stage(name="restore", seconds=2.5)),
        Checked(stage=Stage(name="compare contents", seconds=1, documents=20), contents=list(proofs)),
        Checked(
            stage=Stage(name="golden queries", seconds=1),
            findings=list(findings),
            golden_matches={"q": 7} if matches is None else matches,
        ),
    ]
    return assemble_report(POLICY, ATTEMPT, plan, checks, taken_at=AT, previous_at=previous)


def by_tenant(made):
    return {tenant.tenant: tenant for tenant in made.tenants}


def test_a_night_whose_every_part_was_proved_is_verified_with_its_figures():
    made = report([proof("acme", attributed={"created": 2}), proof("bolt")], previous=AT - timedelta(days=1))
    assert made.verdict is Verdict.VERIFIED
    assert (made.documents, made.attributed, made.rto_seconds, made.rpo_seconds) == (20, {"created": 2}, 2.5, 86400)
    assert {name: t.proof_age_nights for name, t in by_tenant(made).items()} == {"acme": 0, "bolt": 0}
    assert [copy.digest for copy in made.copies] == ["d-acme", "d-bolt"]


def test_a_tenant_that_a_batch_forgot_turns_the_night_unknown():
    made = report([proof("acme")])
    assert made.verdict is Verdict.UNKNOWN
    assert by_tenant(made)["bolt"].verdict is Verdict.UNKNOWN
    assert by_tenant(made)["bolt"].proof_age_nights == 3


def test_a_finding_counts_against_the_tenant_whose_index_it_names():
    made = report([proof("acme"), proof("bolt")], findings=[refuted("tenant-bolt-000001[0] golden query q", "lost")])
    assert made.verdict is Verdict.REFUTED
    assert {name: t.verdict for name, t in by_tenant(made).items()} == {
        "acme": Verdict.VERIFIED,
        "bolt": Verdict.REFUTED,
    }


def test_a_rotated_night_names_the_age_of_what_it_did_not_prove():
    made = report([proof("acme")], planned=("acme",))
    assert made.verdict is Verdict.VERIFIED
    assert by_tenant(made)["bolt"].verdict is None
    assert made.oldest_proof_nights == 3


def test_a_golden_query_without_a_hit_turns_the_night_unknown():
    assert report([proof("acme"), proof("bolt")], matches={"q": 0}).verdict is Verdict.UNKNOWN
    assert report([proof("acme"), proof("bolt")], matches={}).verdict is Verdict.UNKNOWN


def test_batches_of_one_stage_add_up():
    stages = [Stage(name="a", seconds=1, bytes=2), Stage(name="b", seconds=1), Stage(name="a", seconds=2, bytes=3)]
    assert add_stages(stages) == [Stage(name="a", seconds=3, bytes=5), Stage(name="b", seconds=1)]


def restored(seconds, span):
    return Checked(stage=Stage(name="restore", seconds=seconds), span=span)


def test_what_several_workers_restore_at_one_time_counts_once_for_the_rto():
    plan = Plan(tenants=[size("acme")], batches=[[size("acme")]])
    overlapping = [restored(4, (100, 104)), restored(4, (102, 106)), restored(1, (110, 111))]
    made = assemble_report(POLICY, ATTEMPT, plan, overlapping, taken_at=AT, previous_at=None)
    assert (made.rto_seconds, made.stages[0].seconds) == (7, 9)


def test_seconds_are_covered_once_however_spans_lie():
    assert seconds_covered([]) == 0
    assert seconds_covered([(5, 6), (0, 10), (2, 3), (10, 12)]) == 12


def test_a_finding_counts_against_the_tenant_that_it_names():
    made = report([proof("acme"), proof("bolt")], findings=[unknown("tenant bolt", "could not be proved: gone")])
    assert made.verdict is Verdict.UNKNOWN
    assert {name: t.verdict for name, t in by_tenant(made).items()} == {
        "acme": Verdict.VERIFIED,
        "bolt": Verdict.UNKNOWN,
    }


SOUND = BlobsChecked(
    seconds=1,
    bytes=5,
    manifest=ManifestRef(repository_uuid="u", generation=1, snapshot="n", entries=1, bytes=5, sha256="0" * 64),
)


def test_blobs_without_a_manifest_keep_a_night_without_findings_from_being_verified():
    def verdict(blobs):
        plan = Plan(tenants=[size("acme")], batches=[[size("acme")]])
        checks = [Checked(contents=[proof("acme")], golden_matches={"q": 1}), Checked.of(blobs)]
        made = assemble_report(POLICY, ATTEMPT, plan, checks, taken_at=AT, previous_at=None)
        assert made.blobs == blobs
        return made.verdict

    assert verdict(SOUND) is Verdict.VERIFIED
    assert verdict(SOUND.model_copy(update={"manifest": None})) is Verdict.UNKNOWN


def test_findings_of_blobs_and_copies_are_the_nights_and_counted_in_full():
    copied = OffsiteCopied(
        seconds=2,
        repository_uuid="u",
        generation=1,
        findings=(refuted("indices/a", "its lock lapsed"),),
        findings_total=7,
    )
    made = unproved_report(POLICY, ATTEMPT, BadInput("no such thing"), [Checked.of(SOUND), Checked.of(copied)])
    assert (made.verdict, made.findings_total, [each.subject for each in made.findings]) == (
        Verdict.REFUTED,
        7,
        ["indices/a"],
    )
    assert (made.blobs, made.copied, made.copy_proved) == (SOUND, copied, None)
    assert [stage.name for stage in made.stages] == ["blobs", "copy"]


def test_a_snapshot_is_copied_where_its_blobs_are_sound_and_no_other_takes_its_place():
    lost = Checked(contents=[proof("acme", moment_lost=True)])
    bad = Checked(contents=[proof("bolt", findings=[refuted("d", "missing")])])
    assert is_worth_copying([Checked.of(SOUND)])
    assert not is_worth_copying([])
    assert not is_worth_copying([Checked.of(SOUND.model_copy(update={"manifest": None}))])
    assert not is_worth_copying([Checked.of(SOUND), lost])
    # No second snapshot is taken where the first is refuted.
    assert is_worth_copying([Checked.of(SOUND), lost, bad])


@pytest.mark.parametrize(
    ("error", "said", "again"),
    [
        (BadInput("no such thing", hint="do this"), "no such thing\nHINT: do this", False),
        (PointInTimeLost("gone"), "gone", True),
        (RuntimeError("password=hunter2"), "RuntimeError: see the run's log", False),
    ],
)
def test_a_failed_night_is_unknown_and_repeats_only_words_that_are_ours(error, said, again):
    made = unproved_report(POLICY, ATTEMPT, error, [])
    assert (made.verdict, made.error, made.moment_lost) == (Verdict.UNKNOWN, said, again)


def test_no_later_error_takes_back_what_was_refuted():
    bad = proof("acme", findings=[refuted("tenant-acme-000001[0] _id 7", "missing")])
    checks = [Checked(stage=Stage(name="compare contents", seconds=1), contents=[bad])]
    made = unproved_report(POLICY, ATTEMPT, PointInTimeLost("gone"), checks)
    assert (made.verdict, made.moment_lost, made.error) == (Verdict.REFUTED, False, "gone")
    assert [finding.subject for finding in made.findings] == ["tenant-acme-000001[0] _id 7"]


def test_what_could_not_be_cleared_is_said_and_never_verified():
    made = report([proof("acme"), proof("bolt")]).not_cleared(BadInput("scratch is away"))
    assert made.verdict is Verdict.UNKNOWN
    assert "could not be removed: scratch is away" in made.error
    bad = report([proof("acme", findings=[refuted("d", "missing")]), proof("bolt")])
    assert bad.not_cleared(BadInput("away")).verdict is Verdict.REFUTED


def test_the_trend_is_a_picture_of_its_own():
    nights = [report([proof("acme"), proof("bolt")]).model_copy(update={"night": date(2025, 7, day)}) for day in (1, 2)]
    assert draw_trend(nights).startswith("data:image/png;base64,iVBOR")
