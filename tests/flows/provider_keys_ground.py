"""Accounts of a test's own: at twins of the providers, with their keys in the replica's vault, and settings that name them."""

from __future__ import annotations

import os
import secrets
import tomllib
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import tomli_w
from prefect import tags

from flows.rotate_provider_keys import KeyRequest, rotate_provider_keys
from replica import inventory
from replica.server import Place
from steward.ai.key_rotation import AVAILABLE, KEY_ID, POOL, STATE
from steward.ai.key_rotation_errors import KeyNotRotated
from steward.ai.key_rotation_report import KeyRotationReport
from steward.clients.keyvault_secret_versions import VersionedSecrets, open_secret_versions
from steward.clients.postgres import connect
from steward.evidence.envelopes import open_envelope
from steward.evidence.statements import Statement, parse_statement
from steward.evidence.store import list_statements
from steward.migrations.apply import migrate
from steward.settings import Provider, Settings, load
from tasks import provider_keys, waiting
from tests.flows.killed_runs import Death, run_killed
from tests.flows.prefect_server import recording_in
from tests.integration.fresh_database import fresh_database
from tests.integration.principals import vault_as
from tests.keyring_ground import query
from tests.testbed.providers.ground import PROJECT, VERSION, WORKSPACE, Twins

FLOW = "flows.rotate_provider_keys.rotate_provider_keys"
#: Keys that Anthropic's twin begins with: each rotation takes one for good.
_MOST_KEYS = 40 + 2 * int(os.environ.get("STEWARD_DRILL_CASES", "0"))
_EXPIRE = (
    "UPDATE steward.operations SET lease_until = now() - interval '1 hour' WHERE subject = %s AND state = 'running'"
)


class ManyKeys(Twins):
    """Twins that begin with a console's worth of Anthropic keys."""

    def _account(self, name: str, provider: str, project: str, keys: list[str]) -> dict[str, Any]:
        more = [f"a{number}" for number in range(3, _MOST_KEYS)] if provider == "anthropic" else []
        return super()._account(name, provider, project, keys + more)


@dataclass
class Account:
    """As the settings describe it."""

    name: str
    kind: str
    secret: str
    pool: list[str] = field(default_factory=list)
    """Ids of keys of the pool."""


@dataclass
class Ground:
    """Settings with the accounts of one test."""

    place: Place
    twins: Twins
    settings: Settings
    file: Path
    accounts: dict[str, Account] = field(default_factory=dict)
    _drawn: Iterator[str] = field(default_factory=lambda: iter(()))

    def vault(self) -> AbstractContextManager[VersionedSecrets]:
        """As the administrator."""
        there = vault_as(self.place, self.settings, "administrator")
        return open_secret_versions(self.settings.model_copy(update={"vault": there}), lambda: None)

    def account(self, kind: str, *, pool: int = 3, tagged: bool = True) -> Account:
        """A new one, whose key is in the vault; of Anthropic with that many keys in the pool."""
        unique = secrets.token_hex(4)
        made = Account(f"{kind}-{unique}", kind, f"provider-{kind}-{unique}")
        with self.vault() as vault:
            key, secret = self._key(kind)
            vault.put(made.secret, secret, {KEY_ID: key} if tagged else {}, soon())
            for number in range(pool if kind == "anthropic" else 0):
                key, secret = self._key(kind)
                told = {POOL: made.name, KEY_ID: key, STATE: AVAILABLE}
                vault.put(f"{made.secret}-pool-{number}", secret, told, soon())
                made.pool.append(key)
        self.accounts[made.name] = made
        self._write({"providers": {each.name: self._described(each) for each in self.accounts.values()}})
        return made

    def _key(self, kind: str) -> tuple[str, str]:
        if kind == "anthropic":
            key = next(self._drawn)
            return key, self.twins.secret(key)
        told = self.openai("POST", "service_accounts", json={"name": "by hand"})
        return told["api_key"]["id"], told["api_key"]["value"]

    def _described(self, account: Account) -> dict[str, Any]:
        is_openai = account.kind == "openai"
        url = self.twins.openai_url.removesuffix("/v1") if is_openai else self.twins.anthropic_url
        return {
            "kind": account.kind,
            "url": url,
            "key": f"keyvault:{account.secret}",
            "admin_key": f"file:{self.twins.secret_file(f'{account.kind}-main.admin')}",
            "project": PROJECT if is_openai else WORKSPACE,
        }

    def describe(self, account: Account, **changes: Any) -> None:
        """The account with some lines of its settings changed, or taken out (None)."""
        written = tomllib.loads(self.file.read_text())["providers"]
        described = {**written[account.name], **changes}
        written[account.name] = {name: value for name, value in described.items() if value is not None}
        self._write({"providers": written})

    def forget(self, account: Account) -> None:
        del self.accounts[account.name]
        self._write({"providers": {each.name: self._described(each) for each in self.accounts.values()}})

    def _write(self, parts: dict[str, Any]) -> None:
        self.file.write_text(tomli_w.dumps(tomllib.loads(self.file.read_text()) | parts))
        self.settings = load(self.file)

    def provider(self, account: Account) -> Provider:
        return self.settings.providers[account.name]

    # What the providers have

    def openai(self, method: str, path: str, **asked: Any) -> Any:
        headers = {"authorization": f"Bearer {self.twins.secret('openai-main.admin')}"}
        url = f"{self.twins.openai_url}/organization/projects/{PROJECT}/{path}"
        answer = httpx.request(method, url, headers=headers, **asked)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def living(self, account: Account) -> dict[str, str]:
        """Names by id of all keys that the account's provider takes."""
        if account.kind == "openai":
            told = self.openai("GET", "api_keys", params={"limit": 100})
            return {each["id"]: each["name"] for each in told["data"]}
        headers = {"x-api-key": self.twins.secret("anthropic-main.admin"), **VERSION}
        url = f"{self.twins.anthropic_url}/v1/organizations/api_keys"
        told = httpx.get(url, headers=headers, params={"limit": 1000}).json()
        return {each["id"]: each["name"] for each in told["data"] if each["status"] == "active"}

    def in_use(self, account: Account) -> str:
        """The id of the key that whoever reads the secret has now; the provider takes it."""
        with self.vault() as vault:
            now = vault.version(account.secret)
        url = f"{self.provider(account).url}/v1/models"
        answer = httpx.get(url, headers={"authorization": f"Bearer {now.value}", **VERSION})
        assert answer.status_code == 200
        return now.tags[KEY_ID]

    def made(self, account: Account) -> list[str]:
        """Ids of living keys that Steward made for the account."""
        return [key for key, name in self.living(account).items() if f"-{account.name}-" in name]

    def put_aside(self, account: Account) -> list[str]:
        """Names of the vault's secrets beside the account's own."""
        with self.vault() as vault:
            return sorted(name for name in vault.names() if name.startswith(f"{account.secret}-"))

    def pool(self, account: Account) -> dict[str, str]:
        """States by id of the key."""
        with self.vault() as vault:
            return {each[KEY_ID]: each[STATE] for each in vault.names().values() if each.get(POOL) == account.name}

    # Running

    def run(self, account: Account, period: str = "", **more: Any) -> KeyRotationReport:
        with tags(f"period:{period or secrets.token_hex(4)}"):
            return rotate_provider_keys(KeyRequest(account=account.name, reason="a test", **more))

    def refused(self, account: Account, period: str = "", **more: Any) -> KeyRotationReport:
        try:
            report = self.run(account, period, **more)
        except KeyNotRotated as not_rotated:
            return not_rotated.report
        raise AssertionError(report.verdict)

    def killed(self, account: Account, period: str, *deaths: Death) -> None:
        for death in deaths:
            request = {"account": account.name, "reason": "a test"}
            run_killed(self.place, self.file, FLOW, request, death, period=period)
            # It is dead: its lease is not waited for.
            query(self.settings, _EXPIRE, account.name)

    def statements(self, account: Account) -> list[Statement]:
        with connect(self.settings) as connection:
            rows = list_statements(connection, "rotate-provider-keys", subject=account.name)
        return [parse_statement(open_envelope(row.envelope.encode()).payload) for row in rows]


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(days=90)


@contextmanager
def provider_keys_ground(place: Place, twins: Twins, folder: Path) -> Generator[Ground]:
    """A database of its own; no account yet."""
    file = inventory.settings_file(place)
    with fresh_database(load(file)) as fresh:
        migrate(fresh)
        written = tomllib.loads(file.read_text())
        written["postgres"]["url"] = fresh.postgres.url
        written["operations"] = {"lease_seconds": 2, "heartbeat_seconds": 0.5}
        for checkpoint in ("checkpoint_key", "checkpoint_public_keys"):
            written["evidence"].pop(checkpoint, None)
        for part in ("providers", "gateway"):
            written.pop(part, None)
        path = folder / "settings.toml"
        path.write_text(tomli_w.dumps(written))
        ids = (f"a{number}" for number in range(1, _MOST_KEYS))
        yield Ground(place, twins, load(path), path, _drawn=ids)


@pytest.fixture(scope="module")
def laid(replica, tmp_path_factory) -> Generator[Ground]:
    twins = ManyKeys(tmp_path_factory.mktemp("twins"))
    twins.start()
    try:
        with provider_keys_ground(replica, twins, tmp_path_factory.mktemp("keys")) as ground:
            yield ground
    finally:
        twins.kill()


@pytest.fixture
def ground(laid, replica, monkeypatch) -> Generator[Ground]:
    monkeypatch.setenv("STEWARD_SETTINGS", str(laid.file))
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(provider_keys, "KNOWN_SECONDS", 0)
    with recording_in(replica):
        yield laid
