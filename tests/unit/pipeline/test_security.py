"""What scanners found and what is accepted of it: who refutes, who leaves it unknown, and what is said."""

import datetime as dt
import json

import pytest

from steward.pipeline.manifest import AcceptedSecret, AcceptedVulnerability
from steward.pipeline.security import assess_rules, assess_secrets, assess_vulnerabilities, join_parts, not_checked
from steward.pipeline.security_found import (
    AnswerUnreadable,
    Audit,
    Locked,
    LockUnreadable,
    Package,
    RuleFinding,
    Rules,
    Scan,
    SecretFound,
    Vulnerability,
    read_audit,
    read_lock,
    read_rules,
)
from steward.verdicts import Verdict

TODAY = dt.date(2026, 11, 27)
IDNA, SIX = Package("idna", "3.4"), Package("six", "1.16.0")
LOCKED = Locked(frozenset({IDNA, SIX}), 0)
HOLE = Vulnerability(IDNA, ("PYSEC-2024-60", "CVE-2024-3651"), ("3.7",))
LEAK = SecretFound("app/keys.py", 3, "AWS Access Key", "a" * 40, in_tree=True)


def vulnerability(id_, until=TODAY):
    return AcceptedVulnerability(id=id_, reason="not reachable from here", until=until)


def secret(file="app/keys.py", hash_="a" * 40, until=None):
    return AcceptedSecret(file=file, hash=hash_, reason="an example of the docs", until=until)


def test_a_lock_is_its_packages_and_those_for_other_systems_are_counted():
    text = (
        "# made by a tool\nIdna==3.4 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n    # via httpx\n\n"
        'six==1.16.0 --hash=sha256:cc ; python_version >= "3"\r\ncolorama==0.4.6 ; sys_platform == "nowhere"\n'
    )
    assert read_lock(text) == Locked(frozenset({IDNA, SIX}), 1)


@pytest.mark.parametrize(
    ("line", "saw"),
    [
        ("-r other.txt", "no package with a version"),
        ("--index-url https://elsewhere", "no package with a version"),
        ("-e .", "no package with a version"),
        ("idna>=3", "no one version of idna"),
        ("idna==3.*", "no one version of idna"),
        ("idna", "no one version of idna"),
        ("idna @ https://elsewhere/idna.whl", "no one version of idna"),
    ],
)
def test_a_lock_that_says_anything_but_versions_is_not_taken_for_one(line, saw):
    with pytest.raises(LockUnreadable, match=saw):
        read_lock(line)


def test_an_audit_is_what_was_asked_about_and_what_is_known():
    told = {
        "dependencies": [
            {"name": "Idna", "version": "3.4", "vulns": [{"id": HOLE.ids[0], "aliases": [HOLE.ids[1]],
                                                         "fix_versions": ["3.7"], "description": "long"}]},
            {"name": "six", "skip_reason": "not found"},
        ],
        "fixes": [],
    }  # fmt: skip
    assert read_audit(json.dumps(told)) == Audit(frozenset({IDNA}), (HOLE,))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"dependencies": [{"vulns": []}]}', '{"dependencies": 3}'])
def test_what_is_no_answer_is_said_to_be_none(text):
    with pytest.raises(AnswerUnreadable, match="pip-audit wrote nothing that can be read"):
        read_audit(text)
    with pytest.raises(AnswerUnreadable):
        read_rules('[{"code": "S1"}]', "/tree")


def test_a_known_vulnerability_refutes_with_its_names_the_package_and_what_fixes_it():
    part = assess_vulnerabilities(Audit(LOCKED.packages, (HOLE,)), LOCKED, [], TODAY)
    assert part.verdict is Verdict.REFUTED
    assert part.findings == ("idna 3.4 has PYSEC-2024-60 (CVE-2024-3651): fixed in 3.7",)
    assert part.says == "2 of 2 packages audited, 1 vulnerability"


def test_a_package_that_nobody_asked_about_is_unknown_and_named():
    part = assess_vulnerabilities(Audit(frozenset({IDNA}), ()), LOCKED, [], TODAY)
    assert part.verdict is Verdict.UNKNOWN
    assert part.says == "1 of 2 packages audited, no vulnerabilities; 1 could not be audited: six 1.16.0"
    assert part.findings == ("six 1.16.0 could not be audited",)


def test_a_lock_without_packages_proves_nothing():
    assert assess_vulnerabilities(Audit(frozenset(), ()), Locked(frozenset(), 3), [], TODAY).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("id_", HOLE.ids)
def test_a_vulnerability_is_accepted_by_any_of_its_names_until_its_day_is_over(id_):
    seen = Audit(LOCKED.packages, (HOLE,))
    part = assess_vulnerabilities(seen, LOCKED, [vulnerability(id_)], TODAY)
    assert part.verdict is Verdict.VERIFIED
    assert part.figures["vulnerabilities_accepted"] == 1
    over = assess_vulnerabilities(seen, LOCKED, [vulnerability(id_, TODAY - dt.timedelta(1))], TODAY)
    assert over.verdict is Verdict.REFUTED
    assert over.findings[0].endswith("; was accepted until 2026-11-26")


def test_an_acceptance_that_fits_nothing_is_told_and_refutes_nothing():
    part = assess_vulnerabilities(Audit(LOCKED.packages, ()), LOCKED, [vulnerability("CVE-1-1")], TODAY)
    secrets = assess_secrets(Scan(1, 0, (), ()), [secret()], TODAY)
    found = join_parts([part, secrets])
    assert found.verdict is Verdict.VERIFIED
    assert found.figures["acceptances_unused"] == ["CVE-1-1", f"app/keys.py {'a' * 40}"]
    assert "2 acceptances fit nothing, take them away: CVE-1-1, app/keys.py" in found.summary


def test_a_dangerous_line_refutes_and_a_silenced_one_is_counted():
    line = RuleFinding("S602", "app/run.py", 7, "`subprocess` call with `shell=True`")
    part = assess_rules(Rules(3, (line,), 2, ()))
    assert part.verdict is Verdict.REFUTED
    assert part.findings == ("app/run.py:7: S602 `subprocess` call with `shell=True`",)
    assert part.says == "3 Python files, 1 dangerous line, 2 silenced"
    assert assess_rules(Rules(3, (), 2, ())).verdict is Verdict.VERIFIED


def test_sources_that_are_none_or_that_cannot_be_read_prove_nothing():
    assert assess_rules(Rules(0, (), 0, ())).verdict is Verdict.UNKNOWN
    part = assess_rules(Rules(2, (), 0, ("app/broken.py",)))
    assert part.verdict is Verdict.UNKNOWN
    assert part.findings == ("app/broken.py could not be read as Python",)


def test_a_secret_refutes_with_its_place_kind_and_hash_and_whether_it_is_still_there():
    earlier = LEAK._replace(in_tree=False, line=9)
    part = assess_secrets(Scan(5, 0, (LEAK, earlier), ()), [], TODAY)
    assert part.verdict is Verdict.REFUTED
    assert part.findings == (
        f"app/keys.py:3: AWS Access Key, hash {'a' * 40}",
        f"app/keys.py:9 in an earlier version: AWS Access Key, hash {'a' * 40}",
    )


def test_a_secret_is_accepted_in_its_file_by_its_hash_alone_and_while_it_lasts():
    seen = Scan(5, 0, (LEAK,), ())
    assert assess_secrets(seen, [secret()], TODAY).verdict is Verdict.VERIFIED
    assert assess_secrets(seen, [secret(until=TODAY)], TODAY).verdict is Verdict.VERIFIED
    for other in (secret(file="app/other.py"), secret(hash_="b" * 40), secret(until=TODAY - dt.timedelta(1))):
        assert assess_secrets(seen, [other], TODAY).verdict is Verdict.REFUTED


def test_text_that_was_left_out_and_no_text_at_all_are_unknown():
    assert assess_secrets(Scan(5, 0, (), ("data.csv",)), [], TODAY).verdict is Verdict.UNKNOWN
    assert assess_secrets(Scan(0, 4, (), ()), [], TODAY).verdict is Verdict.UNKNOWN


def test_the_gate_says_first_what_speaks_against_it():
    fine = assess_rules(Rules(3, (), 0, ()))
    found = join_parts([fine, not_checked("pip-audit was not done in 5 s", "tail"), assess_secrets(
        Scan(5, 0, (LEAK,), ()), [], TODAY)])  # fmt: skip
    assert found.verdict is Verdict.REFUTED
    assert found.summary.startswith("5 versions of files, 1 secret; pip-audit was not done in 5 s; 3 Python files")
    assert found.findings[0].startswith("app/keys.py:3")
    assert found.tail == "tail"
    assert join_parts([fine, not_checked("away")]).verdict is Verdict.UNKNOWN
