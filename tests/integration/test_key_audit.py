"""Every kind of drift, planted on real servers, is found and named; clean ground is VERIFIED."""

from __future__ import annotations

import dataclasses
import json
import os
import time
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from azure.keyvault.keys import KeyClient, KeyRotationLifetimeAction, KeyRotationPolicy, KeyRotationPolicyAction
from azure.keyvault.secrets import SecretClient
from psycopg import sql

from replica import inventory
from steward.clients import erasures
from steward.clients.backup_bucket import open_backup_bucket
from steward.clients.keyring import open_keyring
from steward.clients.keyring_rights import read_rights
from steward.clients.keyvault import open_vault
from steward.clients.keyvault_errors import VaultForbidden
from steward.clients.postgres import connect
from steward.clients.vault_audit import read_vault
from steward.keys.audit_facts import Unread
from steward.keys.audit_policy import KeyPolicy
from steward.keys.audit_report import USE, WRAPS
from steward.keys.audit_rules import CONSTRAINTS, FUNCTIONS, GRANTS, REVISION, TRIGGERS
from steward.keys.audit_sources import SourceUnreadable, read_assignments
from steward.migrations.apply import migrate
from steward.settings import load
from steward.verdicts import Verdict
from tests.integration.audit_ground import STEWARD, TENANTS, audited_ground, lay_backup
from tests.integration.described_vault import described
from tests.integration.fresh_database import changed, fresh_database, superuser

pytestmark = pytest.mark.without_search


@pytest.fixture(scope="module")
def shared(replica, tmp_path_factory):
    """One for the tests that leave it as they found it."""
    with audited_ground(load(inventory.settings_file(replica)), tmp_path_factory.mktemp("audit")) as ground:
        yield ground


@pytest.fixture
def ground(shared):
    """With a keyring of the test's own."""
    with shared.cloned() as ground:
        yield ground


def later(vault, **ahead):
    """The vault's facts as an audit of another day would have read them."""
    return vault.model_copy(update={"read_at": vault.read_at + timedelta(**ahead)})


def test_clean_ground_is_verified_in_every_check(shared):
    judged = shared.judged()
    assert judged.findings == ()
    assert judged.verdict is Verdict.VERIFIED
    assert [check.verdict for check in judged.checks] == [Verdict.VERIFIED] * 7
    assert judged.not_asked == ()


def test_the_rules_that_are_compared_are_those_of_a_migrated_keyring(shared):
    facts = read_rights(shared.settings.keyring, None)
    assert facts.revision == REVISION
    assert facts.functions == FUNCTIONS
    assert facts.triggers == TRIGGERS
    assert facts.constraints == CONSTRAINTS
    assert tuple((grant.object, grant.grantee, grant.privilege) for grant in facts.grants) == GRANTS


# The vault


def test_a_disabled_key_is_named_and_so_are_the_wraps_that_nobody_can_open(shared):
    with shared.vault.client(KeyClient) as keys:
        newest = keys.get_key("tenants").properties.version
        keys.update_key_properties("tenants", newest, enabled=False)
        try:
            found = shared.found("vault")
        finally:
            keys.update_key_properties("tenants", newest, enabled=True)
    assert set(found) == {f"key-disabled:tenants/{newest}", f"wraps-unopenable:tenants/{newest}"}
    assert "2 wraps of 2 tenants" in found[f"wraps-unopenable:tenants/{newest}"].seen


def test_an_old_key_is_named_on_the_day_it_gets_too_old(shared):
    vault = shared.clean.vault
    assert "key-too-old:tenants" not in shared.found(vault=later(vault, days=39, hours=23))
    assert "key-too-old:tenants" in shared.found(vault=later(vault, days=40, hours=1))


def with_rule(policy, **changes):
    """*policy* with another rule for the key that wraps tenants' keys."""
    rule, *others = policy.key
    return policy.model_copy(update={"key": (rule.model_copy(update=changes), *others)})


def test_a_key_without_expiry_is_named_where_the_policy_wants_one(shared):
    wanting = with_rule(shared.policy, must_expire=True)
    assert set(shared.found(policy=wanting)) == {"key-never-expires:tenants"}


@contextmanager
def another_kek(ground, name):
    """The ground with *name* as the key that wraps tenants' keys, which is made in the block; and a client of keys."""
    kek = changed(ground.settings, "keyring", kek=name)
    with ground.vault.client(KeyClient) as keys:
        try:
            yield (
                dataclasses.replace(
                    ground, settings=kek, policy=with_rule(ground.policy, name=name, enabled_versions=2)
                ),
                keys,
            )
        finally:
            keys.begin_delete_key(name).wait()


def without(found, *ids):
    """The ids of *found*, less what the other key brings along."""
    return set(found) - {"key-unlisted:tenants", *ids}


def test_versions_beyond_those_in_use_are_named_and_keys_not_under_the_newest(shared):
    with another_kek(shared, "newer") as (ground, keys):
        for _ in range(3):
            newest = keys.create_rsa_key("newer", size=3072, key_operations=["wrapKey", "unwrapKey"])
        found = ground.found("vault", "keyring")
        a_day_later = later(ground.read("vault", ground.policy, ""), hours=25)
        lacking = ground.found("keyring", vault=a_day_later)
    # Which of three is the oldest, dates of whole seconds do not tell; which is the newest, the vault does.
    (extra,) = without(found)
    assert extra.startswith("key-version-extra:newer/")
    assert newest.properties.version not in extra
    assert without(lacking, extra) == set()
    ground = dataclasses.replace(ground, clean=dataclasses.replace(ground.clean, vault=a_day_later))
    assert without(ground.found("keyring"), extra) == {f"generation-not-rewrapped:{tenant}/1" for tenant in TENANTS}


def test_a_key_of_another_kind_with_other_operations_and_rotating_itself_is_named(shared):
    rotating = KeyRotationPolicy(
        lifetime_actions=[KeyRotationLifetimeAction(KeyRotationPolicyAction.rotate, time_after_create="P30D")]
    )
    with another_kek(shared, "odd") as (ground, keys):
        newest = keys.create_rsa_key("odd", size=2048).properties.version
        keys.update_key_rotation_policy("odd", rotating)
        found = ground.found("vault")
    assert set(found) == {
        f"key-kind:odd/{newest}",
        f"key-operations:odd/{newest}",
        "key-rotates-itself:odd",
        "key-unlisted:tenants",
    }


def test_a_key_that_was_deleted_is_missed(shared):
    with shared.vault.client(KeyClient) as keys:
        keys.begin_delete_key("evidence").wait()
        try:
            found = shared.found("vault")
        finally:
            keys.begin_recover_deleted_key("evidence").wait()
    assert set(found) == {"key-missing:evidence"}


def test_secrets_are_named_when_they_are_about_to_expire_have_expired_or_never_do(shared):
    now = datetime.now(UTC)
    ends = {"provider-soon": now + timedelta(days=3), "provider-over": now - timedelta(days=1), "provider-never": None}
    with shared.vault.client(SecretClient) as secrets:
        for name, end in ends.items():
            secrets.set_secret(name, "sk-not-a-real-one", expires_on=end)
        secrets.set_secret("provider-off", "sk-not-a-real-one", expires_on=now + timedelta(days=60), enabled=False)
        try:
            facts = shared.read("vault", shared.policy, "")
        finally:
            for name in (*ends, "provider-off"):
                secrets.begin_delete_secret(name).wait()
    assert set(shared.found(vault=facts)) == {
        "secret-expires-soon:provider-soon",
        "secret-expired:provider-over",
        "secret-never-expires:provider-never",
        "secret-disabled:provider-off",
    }
    assert "sk-not-a-real-one" not in facts.model_dump_json()


def test_a_secret_that_no_rule_covers_or_that_nobody_renewed_is_named(shared):
    providers_only = shared.policy.model_copy(update={"secret": shared.policy.secret[:1]})
    assert set(shared.found(policy=providers_only)) == {"secret-unlisted:postgres"}
    assert "secret-too-old:postgres" in shared.found(vault=later(shared.clean.vault, days=367))


# The keyring's rows


def backdated(ground, column, state, days):
    with ground.hand(unruled=True) as connection:
        statement = (
            "UPDATE keyring.generations SET {0} = {0} - %s * interval '1 day' WHERE tenant = 'acme' AND state = %s"
        )
        connection.execute(sql.SQL(statement).format(sql.Identifier(column)), (days, state))


def test_generations_that_stayed_too_long_in_a_state_are_named(ground):
    settings = ground.settings
    with open_vault(settings.vault) as vault, open_keyring(settings.keyring) as keyring:
        backdated(ground, "created_at", "current", 36)
        assert set(ground.found("keyring")) == {"generation-too-old:acme/1"}
        (_, second) = keyring.add_generation("acme", vault).generations
        backdated(ground, "created_at", "incoming", 2)
        assert set(ground.found("keyring")) == {"generation-too-old:acme/1", "generation-incoming-left:acme/2"}
        (first, _) = keyring.switch("acme", second.key_id).generations
        backdated(ground, "superseded_at", "previous", 15)
        assert set(ground.found("keyring")) == {"generation-previous-left:acme/1"}
        keyring.retire("acme", first.key_id)
        backdated(ground, "retired_at", "retired", 41)
        assert set(ground.found("keyring")) == {"generation-retired-left:acme/1"}
        keyring.destroy("acme", first.key_id)
    assert ground.found("keyring") == {}


def test_a_key_that_was_lost_behind_the_triggers_back_is_named(ground):
    with ground.hand(unruled=True) as connection:
        connection.execute(
            "DELETE FROM keyring.wraps w USING keyring.generations g WHERE tenant = 'acme' AND w.key_id = g.key_id"
        )
        connection.execute("UPDATE keyring.generations SET state = 'previous' WHERE tenant = 'globex'")
    # Both lack a wrap or a current generation; what is not current need not be under the newest version.
    assert {each for each in ground.found("keyring") if each.startswith("generation-broken")} == {
        "generation-broken:acme/1",
        "generation-broken:globex/0",
    }


def test_of_many_old_generations_fifty_are_named_and_all_are_counted(ground):
    with ground.hand(unruled=True) as connection:
        connection.execute(
            """
            WITH planted AS (
                INSERT INTO keyring.tenants (tenant) SELECT 'many-' || n FROM generate_series(1, 60) n RETURNING tenant
            ), made AS (
                INSERT INTO keyring.generations (key_id, tenant, number, state, created_at)
                SELECT nextval('keyring.key_ids'), tenant, 1, 'current', clock_timestamp() - interval '40 days' FROM planted
                RETURNING key_id
            ) INSERT INTO keyring.wraps (key_id, kek, wrapped)
            SELECT key_id, (SELECT kek FROM keyring.wraps LIMIT 1), (SELECT wrapped FROM keyring.wraps LIMIT 1) FROM made
            """
        )
    found = ground.found("keyring")
    assert len(found) == 51
    assert found["generation-too-old:others"].seen == "10 more generations"


def test_a_reader_that_did_not_follow_a_change_is_named_and_one_that_fell_silent_is_not(ground):
    reader = uuid.uuid4()
    settings = ground.settings
    with open_vault(settings.vault) as vault, open_keyring(settings.keyring) as keyring:
        keyring.acknowledge(reader, keyring.epoch())
        keyring.enrol("initech", vault)
        assert ground.found("keyring") == {}
        with ground.hand(unruled=True) as connection:
            connection.execute("UPDATE keyring.epochs SET noted_at = noted_at - interval '1 hour'")
        (lagging,) = ground.found("keyring")
        assert lagging == f"reader-lagging:{os.uname().nodename}/{os.getpid()}"
        with ground.hand(unruled=True) as connection:
            connection.execute("UPDATE keyring.readers SET seen_at = seen_at - interval '1 hour'")
        assert ground.found("keyring") == {}
    assert ground.read("keyring", ground.policy, "").silent_readers == 1


# Rights in the keyring's database

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


# Roles at the vault, and its log


def reassigned(ground, tmp_path, change):
    rows = json.loads(ground.settings.audit.role_assignments.read_text())
    path = tmp_path / "assignments.json"
    path.write_text(json.dumps(change(rows)))
    return read_assignments(path)


def test_an_extra_assignment_is_named_whoever_has_it(shared, tmp_path):
    stranger = {"principalId": "5d3c0d0c-0000-4000-8000-000000000001", "principalName": "eve@example.net"}

    def plant(rows):
        application = next(row for row in rows if row["roleDefinitionName"].endswith("Service Encryption User"))
        return [
            *rows,
            application | {"roleDefinitionName": "Key Vault Administrator"},
            application | stranger | {"roleDefinitionName": "Owner", "scope": "/subscriptions/1"},
        ]

    assert set(shared.found(assignments=reassigned(shared, tmp_path, plant))) == {
        "assignment-extra:application/Key Vault Administrator",
        f"assignment-stranger:{stranger['principalId']}/Owner",
    }


def test_a_missing_assignment_is_named(shared, tmp_path):
    without = reassigned(
        shared, tmp_path, lambda rows: [row for row in rows if row["roleDefinitionName"] != "Steward Rotator"]
    )
    assert set(shared.found(assignments=without)) == {f"assignment-missing:{STEWARD}/Steward Rotator"}


def test_an_export_that_is_old_absent_or_no_list_is_unknown_and_never_green(shared, tmp_path):
    path = tmp_path / "assignments.json"
    path.write_text(shared.settings.audit.role_assignments.read_text())
    three_days_ago = time.time() - 3 * 86_400
    os.utime(path, (three_days_ago, three_days_ago))
    judged = shared.judged(assignments=read_assignments(path))
    assert [(each.id, each.verdict) for each in judged.findings] == [("assignments-stale:vault", Verdict.UNKNOWN)]
    assert judged.verdict is Verdict.UNKNOWN
    for unusable in (None, tmp_path / "absent", path):
        path.write_text("[1]")
        with pytest.raises(SourceUnreadable) as refused:
            read_assignments(unusable)
        assert "az role assignment list" in refused.value.hint or "settings" in refused.value.hint


def test_the_vaults_log_names_strangers_even_where_refused_and_operations_that_nobody_expects(shared):
    with shared.vault.http(shared.vault.token("nobody")) as stranger:
        assert stranger.get("/keys").status_code == 403
    with shared.vault.http(shared.vault.token("application")) as application:
        assert application.post("/keys/tenants/create", json={"kty": "RSA"}).status_code == 403
    found = shared.found("log")
    (operation, named) = sorted(found)
    assert operation == "log-operation:application/KeyCreate"
    assert named.startswith("log-stranger:")
    assert named.endswith("/KeyList")
    assert shared.vault.client_id("nobody") in named
    assert found[named].seen == "0 times allowed, 1 times refused"


def test_a_log_that_fell_silent_is_unknown_and_one_the_policy_leaves_out_is_told_as_not_asked(shared):
    log = shared.clean.log
    old = log.model_copy(update={"newest_at": log.newest_at - timedelta(hours=25)})
    assert [each.id for each in shared.judged(log=old).findings] == ["log-silent:vault"]
    left_out = shared.judged(log=None)
    assert left_out.not_asked == (USE,)
    assert left_out.verdict is Verdict.VERIFIED


# Backups and erasures


def test_backups_beyond_the_promise_or_none_at_all_are_named(shared):
    old = lay_backup(shared.settings, timedelta(days=31))
    try:
        assert set(shared.found("backups")) == {"backup-too-old:keyring"}
    finally:
        with open_backup_bucket(shared.settings) as bucket:
            for version in bucket.versions():
                if version.key == old.key:
                    bucket.delete(version)
    longer = shared.clean.backups.model_copy(update={"retention_days": 60})
    assert set(shared.found(backups=longer)) == {"backup-retention:keyring"}
    stale = shared.clean.backups.model_copy(update={"newest_at": datetime.now(UTC) - timedelta(hours=27)})
    assert set(shared.found(backups=stale)) == {"backup-missing:keyring"}


def test_an_erasure_that_a_restore_undid_is_named(shared):
    past = datetime.now(UTC) - timedelta(days=40)
    with fresh_database(shared.settings) as settings:
        migrate(settings)
        with connect(settings) as db:
            erasures.note_erasure(db, "acme", "request 1", None)
            erasures.note_erased(db, "acme", past, past + timedelta(days=30))
        facts = dataclasses.replace(shared, settings=settings).read("backups", shared.policy, "")
    assert set(shared.found(backups=facts)) == {
        "backup-missing:keyring",
        "erasure-overdue:acme",
        "erasure-undone:acme",
    }


# What cannot be read


def test_a_source_that_is_away_leaves_the_whole_unknown_and_the_others_looked_at(shared):
    away = Unread(source="vault", reason="vault is silent", hint="see whether it runs")
    judged = shared.judged(vault=away)
    assert judged.verdict is Verdict.UNKNOWN
    assert [each.id for each in judged.findings] == ["unread:vault"]
    assert {check.name for check in judged.checks if check.verdict is Verdict.UNKNOWN} == {
        "keys and secrets of the vault",
        WRAPS,
    }


def test_a_role_that_can_read_keys_alone_is_told_which_role_it_lacks(shared):
    with pytest.raises(VaultForbidden) as refused:
        read_vault(described(shared.vault, "application"), "tenants", ["tenants"])
    assert "read the rotation policy of key tenants" in refused.value.message
    assert "Key Vault Crypto Officer" in refused.value.hint
