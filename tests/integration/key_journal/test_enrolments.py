"""An enrolment tells of its calls in a statement of its own, whatever becomes of it."""

from __future__ import annotations

import pytest

from steward.clients.keyring import open_keyring
from steward.clients.keyvault_errors import VaultForbidden
from steward.clients.postgres import connect
from steward.enrolment import enrol, subject_of
from steward.errors import BadInput
from steward.evidence.store import list_statements
from steward.fieldcrypt.errors import TenantErased, TenantUnknown
from steward.verdicts import Verdict
from tests.integration.described_vault import described
from tests.integration.key_journal.ground import announced

pytestmark = pytest.mark.without_search


def test_an_enrolment_is_covered_by_a_statement_of_its_own(ground, covering, tenant):
    (keys,) = enrol(ground, [tenant])
    assert covering().by_operation == {"KeyUnwrap": 1}
    assert covering().is_complete
    with connect(ground) as connection:
        (row,) = list_statements(connection, "enrol-tenant", subject=tenant)
    assert row.verdict is Verdict.VERIFIED
    assert keys.generations[0].wraps


def test_enrolling_again_asks_and_tells_nothing_new(ground, tenant):
    first = enrol(ground, [tenant])
    before = announced(ground)
    assert enrol(ground, [tenant]) == first
    assert announced(ground) == before
    with connect(ground) as connection:
        assert len(list_statements(connection, subject=tenant)) == 1


def test_many_tenants_are_enrolled_under_one_statement(ground, covering, tenant):
    tenants = [f"{tenant}-{number}" for number in range(5)]
    assert [keys.tenant for keys in enrol(ground, tenants)] == tenants
    assert covering().by_operation == {"KeyUnwrap": 5}
    assert covering().is_complete
    with connect(ground) as connection:
        (row,) = list_statements(connection, subject=subject_of(tenants))
    assert row.subject.startswith("5 tenants ")


def test_what_an_interrupted_enrolment_has_called_is_told_by_the_next(ground, covering, tenant, monkeypatch):
    monkeypatch.setattr("steward.enrolment.record", _killed)
    with pytest.raises(KeyboardInterrupt):
        enrol(ground, [tenant])
    monkeypatch.undo()
    assert [one.reason for one in covering().uncovered] == [
        f"in the journal (enrol-tenant/{tenant}), in no recorded statement"
    ]
    enrol(ground, [tenant])
    assert covering().is_complete


def _killed(*_):
    raise KeyboardInterrupt


def test_an_enrolment_that_fails_is_told_too_and_its_verdict_says_so(ground, server, covering, tenant):
    with pytest.raises(VaultForbidden, match="unwrap with key tenants/"):
        enrol(ground.model_copy(update={"vault": described(server, "auditor")}), [tenant])
    coverage = covering(principal="auditor")
    assert (coverage.by_operation, coverage.is_complete) == ({"KeyUnwrap": 1}, True)
    with connect(ground) as connection:
        (row,) = list_statements(connection, subject=tenant)
    assert row.verdict is Verdict.REFUTED


def test_who_cannot_be_enrolled_is_told_before_anything_is_asked_or_recorded(ground, tenant):
    enrol(ground, [tenant])
    with open_keyring(ground.keyring) as ring:
        ring.erase(tenant)
    before = announced(ground)
    with pytest.raises(TenantErased):
        enrol(ground, [tenant])
    for impossible in ("", "nul\0", "x" * 256):
        with pytest.raises(TenantUnknown):
            enrol(ground, [f"{tenant}-new", impossible])
    with pytest.raises(BadInput, match="no keyring, or no vault"):
        enrol(ground.model_copy(update={"vault": None}), [tenant])
    assert announced(ground) == before
