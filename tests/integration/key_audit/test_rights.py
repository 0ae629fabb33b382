"""Drift of rights and rules in the keyring's database is named."""

from __future__ import annotations

import uuid

import pytest

from steward.clients.keyring_rights import read_rights
from steward.keys.audit_policy import KeyPolicy
from steward.keys.audit_rules import CONSTRAINTS, FUNCTIONS, GRANTS, REVISION, TRIGGERS
from steward.verdicts import Verdict
from tests.integration.fresh_database import superuser

pytestmark = pytest.mark.without_search

DRIFTS = {
    "a grant on a table": (
        "GRANT INSERT ON keyring.wraps TO keyring_reader",
        {"grant-extra:INSERT on table keyring.wraps for keyring_reader", "role-writes:keyring_reader"},
    ),
    "a grant on a column": (
        "GRANT UPDATE (epoch) ON keyring.readers TO keyring_reader",
        {"grant-extra:UPDATE on column keyring.readers.epoch for keyring_reader", "role-writes:keyring_reader"},
    ),
    "a grant to everybody": (
        "GRANT EXECUTE ON FUNCTION keyring.move_epoch TO PUBLIC",
        {"grant-extra:EXECUTE on function keyring.move_epoch(text,text) for PUBLIC"},
    ),
    "a right to what is still to come": (
        "ALTER DEFAULT PRIVILEGES FOR ROLE keyring GRANT SELECT ON TABLES TO keyring_reader",
        {"grant-extra:SELECT on whatever keyring makes for keyring_reader"},
    ),
    "a right that was taken away": (
        "REVOKE EXECUTE ON FUNCTION keyring.acknowledge FROM keyring_reader",
        {"grant-missing:EXECUTE on function keyring.acknowledge(uuid,text,integer,bigint) for keyring_reader"},
    ),
    "a trigger that is off": (
        "ALTER TABLE keyring.wraps DISABLE TRIGGER guard",
        {"trigger-changed:keyring.wraps.guard"},
    ),
    "a function with another body": (
        "CREATE OR REPLACE FUNCTION keyring.refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
        {"function-changed:keyring.refuse()"},
    ),
    "a constraint that is gone": (
        "ALTER TABLE keyring.wraps DROP CONSTRAINT wraps_kek_check",
        {"constraint-changed:keyring.wraps.wraps_kek_check"},
    ),
    "another owner": (
        "ALTER TABLE keyring.wraps OWNER TO postgres",
        {"owner:sequence keyring.wraps_ordinal_seq", "owner:table keyring.wraps"},
    ),
    "a view elsewhere": (
        "CREATE VIEW public.peek AS SELECT * FROM keyring.wraps",
        {"stranger:relation public.peek"},
    ),
    "a function elsewhere": (
        "CREATE FUNCTION public.peek() RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'",
        {"stranger:function public.peek()"},
    ),
    "a publication": ("CREATE PUBLICATION leak FOR ALL TABLES", {"publication:publication leak"}),
}


def test_the_rules_that_are_compared_are_those_of_a_migrated_keyring(shared):
    facts = read_rights(shared.settings.keyring, None)
    assert facts.revision == REVISION
    assert facts.functions == FUNCTIONS
    assert facts.triggers == TRIGGERS
    assert facts.constraints == CONSTRAINTS
    assert tuple((grant.object, grant.grantee, grant.privilege) for grant in facts.grants) == GRANTS


@pytest.mark.parametrize("drift", DRIFTS)
def test_drift_of_rights_and_rules_is_named(ground, drift):
    statement, expected = DRIFTS[drift]
    with ground.hand() as connection:
        connection.execute(statement)
    assert set(ground.found("access")) == expected


@pytest.fixture
def role(settings):
    name = f"audit_{uuid.uuid4().hex[:8]}"
    with superuser(settings) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN")
        yield name
        connection.execute(f"DROP ROLE {name}")


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("GRANT keyring_reader TO {}", {"role-member:{} in keyring_reader", "role-reads:{}"}),
        ("GRANT keyring_reader TO {} WITH INHERIT FALSE", {"role-member:{} in keyring_reader"}),
        ("GRANT pg_read_all_data TO {}", {"role-member:{} in pg_read_all_data", "role-reads:{}"}),
        ("ALTER ROLE {} SUPERUSER", {"role-superuser:{}"}),
        ("ALTER ROLE {} REPLICATION", {"role-superuser:{} (replication)"}),
    ],
)
def test_a_role_that_came_by_rights_is_named(shared, role, statement, expected):
    with shared.hand() as connection:
        connection.execute(statement.format(role))
        assert set(shared.found("access")) == {each.format(role) for each in expected}


def test_a_membership_that_the_policy_allows_is_none(shared, role):
    allowed = shared.policy.model_dump()
    allowed["database"] |= {"members": [f"{role} in keyring_reader"], "readers": ["keyring_reader", role]}
    with shared.hand() as connection:
        connection.execute(f"GRANT keyring_reader TO {role}")
    assert shared.found("access", policy=KeyPolicy.model_validate(allowed)) == {}


def test_a_keyring_of_another_revision_is_unknown_and_its_roles_are_looked_at_still(ground):
    with ground.hand() as connection:
        connection.execute("UPDATE keyring.alembic_version SET version_num = '9999'")
        connection.execute("GRANT INSERT ON keyring.wraps TO keyring_reader")
    judged = ground.judged("access")
    assert {each.id: each.verdict for each in judged.findings} == {
        "schema-revision:keyring": Verdict.UNKNOWN,
        "role-writes:keyring_reader": Verdict.REFUTED,
    }
