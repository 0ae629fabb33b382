"""Erasing a tenant: after it a backup of the application that was taken before it opens for everybody else."""

from __future__ import annotations

from uuid import uuid4

import pytest
from pydantic import ValidationError

import tasks.durable
from demo.customers.seeding import seed_customers
from flows.shred_tenant import ShredRequest, shred_tenant
from replica import inventory
from steward.clients.encrypted_snapshot import open_snapshot
from steward.clients.keyring import open_keyring
from steward.clients.keyvault import open_vault
from steward.clients.keyvault_errors import VaultUnavailable
from steward.clients.keyvault_journal import JournaledVault
from steward.clients.postgres import application_database
from steward.errors import BadInput
from steward.evidence.envelopes import open_envelope
from steward.evidence.statements import parse_statement
from steward.fieldcrypt.errors import KeysUnavailable, TenantErased, TenantUnknown
from steward.fieldcrypt.tenantkeys import TenantKeys
from steward.keys.columns import load_columns
from steward.keys.erasure_errors import NotConfirmed, NotErasable, NothingToProveBy, ReasonMissing
from steward.keys.erasure_proof import try_rows
from steward.keys.erasure_report import ErasureNotVerified
from steward.verdicts import Verdict
from tests.flows.killed_runs import Death, run_killed
from tests.flows.prefect_server import artifact, recording_in
from tests.keyring_ground import dump_application, keyring_ground, query, restored_application

pytestmark = pytest.mark.without_search

FLOW = "flows.shred_tenant.shred_tenant"
TENANTS, ROWS = 6, 120


@pytest.fixture(scope="module")
def laid(replica, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shredding")
    with keyring_ground(inventory.settings_file(replica), folder, lease_seconds=2) as made:
        seed_customers(made.settings, TENANTS, ROWS)
        yield made


@pytest.fixture
def ground(laid, replica, monkeypatch):
    monkeypatch.setenv("STEWARD_SETTINGS", str(laid.file))
    text = laid.file.read_text()
    with recording_in(replica):
        yield laid
    laid.file.write_text(text)


def asked(tenant, **values):
    return {"tenant": tenant, "confirm": tenant, "reason": "ticket 12", "wait_seconds": 0, **values}


def shred(tenant, **values):
    return shred_tenant(ShredRequest(**asked(tenant, **values)))


def decrypted(settings, tenants):
    """tenant → (values that open, values there are) of the application's database, by keys as they are now."""
    (table,) = load_columns(settings.applications["customers"].encrypted).tables
    with (
        open_vault(settings.vault) as vault,
        open_keyring(settings.keyring) as ring,
        TenantKeys(ring, vault) as keys,
        open_snapshot(application_database(settings, "customers")) as rows,
    ):
        tried = {each: try_rows(keys, "customers", table, rows.all(table, [each])) for each in tenants}
    return {tenant: (each.opened, each.values) for tenant, each in tried.items()}


def statements(settings):
    rows = query(settings, "SELECT envelope FROM steward.evidence WHERE operation = 'shred-tenant' ORDER BY id")
    return [parse_statement(open_envelope(envelope.encode()).payload) for (envelope,) in rows]


def test_a_dump_of_the_application_from_before_opens_for_all_but_the_erased(ground, tmp_path):
    tenants = [f"customer-000{number}" for number in (1, 2, 3)]
    dump_application(ground.settings, tmp_path / "before.dump")
    with restored_application(ground.settings, tmp_path / "before.dump") as elsewhere:
        before = decrypted(elsewhere, tenants)
        assert all(opened == there > 0 for opened, there in before.values())
        report = shred("customer-0001")
        after = decrypted(elsewhere, tenants)
    assert after == {**before, "customer-0001": (0, before["customer-0001"][1])}
    assert decrypted(ground.settings, tenants) == after

    assert report.verdict is Verdict.VERIFIED
    (proof,) = report.proof.shredded
    assert (proof.opened, proof.values) == after["customer-0001"]
    assert proof.tries > 0
    assert report.before.tenants_own[0].opened > 0
    told = statements(ground.settings)[-1]
    assert (told.subject, told.verdict) == ("customer-0001", Verdict.VERIFIED)
    assert told.figures["complete_after"] > told.figures["erased_at"]
    assert "Complete after" in artifact("tenant-erasure")


def test_an_erased_tenant_is_erased_once_and_said_to_be(ground, capsys):
    with open_keyring(ground.settings.keyring) as ring:
        ring.erase("customer-0002")
    found = shred("customer-0002")
    assert (found.verdict, found.erased.already) == (Verdict.VERIFIED, True)
    assert "were gone already since" in artifact("tenant-erasure")
    before = statements(ground.settings)
    assert shred("customer-0002", reason="another ticket") == found
    assert statements(ground.settings) == before
    assert query(ground.settings, "SELECT reason FROM steward.erasures WHERE tenant = 'customer-0002'") == [
        ("ticket 12",)
    ]


@pytest.mark.parametrize(
    ("request_", "refusal"),
    [
        (asked("customer-0003", confirm="customer-0004"), NotConfirmed),
        (asked("customer-0003", reason=" "), ReasonMissing),
        (asked("golden"), NotErasable),
        (asked("nobody"), TenantUnknown),
    ],
)
def test_what_must_not_be_erased_is_refused_before_anything_is_touched(ground, request_, refusal):
    with open_keyring(ground.settings.keyring) as ring:
        epoch = ring.epoch()
        with pytest.raises(refusal) as refused:
            shred_tenant(request_)
        assert refused.value.hint
        assert ring.epoch() == epoch
    assert query(ground.settings, "SELECT count(*) FROM steward.erasures WHERE tenant = %s", "customer-0003") == [(0,)]


@pytest.mark.parametrize(
    ("old", "new", "refusal"),
    [
        ("[applications.customers]", "[watched.customers]", BadInput),
        ('backup_bucket = "', 'backup_bucket = "no-', BadInput),
    ],
)
def test_an_erasure_that_could_not_be_proved_or_completed_is_not_begun(ground, old, new, refusal):
    text = ground.file.read_text()
    if old.startswith("[app"):
        head, _, rest = text.partition(old)
        text = head + rest[rest.index("\n[") + 1 :]
        refusal = NothingToProveBy
    ground.file.write_text(text.replace(old, new))
    with pytest.raises(refusal) as refused:
        shred("customer-0003")
    assert refused.value.hint
    with open_keyring(ground.settings.keyring) as ring:
        assert ring.load("customer-0003").generations


@pytest.mark.parametrize("name", ["", "bad\0name", "x" * 256])
def test_what_no_tenant_is_called_never_becomes_a_run(name):
    with pytest.raises((TenantUnknown, ValidationError)):
        ShredRequest(**asked(name))


def test_while_the_vault_is_away_nothing_is_erased(ground, monkeypatch):
    def away(*_):
        raise VaultUnavailable("the vault cannot be reached", hint="see whether it runs")

    monkeypatch.setattr(JournaledVault, "unwrap", away)
    monkeypatch.setattr(tasks.durable, "is_transient", lambda _: False)
    with pytest.raises(KeysUnavailable):
        shred("customer-0003")
    monkeypatch.undo()
    with open_keyring(ground.settings.keyring) as ring:
        assert ring.load("customer-0003").generations


def test_a_process_that_may_hold_the_keys_keeps_it_from_being_verified(ground):
    reader = uuid4()
    with open_keyring(ground.settings.keyring) as ring:
        ring.acknowledge(reader, ring.epoch())
        with pytest.raises(ErasureNotVerified, match="may still hold its keys in memory") as unknown:
            shred("customer-0004")
        assert unknown.value.verdict is Verdict.UNKNOWN
        assert len(unknown.value.report.lagging) == 1
        with pytest.raises(TenantErased):
            ring.load("customer-0004")
        ring.acknowledge(reader, ring.epoch())
        assert shred("customer-0004").verdict is Verdict.VERIFIED
        ring.leave(reader)


def test_killed_at_each_of_its_steps_it_erases_once_and_tells_it_once(ground, replica):
    request = asked("customer-0005")
    for step in ("sample_before", "list_erasure", "erase_keys", "record_erasure_evidence"):
        run_killed(replica, ground.file, FLOW, request, Death("after", step))
    report = shred_tenant(request)
    assert report.verdict is Verdict.VERIFIED
    assert [each.subject for each in statements(ground.settings)].count("customer-0005") == 1
    listed = query(ground.settings, "SELECT erased_at FROM steward.erasures WHERE tenant = 'customer-0005'")
    assert listed == [(report.erased.erased_at,)]
    # What a killed process knew is in nobody's way: none of them had announced itself as a reader of keys.
    assert report.lagging == ()
