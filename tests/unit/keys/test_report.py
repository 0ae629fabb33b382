"""What a rotation came to: its verdict, its findings and its certificate."""

from __future__ import annotations

from collections import Counter

import pytest

from steward.errors import BadInput
from steward.keys.certificate import MOST_FINDINGS, findings_table, render_certificate
from steward.keys.moving import Damaged
from steward.keys.progress import Rotation
from steward.keys.proof import TableProof
from steward.keys.report import (
    GoldenProof,
    Proof,
    Retirement,
    RotationNotVerified,
    SweepReport,
    TableReport,
    proved,
    verdict_on,
)
from steward.keys.request import Plan, RotationRequest
from steward.verdicts import Verdict

HOST = "https://vault.test/keys/tenants"
TABLES = [TableReport(application="crm", table="people", rows=10, values=18, erased=0, lookups=6)]
DAMAGED = Damaged("people", "42", "acme", "notes", "CiphertextTampered")


def whole(**changes):
    return Proof(**{"tables": TABLES, "golden": GoldenProof(still=8, writes=40), **changes})


def rotation(request=None, **told):
    request = request or RotationRequest()
    plan = Plan(
        tenants=("acme", "golden"),
        applications=("crm",),
        kek="tenants",
        kek_before=f"{HOST}/aa",
        rotates_kek=request.of_all,
    )
    so_far = Rotation(request, plan, "2030-01")
    so_far.kek = f"{HOST}/bb"
    for name, value in told.items():
        setattr(so_far, name, value)
    return so_far


def test_what_was_proved_without_a_finding_is_verified():
    report = rotation(proof=whole()).report()
    assert (report.verdict, report.findings, report.rows) == (Verdict.VERIFIED, [], 10)


@pytest.mark.parametrize(
    ("proof", "said"),
    [
        ({"below": {"acme": 1200}}, "tenant acme: 1,200 rows are under another key than the current one"),
        (
            {"wrong_lookups": {"acme": 2}},
            "tenant acme: 2 look-ups by blind index did not find exactly the rows of their value",
        ),
        ({"damaged": {"acme": 1}, "named": [str(DAMAGED)]}, str(DAMAGED)),
        ({"damaged": {"acme": 150}, "named": [str(DAMAGED)]}, "and 149 more damaged values"),
        ({"golden": GoldenProof(faults=["golden row 3 is lost"])}, "golden row 3 is lost"),
    ],
)
def test_one_finding_of_the_proof_refutes(proof, said):
    report = rotation(proof=whole(**proof)).report()
    assert report.verdict is Verdict.REFUTED
    assert report.findings[-1] == said


@pytest.mark.parametrize(
    ("retirement", "said"),
    [
        (
            {"kept": {"acme": "12 values are under key 7"}},
            "tenant acme: its old key was kept: 12 values are under key 7",
        ),
        (
            {"reinstated": [("acme", 7)]},
            "tenant acme: key 7 was taken back in its grace: rows are under it",
        ),
    ],
)
def test_an_old_key_that_had_to_stay_refutes(retirement, said):
    report = rotation(proof=whole(), retirement=Retirement(**retirement)).report()
    assert (report.verdict, report.findings) == (Verdict.REFUTED, [said])


@pytest.mark.parametrize("told", [{}, {"proof": whole(tables=[])}, {"proof": whole(), "error": ValueError("stopped")}])
def test_what_was_not_proved_to_its_end_is_unknown(told):
    report = rotation(**told).report()
    assert report.verdict is verdict_on(report) is Verdict.UNKNOWN


def test_an_error_beats_a_finding_and_is_told_first():
    stopped = BadInput("the vault went away", hint="wait")
    report = rotation(proof=whole(below={"acme": 1}), error=stopped).report()
    assert report.verdict is Verdict.UNKNOWN
    assert report.findings[0] == "the vault went away\nHINT: wait"
    assert rotation(error=ValueError("odd")).report().error == "ValueError: odd"


def test_the_vaults_host_is_not_told():
    report = rotation().report()
    assert (report.kek_before, report.kek) == ("tenants/aa", "tenants/bb")


def test_stages_are_timed_to_where_they_stopped():
    so_far = rotation()
    with so_far.stage("new keys"):
        pass
    with pytest.raises(ValueError, match="stopped"), so_far.stage("proof"):
        raise ValueError("stopped")
    assert [stage.name for stage in so_far.report().stages] == ["new keys", "proof"]
    assert all(stage.seconds >= 0 for stage in so_far.report().stages)


def test_the_error_of_the_run_carries_the_report_and_its_first_finding():
    report = rotation(proof=whole(below={"acme": 1})).report()
    error = RotationNotVerified(report)
    assert (error.verdict, error.report) == (Verdict.REFUTED, report)
    assert error.message == (
        "the rotation of all tenants is REFUTED: tenant acme: 1 rows are under another key than the current one"
    )
    assert "no key that is in use is lost" in error.hint
    assert "nothing was proved" in RotationNotVerified(rotation().report()).message


def test_proofs_of_tables_add_up_by_tenant():
    one = TableProof("people", rows=3, values=5, below=Counter(acme=1), damaged=Counter(acme=1), named=[DAMAGED])
    two = TableProof("letters", rows=4, values=4, erased=2, lookups=3, below=Counter(acme=2, globex=1))
    two.wrong_lookups["initech"] = 1
    proof = proved([("crm", one), ("post", two)], GoldenProof(still=8))
    assert proof.below == {"acme": 3, "globex": 1}
    assert proof.refuted == {"acme", "globex", "initech"}
    assert [(table.application, table.table, table.rows, table.erased) for table in proof.tables] == [
        ("crm", "people", 3, 0),
        ("post", "letters", 4, 2),
    ]
    assert proof.named == [str(DAMAGED)]


# The certificate.


def sweep(**changes):
    told = {
        "application": "crm",
        "replaced": 100_000,
        "replaced_here": 50_000,
        "seconds": 5.0,
        "passes": 2,
        "overtaken": 3,
        "damaged": 0,
        "resting_seconds": 0.5,
        "quiet_milliseconds": 1.25,
        "felt_milliseconds": 2.5,
    }
    return SweepReport(**(told | changes))


def test_a_certificate_says_what_was_proved():
    retirement = Retirement(retired=[("acme", 7)], destroyed=[("acme", 5)], disabled_keks=["aa"], waiting_keks=["ab"])
    report = rotation(proof=whole(), sweeps=[sweep()], retirement=retirement, rewrapped=2, generations={"acme": 8})
    lines = render_certificate(report.report()).splitlines()
    assert lines[0] == "# Key rotation certificate: all tenants, 2030-01"
    assert "verdict: VERIFIED" in lines
    for line in (
        "| the vault's key | tenants/bb |",
        "| the vault's key before | tenants/aa |",
        "| rows re-encrypted | 100,000 |",
        "| rows proved | 10 (18 values, each decrypted) |",
        "| look-ups equal to full scans | 6 of 6 |",
        "| golden rows | 8 as they were |",
        "| writes during the rotation | 40 acknowledged, all there |",
        "| old keys disabled | 1 |",
        "| keys destroyed after their grace | 1 |",
        "| versions of the vault's key disabled | aa |",
        "| older ones still needed by disabled keys | ab |",
        "| crm | 100,000 | 10,000 | 2 | 3 | 1.2 | 2.5 | 0.5 |",
    ):
        assert line in lines, line


def test_a_certificate_of_what_is_wrong_says_so_first_and_stays_short():
    kept = {f"tenant-{number}": "something of this tenant was refuted" for number in range(500)}
    report = rotation(proof=whole(), retirement=Retirement(kept=kept)).report()
    lines = render_certificate(report).splitlines()
    assert "verdict: REFUTED" in lines
    assert f"- … and {500 - MOST_FINDINGS} more findings, in the evidence" in lines
    assert len(lines) < 45
    assert len(findings_table(report)) == 500


def test_a_certificate_of_what_stopped_is_no_proof():
    text = render_certificate(rotation(kek="", error=BadInput("the vault\nwent away", hint="wait")).report())
    assert "verdict: UNKNOWN" in text
    assert "- the vault went away HINT: wait" in text
    assert "| the vault's key | not reached |" in text
    assert "| the vault's key before | tenants/aa |" in text
    assert "rows proved" not in text


def test_one_tenants_certificate_says_that_the_vaults_key_was_not_rotated():
    request = RotationRequest(tenants=("acme",), reason="offboarding", because="ticket 7")
    text = render_certificate(rotation(request, kek=f"{HOST}/aa", proof=whole()).report())
    assert "| the vault's key | tenants/aa (not rotated) |" in text
    assert "Reason: offboarding (ticket 7)." in text


def test_no_rate_is_told_of_a_sweep_that_took_no_time():
    assert sweep(seconds=0.0).rows_per_second == 0
    assert sweep().rows_per_second == 10_000
