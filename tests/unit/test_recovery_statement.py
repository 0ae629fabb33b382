from datetime import timedelta

from steward.snapshots.recovery_report import RecoveryFacts, make_report
from steward.verdicts import Verdict
from tasks.recovery_statement import recovery_statement
from tests.unit.recovery_samples import AT, DIGESTS, facts, plan


def statement(made, told):
    more = {"period": "run", "attempt": 2, "ended_at": AT + timedelta(minutes=3), "host": "a machine"}
    return recovery_statement(make_report(made, "ticket 7", told, code={"version": "1"}, **more))


def test_what_was_read_is_named_by_its_digest_and_the_copy_by_its_manifests():
    made = plan()
    signed = statement(made, facts(made))
    assert [(each.name, *each.digest.values()) for each in signed.artifacts] == [
        (f"production/tenant-{tenant}-000001", DIGESTS[tenant].split(":")[2]) for tenant in ("acme", "bolt")
    ]
    assert signed.inputs[1].digest == {"sha256": made.manifest_sha256}
    assert signed.inputs[1].name == f"{made.manifest_key}@{made.manifest_version}"


def test_the_measured_time_who_approved_and_why_are_in_the_evidence():
    made = plan()
    figures = statement(made, facts(made)).figures
    assert (figures["rto_milliseconds"], figures["waited_milliseconds"]) == (17_000, 98_000)
    assert (figures["approved_by"], figures["because"], figures["night_on_record"]) == ("Ada", "ticket 7", "VERIFIED")
    assert [each["name"] for each in figures["stages"]] == ["plan", "fetch", "restore", "compare"]


def test_where_nothing_was_read_the_request_is_what_it_is_about_and_the_error_is_told():
    signed = statement(plan(), RecoveryFacts(error="the store is away"))
    assert (signed.verdict, [each.name for each in signed.artifacts]) == (Verdict.UNKNOWN, ["request"])
    assert signed.findings[-1]["fact"] == "the store is away"
    assert signed.payload()
