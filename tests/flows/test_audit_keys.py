"""The audit as it is deployed: on the ledger, recorded by Prefect, with evidence that the next one is compared with."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import tomli_w

import flows.audit_keys
from flows.audit_keys import audit_keys, period_of
from replica import inventory
from steward.clients import keyvault_asking
from steward.clients.postgres import connect
from steward.errors import BadInput
from steward.evidence.envelopes import open_envelope
from steward.evidence.statements import parse_statement
from steward.evidence.store import list_statements
from steward.keys.audit_report import KeysNotAsPolicy
from steward.operations.expectations import read_expectations
from steward.settings import load
from steward.verdicts import Verdict
from tests.flows.prefect_server import artifact, recording_in
from tests.integration.audit_ground import audited_ground

pytestmark = pytest.mark.without_search

DRIFT = "GRANT UPDATE ON keyring.wraps TO keyring_reader"
GRANT = "grant-extra:UPDATE on table keyring.wraps for keyring_reader"
FINDINGS = {GRANT, "role-writes:keyring_reader"}


@pytest.fixture(scope="module")
def laid(replica, tmp_path_factory):
    folder = tmp_path_factory.mktemp("audited")
    with audited_ground(load(inventory.settings_file(replica)), folder) as ground:
        policy = folder / "policy.toml"
        policy.write_text(tomli_w.dumps(ground.policy.model_dump(mode="json", exclude_none=True)))
        written = ground.settings.model_dump(mode="json", exclude_none=True)
        written["audit"]["policy"] = str(policy)
        for name in ("checkpoint_key", "checkpoint_public_keys"):
            # Auditors know the key of the replica's vault, and not of this one.
            written["evidence"].pop(name, None)
        (folder / "settings.toml").write_text(tomli_w.dumps(written))
        yield ground, folder / "settings.toml"


@pytest.fixture
def ground(laid, in_replica, monkeypatch):
    ground, settings = laid
    monkeypatch.setenv("STEWARD_SETTINGS", str(settings))
    with recording_in(in_replica):
        yield ground


def refused():
    with pytest.raises(KeysNotAsPolicy) as refused:
        audit_keys()
    return refused.value.report


def statements(ground):
    with connect(ground.settings) as db:
        rows = list_statements(db, "audit-keys", subject="keyring")
    return [parse_statement(open_envelope(row.envelope.encode()).payload) for row in rows]


def test_an_audit_says_what_is_as_it_should_be_what_is_new_what_is_known_and_what_is_gone(ground):
    clean = audit_keys()
    assert (clean.verdict, clean.findings, clean.compared_with) == (Verdict.VERIFIED, (), None)
    assert "verdict: VERIFIED" in artifact("key-audit")
    with ground.hand() as connection:
        connection.execute(DRIFT)
    first = refused()
    assert (first.verdict, set(first.new), first.gone) == (Verdict.REFUTED, FINDINGS, ())
    shown = artifact("key-audit")
    assert shown.index("verdict: REFUTED") < shown.index("New since the last audit") < shown.index(GRANT)
    second = refused()
    assert (second.new, {each.id for each in second.findings}) == ((), FINDINGS)
    assert "Known from the last audit" in artifact("key-audit")
    with ground.hand() as connection:
        connection.execute(DRIFT.replace("GRANT", "REVOKE").replace(" TO ", " FROM "))
    mended = audit_keys()
    assert (mended.verdict, set(mended.gone)) == (Verdict.VERIFIED, FINDINGS)

    told = statements(ground)
    assert [each.verdict for each in told] == ["VERIFIED", "REFUTED", "REFUTED", "VERIFIED"]
    assert {each["id"] for each in told[2].findings} == FINDINGS
    assert all(each["new"] and each["seen"] and each["expected"] and each["hint"] for each in told[2].findings)
    assert told[0].figures["generations"]["current"]["count"] == 2
    assert [each["name"] for each in told[0].figures["secrets"]] == ["postgres", "provider-models"]
    # Lists of keys and secrets, one of versions for each, and three questions for each key that the policy knows.
    assert told[0].figures["key_calls"]["by_action"] == {
        "KeyGet": 2,
        "KeyList": 1,
        "KeyListVersions": 2,
        "KeyRotationPolicyGet": 2,
        "SecretList": 1,
        "SecretListVersions": 2,
    }
    assert {each.name for each in told[0].artifacts} == {
        "vault",
        "keyring",
        "access",
        "assignments",
        "log",
        "backups",
    }


def test_a_vault_that_is_away_is_unknown_and_what_else_is_wrong_is_told_all_the_same(ground, monkeypatch):
    # Neither the question nor the step is asked again: how often they are is tried elsewhere.
    monkeypatch.setattr(keyvault_asking, "TOTAL_SECONDS", 0.5)
    monkeypatch.setattr(flows.audit_keys, "read_vault_facts", flows.audit_keys.read_vault_facts.with_options(retries=0))
    ground.vault.kill()
    try:
        report = refused()
        assert (report.verdict, [each.id for each in report.findings]) == (Verdict.UNKNOWN, ["unread:vault"])
        with ground.hand() as connection:
            connection.execute(DRIFT)
        both = refused()
        assert both.verdict is Verdict.REFUTED
        assert {each.id for each in both.findings} == {*FINDINGS, "unread:vault"}
    finally:
        ground.vault.start()
        with ground.hand() as connection:
            connection.execute(DRIFT.replace("GRANT", "REVOKE").replace(" TO ", " FROM "))
    latest, *_ = statements(ground)
    assert (latest.figures["keys"], latest.figures["tenants"]) == (None, 2)
    assert latest.figures["checks"]["wraps under the vault's versions"] == "UNKNOWN"


def test_an_unusable_policy_is_refused_by_name_and_nothing_is_claimed(ground, tmp_path, monkeypatch):
    before = len(statements(ground))
    policy = tmp_path / "policy.toml"
    policy.write_text("[generations]\ncurrent_weeks = 5\n")
    written = load().model_dump(mode="json", exclude_none=True)
    written["audit"]["policy"] = str(policy)
    settings = tmp_path / "settings.toml"
    settings.write_text(tomli_w.dumps(written))
    monkeypatch.setenv("STEWARD_SETTINGS", str(settings))
    with pytest.raises(BadInput) as refusal:
        audit_keys()
    assert "generations.current_weeks" in refusal.value.message
    assert "docs/runbooks/audit-keys.md" in refusal.value.hint
    assert len(statements(ground)) == before


def test_a_scheduled_audit_has_the_period_that_the_watch_expects_and_others_are_told_apart():
    shipped = read_expectations(Path(__file__).parents[2] / "deployments" / "operations.toml")
    (expected,) = [each for each in shipped if each.name == "audit-keys"]
    (tick,) = expected.ticks(datetime(2026, 11, 25, 12, tzinfo=UTC), datetime(2026, 11, 26, 12, tzinfo=UTC))
    assert period_of(tick) == expected.period_of(tick) == "2026-11-26T05:00Z"
    assert period_of(tick.replace(second=7)) == "2026-11-26T05:00:07.000000Z"
