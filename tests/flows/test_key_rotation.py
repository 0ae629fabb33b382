"""A rotation of all tenants on real servers, from its request to its evidence."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

import flows.monthly_key_rotation as flow_module
from demo.customers.enrolment import enrol
from flows.monthly_key_rotation import MONTHLY, monthly_key_rotation
from replica.servers.keyvault import client_id
from steward.clients import tenantkeys
from steward.clients.keyvault_versions import open_versions
from steward.clients.postgres import connect
from steward.evidence.store import list_statements
from steward.fieldcrypt import key_id
from steward.keys.golden import GOLDEN_TENANT
from steward.verdicts import Verdict
from tasks import key_sweeps
from tasks.key_rotation import MADE_BY, MADE_FOR
from tests.flows.prefect_server import artifact
from tests.rotation_ground import opened, sealed
from tests.rotation_runs import in_month, rotate, rotate_by_flow

pytestmark = pytest.mark.without_search

THREE = ["customer-0001", "customer-0002", "customer-0003", GOLDEN_TENANT]


def asked_of_the_vault(settings, since):
    """The rotator's key operations by name, as the vault itself wrote them down."""
    lines = [json.loads(line) for line in Path(settings.audit.vault_log).read_text().splitlines()]
    return Counter(
        line["operationName"]
        for line in lines
        if line["identity"].get("claim", {}).get("appid") == client_id("steward")
        and datetime.fromisoformat(line["time"]) >= since
    )


def test_the_months_rotation_is_proved_recorded_and_done_once(flow_customers, monkeypatch):
    before = flow_customers.values()
    in_month(monkeypatch, 1)
    report = rotate_by_flow()
    assert (report.verdict, report.findings, report.period) == (Verdict.VERIFIED, [], "2030-01")
    assert {tuple(flow_customers.states(tenant)) for tenant in THREE} == {("retired", "current")}
    assert flow_customers.values().items() >= before.items()
    with connect(flow_customers.settings) as connection:
        (statement,) = list_statements(connection, "monthly-key-rotation", subject="all tenants", period="2030-01")
    assert statement.verdict is Verdict.VERIFIED
    assert "verdict: VERIFIED" in artifact("key-rotation")
    rotated = flow_customers.everything()
    again = monthly_key_rotation(return_state=True)
    assert (again.type, again.name) == ("COMPLETED", "AlreadyDone")
    assert statement.digest in again.message
    assert flow_customers.everything() == rotated


def test_two_months_ask_the_vault_twice_a_tenant_and_disable_what_nothing_needs(new_customers):
    before, (first,) = new_customers.values(), new_customers.versions()
    for month in range(2):
        new_customers.age(days=31)
        since = datetime.now(UTC)
        report = rotate()
        assert (report.verdict, report.findings) == (Verdict.VERIFIED, [])
        # Each tenant's old key once, to wrap it under the vault's new version, and its new key once, before it is used.
        # Beside them: the golden tenant's first key, when it is enrolled.
        called = asked_of_the_vault(new_customers.settings, since)
        assert called["KeyUnwrap"] == 2 * len(THREE)
        assert (called["KeyCreate"], called["KeyListVersions"]) == (1, 2)
        assert called["KeyGet"] <= 10
        assert called["KeyUpdate"] == len(report.retirement.disabled_keks) == (0 if month == 0 else 1)
    # Each retired key has the wrap of its own month, and that of the month after its creation.
    states = {tuple(new_customers.states(tenant)) for tenant in THREE}
    assert states == {("destroyed", "retired", "current")}
    assert list(new_customers.versions().values()) == [False, True, True]
    assert not new_customers.versions()[first]
    assert new_customers.values().items() >= before.items()


def test_one_tenant_is_rotated_and_nobody_else(customers):
    others = [row for row in customers.rows() if row.tenant != "customer-0002"]
    versions = customers.versions()
    report = rotate(tenants=["customer-0002"], reason="offboarding", because="a person left")
    assert (report.verdict, report.subject) == (Verdict.VERIFIED, "customer-0002")
    assert customers.states("customer-0002") == ["retired", "current"]
    for tenant in ("customer-0001", "customer-0003", "customer-0004"):
        assert customers.states(tenant) == ["current"]
    assert customers.versions() == versions
    after = [row for row in customers.rows() if row.tenant not in {"customer-0002", GOLDEN_TENANT}]
    assert after == others
    # What is proved is proved of everybody all the same.
    assert report.rows == len(customers.rows())


def test_readers_that_lag_hold_the_switch_and_are_named(customers, monkeypatch):
    """A process that stands still holds keys and takes up nothing: nobody may write what it could not read."""
    monkeypatch.setattr(tenantkeys, "FOLLOW_SECONDS", 3600.0)
    with customers.keys() as frozen:
        row = customers.rows("customer-0001")[0]
        said = opened(frozen, row)
        report = rotate(tenants=["customer-0001"], readers_seconds=1)
        assert report.verdict is Verdict.UNKNOWN
        assert "1 processes have not taken up epoch" in report.error
        assert f"pid {os.getpid()} " in report.error
        assert "nothing is written under the new keys yet" in report.error
        assert customers.states("customer-0001") == ["current", "incoming"]
        assert opened(frozen, customers.rows("customer-0001")[0]) == said
    # It has said farewell.
    report = rotate(tenants=["customer-0001"], readers_seconds=1)
    assert report.verdict is Verdict.VERIFIED
    assert customers.states("customer-0001") == ["retired", "current"]


def test_a_key_is_destroyed_after_its_grace_and_not_before(customers):
    asked = {"tenants": ["customer-0001"], "grace_days": 7}
    assert rotate(**asked).retirement.destroyed == []
    first = customers.key_ids("customer-0001")[0]
    customers.age(days=6)
    assert rotate(**asked).retirement.destroyed == []
    assert customers.states("customer-0001") == ["retired", "retired", "current"]
    customers.age(days=2)
    report = rotate(**asked)
    assert ("customer-0001", first) in report.retirement.destroyed
    assert customers.states("customer-0001") == ["destroyed", "retired", "retired", "current"]
    assert report.verdict is Verdict.VERIFIED


def test_a_disabled_key_under_which_something_turns_up_is_taken_back_by_the_next_run(customers):
    """A row comes back from the application's own backup, under a key that is disabled, and in its grace."""
    backup = customers.rows("customer-0001")[0]
    with customers.keys() as keys:
        said = opened(keys, backup)
    rotate(tenants=["customer-0001"])
    customers.put(backup)
    assert "KeyRetired" in str(customers.values()[backup.id])
    report = rotate(tenants=["customer-0001"])
    first, second, _ = customers.key_ids("customer-0001")
    assert report.verdict is Verdict.REFUTED
    assert report.retirement.reinstated == [("customer-0001", first)]
    assert any("was taken back in its grace" in finding for finding in report.findings)
    # It is read again at once, and moved by the next run.
    assert customers.values()[backup.id] == said
    report = rotate(tenants=["customer-0001"])
    assert report.verdict is Verdict.VERIFIED
    assert customers.values()[backup.id] == said
    assert {one for one in report.retirement.retired if one[0] == "customer-0001"} >= {
        ("customer-0001", first),
        ("customer-0001", second),
    }


def test_a_destroyed_key_is_never_one_under_which_something_is(customers):
    """The same with the grace over: what would be destroyed is counted right before."""
    backup = customers.rows("customer-0001")[0]
    rotate(tenants=["customer-0001"])
    customers.put(backup)
    customers.age(days=400)
    report = rotate(tenants=["customer-0001"])
    assert report.retirement.reinstated == [("customer-0001", key_id(backup.email))]
    assert customers.states("customer-0001")[0] == "previous"
    with customers.keys() as keys:
        assert "CiphertextRefused" not in str(opened(keys, backup))


def test_a_row_that_the_application_holds_for_longer_than_many_passes_is_waited_for(customers, monkeypatch):
    """Twenty passes over a small table are over in a moment."""
    row, pauses = customers.rows("customer-0001")[0], list[float]()
    with customers.application() as holder:
        holder.autocommit = False

        def hold_and_sweep(*asked):
            holder.execute("SELECT FROM customers WHERE id = %s FOR UPDATE", [row.id])
            # Others of this server were waited for before.
            pauses.clear()
            return sweep(*asked)

        def pause(seconds):
            pauses.append(seconds)
            if len(pauses) == 15:
                holder.rollback()

        sweep = flow_module.reencrypt
        monkeypatch.setattr(flow_module, "reencrypt", hold_and_sweep)
        monkeypatch.setattr(key_sweeps, "time", SimpleNamespace(sleep=pause, monotonic=time.monotonic))
        report = rotate(tenants=["customer-0001"])
    assert report.verdict is Verdict.VERIFIED
    assert report.sweeps[0].overtaken >= 15
    # So it would have had minutes.
    assert sum(pauses) > 120


def test_a_version_that_an_operation_of_the_same_number_made_long_ago_is_not_taken_for_this_ones(all_customers):
    """A ledger that is laid anew, or goes back to a backup, gives its numbers again."""
    with connect(all_customers.settings) as connection:
        sequence = "SELECT last_value + is_called::int FROM steward.operations_id_seq"
        ((number,),) = connection.execute(sequence).fetchall()
    with open_versions(all_customers.settings.vault) as vault:
        made = vault.new_version(all_customers.settings.keyring.kek, {MADE_BY: f"{number}.1", MADE_FOR: "2020-01"})
    report = rotate()
    assert report.verdict is Verdict.VERIFIED
    assert report.kek.rpartition("/")[2] == all_customers.kek_version("customer-0001") != made.version


def test_a_tenant_that_is_enrolled_while_the_proof_begins_is_no_unknown_one(customers, monkeypatch):
    snapshot = key_sweeps.open_snapshot

    def enrol_first(database):
        enrol(customers.settings, ["newcomer"])
        with customers.keys() as keys:
            customers.put(sealed(keys, "newcomer", "ada@example.net"))
        return snapshot(database)

    monkeypatch.setattr(key_sweeps, "open_snapshot", enrol_first)
    report = rotate(tenants=["customer-0001"])
    assert (report.verdict, report.findings) == (Verdict.VERIFIED, [])


def test_the_default_request_is_the_scheduled_rotation_of_everybody():
    assert (MONTHLY.reason, MONTHLY.subject, MONTHLY.of_all) == ("scheduled", "all tenants", True)
