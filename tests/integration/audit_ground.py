"""Ground for audits: a vault, a keyring, a bucket and a record of the tests' own, all as the shipped policy wants them."""

from __future__ import annotations

import dataclasses
import json
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import psycopg
from azure.keyvault.keys import KeyClient
from azure.keyvault.secrets import SecretClient
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from replica.keyvault import configuration
from replica.keyvault.assignments import assignments
from steward.clients import erasures
from steward.clients.backup_bucket import open_backup_bucket
from steward.clients.backups_audit import read_backups
from steward.clients.keyring import open_keyring
from steward.clients.keyring_audit import read_keyring
from steward.clients.keyring_rights import read_rights
from steward.clients.keyvault import open_vault
from steward.clients.postgres import connect
from steward.clients.s3 import _client
from steward.clients.vault_audit import read_vault
from steward.keys.audit_facts import Sources
from steward.keys.audit_findings import Finding
from steward.keys.audit_policy import KeyPolicy, load_policy
from steward.keys.audit_report import Judgement, judge
from steward.keys.audit_sources import read_assignments, read_log
from steward.keys.backups import Backup, key_of
from steward.migrations.apply import migrate
from steward.settings import Settings
from steward.verdicts import Verdict
from tests.integration.described_vault import described
from tests.integration.fresh_database import changed, fresh_database, superuser
from tests.integration.fresh_keyring import fresh_keyring
from tests.testbed.keyvault.ground import TestVault, running

TENANTS = ("acme", "globex")
STEWARD = "rotator"
#: One for all: SeaweedFS keeps disk for each bucket that was ever made.
BUCKET = "audited-backups"


@dataclasses.dataclass(frozen=True)
class Ground:
    settings: Settings
    vault: TestVault
    policy: KeyPolicy
    clean: Sources | None = None
    """What was read of it before any drift."""

    @property
    def database(self) -> str:
        return conninfo_to_dict(self.settings.keyring.url)["dbname"]

    def sources(self, policy: KeyPolicy | None = None) -> Sources:
        """What an audit reads, each from its real server or file."""
        policy = policy or self.policy
        vault = self.read("vault", policy, "")
        others = [each.name for each in dataclasses.fields(Sources) if each.name != "vault"]
        return Sources(vault=vault, **{name: self.read(name, policy, vault.newest_kek_name) for name in others})

    def read(self, source: str, policy: KeyPolicy, newest: str) -> Any:
        settings, now = self.settings, datetime.now(UTC)
        match source:
            case "vault":
                return read_vault(settings.vault, settings.keyring.kek, [rule.name for rule in policy.key])
            case "keyring":
                return read_keyring(settings.keyring, settings.vault, policy, newest)
            case "access":
                return read_rights(settings.keyring, settings.vault)
            case "assignments":
                return read_assignments(settings.audit.role_assignments)
            case "log":
                return read_log(settings.audit.vault_log, now - timedelta(days=31))
        return read_backups(settings, now)

    def judged(self, *anew: str, policy: KeyPolicy | None = None, **changes: Any) -> Judgement:
        """The judgement on clean ground, with the sources *anew* read again and those in *changes* instead."""
        policy = policy or self.policy
        read = {}
        for name in anew:
            newest = read.get("vault", self.clean.vault).newest_kek_name
            read[name] = self.read(name, policy, newest)
        return judge(policy, dataclasses.replace(self.clean, **read, **changes), datetime.now(UTC))

    def found(self, *anew: str, policy: KeyPolicy | None = None, **changes: Any) -> dict[str, Finding]:
        """Every finding of that by its id."""
        return {each.id: each for each in self.judged(*anew, policy=policy, **changes).findings}

    @contextmanager
    def cloned(self) -> Generator[Ground]:
        """The same with a copy of the keyring, which is dropped afterwards."""
        name = sql.Identifier(f"test_keyring_{secrets.token_hex(6)}")
        with superuser(self.settings) as connection:
            template = sql.Identifier(self.database)
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER keyring TEMPLATE {}").format(name, template))
        url = f"{self.settings.keyring.url.rpartition('/')[0]}/{name.as_string().strip(chr(34))}"
        ground = dataclasses.replace(self, settings=changed(self.settings, "keyring", url=url))
        try:
            # Rights on a database are not copied with it.
            close_database(ground)
            yield ground
        finally:
            with superuser(self.settings) as connection:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))

    @contextmanager
    def hand(self, *, unruled: bool = False) -> Generator[psycopg.Connection]:
        """A superuser in the keyring; *unruled*: no trigger fires, as for whoever goes round them."""
        with superuser(self.settings, self.database) as connection:
            if unruled:
                connection.execute("SET session_replication_role = replica")
            yield connection


def policy_of(vault: TestVault) -> KeyPolicy:
    """The shipped policy with the vault's own principals."""
    shipped = load_policy(Path(str(files("deployments") / "keys" / "policy.toml")))
    known = configuration.load(vault.configuration).principals
    principals = [
        {
            "name": each.name,
            "object_id": each.object_id,
            "client_id": each.client_id,
            "roles": sorted(each.roles),
            "operations": ["KeyGet", "KeyUnwrap"] if each.name == "application" else [],
        }
        for each in known
        if each.roles
    ]
    return KeyPolicy.model_validate(shipped.model_dump() | {"principal": principals})


def lay_keys(vault: TestVault) -> None:
    with vault.client(KeyClient) as keys:
        keys.create_rsa_key("tenants", size=3072, key_operations=["wrapKey", "unwrapKey"])
        keys.create_ec_key("evidence", curve="P-256")


def lay_secrets(vault: TestVault) -> None:
    with vault.client(SecretClient) as client:
        client.set_secret("provider-models", "sk-not-a-real-one", expires_on=datetime.now(UTC) + timedelta(days=60))
        client.set_secret("postgres", "whatever")


@contextmanager
def audited_ground(replica_settings: Settings, folder: Path) -> Generator[Ground]:
    """Tenants enrolled, a VERIFIED backup, and nothing that the policy would not want."""
    with (
        running(folder / "vault", limits_factor=1000) as vault,
        fresh_database(replica_settings) as with_record,
        fresh_keyring(with_record) as with_keyring,
    ):
        exported = folder / "role-assignments.json"
        exported.write_text(json.dumps(assignments(configuration.load(vault.configuration))))
        settings = with_keyring.model_copy(update={"vault": described(vault, STEWARD)})
        settings = changed(settings, "audit", role_assignments=exported, vault_log=vault.folder / "vault" / "audit.log")
        settings = changed(settings, "objects", backup_bucket=BUCKET)
        lay_keys(vault)
        lay_secrets(vault)
        migrate(settings)
        ground = Ground(settings, vault, policy_of(vault))
        close_database(ground)
        enrol(settings)
        lay_backup(settings)
        yield dataclasses.replace(ground, clean=ground.sources())


def close_database(ground: Ground) -> None:
    """As docs/keyring.md lays it, which a database of a test is not."""
    with ground.hand() as connection:
        name = sql.Identifier(ground.database)
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
        connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO keyring_reader").format(name))


def enrol(settings: Settings) -> None:
    with open_vault(settings.vault) as vault, open_keyring(settings.keyring, settings.vault) as keyring:
        for tenant in TENANTS:
            keyring.enrol(tenant, vault)


def make_bucket(settings: Settings) -> None:
    s3 = _client(settings.objects, settings.vault)
    if BUCKET not in {each["Name"] for each in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=BUCKET)
    s3.close()


def lay_backup(settings: Settings, age: timedelta = timedelta()) -> Backup:
    """An object that the register holds for a VERIFIED backup of *age* ago."""
    taken_at = datetime.now(UTC) - age
    backup = Backup(key=key_of(taken_at, 1, 1), taken_at=taken_at, epoch=1, sha256="0" * 64, bytes=1, rows={})
    make_bucket(settings)
    with open_backup_bucket(settings) as bucket:
        bucket.put_once(backup.key, b"x")
    with connect(settings) as db:
        erasures.register(db, backup, _operation(db))
        erasures.judge_backup(db, backup.key, Verdict.VERIFIED)
    return backup


def _operation(db: psycopg.Connection) -> int:
    insert = """
        INSERT INTO steward.operations (name, subject, period, resource, lease, max_attempts)
        VALUES ('backup-keyring', 'keyring', clock_timestamp()::text, 'keyring/backups', '15 s', 5) RETURNING id
    """
    (row,) = db.execute(insert).fetchall()
    return row[0]
