"""What a rotation refuses, before anything is touched; and what it does about rows that are not what they should be."""

from __future__ import annotations

import tomllib

import pytest
import tomli_w

import flows.monthly_key_rotation as flow_module
from demo.customers.users import APPLICATION
from replica.servers.keyvault import client_id
from steward.clients import keyring, keyvault_asking, keyvault_sdk
from steward.clients.keyring import open_keyring
from steward.clients.keyvault_errors import VaultForbidden, VaultMissing, VaultThrottled, VaultUnavailable
from steward.clients.postgres import DatabaseUnavailable
from steward.errors import BadInput
from steward.keys.errors import ColumnsUnusable
from steward.keys.golden import GOLDEN_TENANT
from steward.verdicts import Verdict
from tests.integration.closed_doors import closed_port
from tests.integration.described_vault import described
from tests.integration.fresh_database import changed
from tests.integration.principals import vault_as
from tests.rotation_ground import copied, opened, sealed
from tests.rotation_runs import hurry, rotate, without_prefect
from tests.testbed.keyvault.ground import running

pytestmark = pytest.mark.without_search

ONE, OTHER, ERASED = "customer-0001", "customer-0002", "customer-0004"


@pytest.fixture(scope="module")
def shared(rotation_template, tmp_path_factory):
    """For all that is refused: nobody changes anything."""
    with copied(rotation_template, tmp_path_factory.mktemp("refused") / "settings.toml") as copy:
        with open_keyring(copy.settings.keyring) as ring:
            ring.erase(ERASED)
        yield copy


@pytest.fixture
def refused(shared, monkeypatch):
    """`refused(error, settings, **asked)`: what a rotation says that touches nothing."""
    monkeypatch.setenv("STEWARD_SETTINGS", str(shared.file))
    hurry(monkeypatch)
    without_prefect(monkeypatch)
    # A server that is away is found to be so in half a second.
    monkeypatch.setattr(keyvault_asking, "READ_SECONDS", 0.3)
    monkeypatch.setattr(keyvault_asking, "TOTAL_SECONDS", 0.5)
    monkeypatch.setattr(keyvault_sdk, "READ_SECONDS", 0.3)
    monkeypatch.setattr(keyring, "LIMIT_SECONDS", 0.5)

    def refused(error, settings=None, **asked):
        before = shared.everything()
        shared.describe(settings or shared.settings)
        try:
            with pytest.raises(error) as raised:
                rotate(**asked)
        finally:
            shared.describe(shared.settings)
        assert shared.everything() == before
        assert raised.value.hint
        return raised.value

    return refused


@pytest.mark.parametrize(
    ("tenant", "said"),
    [
        ("customer-001", "unknown tenant 'customer-001'; known: customer-0001, "),
        ("Customer-0001", "unknown tenant 'Customer-0001'; known: customer-0001"),
        ("nobody", "unknown tenant 'nobody'; known: none of that kind"),
        (ERASED, f"tenant '{ERASED}' was erased: it has no keys"),
    ],
)
def test_a_tenant_that_has_no_keys_is_told_with_those_of_a_near_name(refused, tenant, said):
    assert said in refused(BadInput, tenants=[ONE, tenant]).message


def test_a_principal_that_may_not_unwrap_is_named_with_the_role_it_lacks(refused, replica, shared):
    told = refused(
        VaultForbidden, shared.settings.model_copy(update={"vault": vault_as(replica, shared.settings, "auditor")})
    )
    assert f"forbids application {client_id('auditor')} to unwrap with key" in told.message
    assert "Key Vault Crypto Service Encryption User" in told.hint


def test_a_vault_that_is_away_is_told(refused, shared):
    away = changed(shared.settings, "vault", url=f"https://127.0.0.1:{closed_port()}")
    told = refused(VaultUnavailable, away)
    assert "cannot be reached" in told.message
    assert told.transient


def test_a_vault_that_throttles_is_told_with_the_pause_that_it_asks_for(refused, shared, tmp_path):
    # Four questions in ten seconds.
    with running(tmp_path / "busy", limits_factor=0.001) as busy:
        settings = shared.settings.model_copy(update={"vault": described(busy, "rotator")})
        while not isinstance(told := refused((VaultMissing, VaultThrottled), settings), VaultThrottled):
            pass
    assert "asks for a pause of" in told.message
    assert told.transient


def test_a_key_that_the_vault_does_not_have_is_told(refused, shared):
    told = refused(VaultMissing, changed(shared.settings, "keyring", kek="no-such-key"))
    assert "no-such-key" in told.message


@pytest.mark.parametrize("part", ["keyring", "application"])
def test_a_database_that_is_away_is_told(refused, shared, part):
    told = shared.settings.keyring if part == "keyring" else shared.settings.applications[APPLICATION]
    server, _, database = told.url.rpartition("/")
    url = f"{server.rpartition(':')[0]}:{closed_port()}/{database}"
    error = refused(DatabaseUnavailable, _with(shared.settings, part, url=url))
    assert "is not available" in error.message
    assert error.transient


def _with(settings, part, **values):
    if part == "keyring":
        return changed(settings, "keyring", **values)
    application = settings.applications[APPLICATION].model_copy(update=values)
    return settings.model_copy(update={"applications": {APPLICATION: application}})


@pytest.mark.parametrize(
    ("without", "said"),
    [
        ({"applications": {}}, "the settings name no application: a rotation would change keys and no row"),
        ({"keyring": None}, "the settings name no keyring, or no vault"),
    ],
)
def test_settings_that_lack_a_part_are_told(refused, shared, without, said):
    assert refused(BadInput, shared.settings.model_copy(update=without)).message == said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table["field"].append({"column": "phone"}), "customers has no column phone"),
        (lambda table: table.update(row_id=["tenant_id"], tenant="plan"), "has primary key (id), expected (tenant_id)"),
        (
            lambda table: table["field"].pop(),
            "public.customers.notes holds ciphertexts, and the file of encrypted columns does not name it",
        ),
        (lambda table: table.update(golden={}), "customers.plan is NOT NULL without a default"),
        (lambda table: table.update(owner="somebody"), "owner: Extra inputs are not permitted"),
        (lambda table: table.update(relation="crm.customers"), "there is no table crm.customers"),
    ],
)
def test_a_file_of_columns_that_does_not_fit_the_database_is_told(refused, shared, tmp_path, change, said):
    described_as = tomllib.loads(shared.settings.applications[APPLICATION].encrypted.read_text())
    change(described_as["table"][0])
    file = tmp_path / "columns.toml"
    file.write_text(tomli_w.dumps(described_as))
    told = refused(ColumnsUnusable, _with(shared.settings, "application", encrypted=file))
    assert said in told.message
    assert str(file) in told.message


@pytest.mark.parametrize(
    ("statement", "back", "said"),
    [
        (
            "ALTER TABLE customers ENABLE ROW LEVEL SECURITY",
            "ALTER TABLE customers DISABLE ROW LEVEL SECURITY",
            "shows this user the rows that a policy allows only; expected a user with BYPASSRLS",
        ),
        (
            "REVOKE UPDATE ON customers FROM customers_rotator",
            "GRANT UPDATE ON customers TO customers_rotator",
            "this user may not UPDATE customers",
        ),
    ],
)
def test_a_database_that_would_hide_rows_or_refuse_writes_is_told(refused, shared, statement, back, said):
    with shared.application() as owner:
        owner.execute(statement)
        try:
            assert said in refused(ColumnsUnusable).message
        finally:
            owner.execute(back)


# Rows that are not what they should be.


def test_what_is_damaged_is_named_and_left_and_everybody_elses_keys_are_retired(customers):
    """One row is damaged, one says that it is nobody's, one tenant was erased; everybody else is whole."""
    mine, theirs = customers.rows(ONE), customers.rows(OTHER)
    said = {each: customers.values()[each] for each in (mine[0].id, theirs[0].id)}
    broken = mine[0]._replace(notes=mine[0].notes[:-1] + bytes([mine[0].notes[-1] ^ 1]))
    stray = theirs[0]._replace(tenant="nobody")
    customers.put(broken)
    customers.put(stray)
    with open_keyring(customers.settings.keyring) as ring:
        ring.erase(ERASED)
    asked = {"tenants": [ONE, OTHER, "customer-0003"]}
    report = rotate(**asked)
    assert report.verdict is Verdict.REFUTED
    assert report.proof.damaged == {ONE: 1, "nobody": 1}
    assert set(report.proof.named) == {
        f"customers row {broken.id} of tenant {ONE}: notes is damaged (CiphertextTampered)",
        f"customers row {stray.id} of tenant nobody: tenant_id is damaged (TenantUnknown)",
    }
    assert sum(table.erased for table in report.proof.tables) == len(customers.rows(ERASED))
    # The stray row is under the other tenant's old key, so that is kept too.
    assert set(report.retirement.kept) == {ONE, OTHER}
    assert report.retirement.kept[OTHER].startswith("4 values are under key ")
    assert customers.states("customer-0003") == customers.states(GOLDEN_TENANT) == ["retired", "current"]
    assert customers.states(ONE) == customers.states(OTHER) == ["previous", "current"]
    after = {row.id: row for row in customers.rows()}
    assert after[broken.id].notes == broken.notes
    assert after[stray.id] == stray
    # Beside the damaged value the row has moved.
    assert after[broken.id].email != broken.email
    customers.put(mine[0])
    customers.put(theirs[0])
    report = rotate(**asked)
    assert (report.verdict, report.findings) == (Verdict.VERIFIED, [])
    assert customers.states(ONE) == customers.states(OTHER) == ["retired", "retired", "current"]
    assert {each: customers.values()[each] for each in said} == said


def test_a_blind_index_that_is_damaged_is_made_anew_and_one_that_is_damaged_afterwards_refutes(customers, monkeypatch):
    before, after = customers.rows(ONE)[:2]
    customers.put(before._replace(email_index=b"x" * 20))
    sweep = flow_module.reencrypt

    def sweep_and_damage(*asked):
        report = sweep(*asked)
        row = next(row for row in customers.rows() if row.id == after.id)
        customers.put(row._replace(email_index=row.email_index[:-1] + bytes([row.email_index[-1] ^ 1])))
        return report

    monkeypatch.setattr(flow_module, "reencrypt", sweep_and_damage)
    report = rotate(tenants=[ONE])
    assert report.proof.named == [
        f"customers row {after.id} of tenant {ONE}: email_index is damaged (IndexOfAnotherValue)"
    ]
    with customers.keys() as keys:
        (row,) = (row for row in customers.rows() if row.id == before.id)
        email = opened(keys, row)[0]
        assert row.email_index == sealed(keys, ONE, email).email_index
    assert customers.states(ONE) == ["previous", "current"]
    monkeypatch.setattr(flow_module, "reencrypt", sweep)
    # It is made anew, with everything of its row.
    assert rotate(tenants=[ONE]).verdict is Verdict.VERIFIED
