"""API keys: known by digest only, made and taken back while the twin runs, kept in its database.

A taken-back key is refused from the next request on. What the providers' documentation leaves open (how soon that reaches
all of their machines) is not imitated.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from replica.providers.configuration import Account

INFERENCE, ADMIN = "inference", "admin"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key without its secret. `status`: active, inactive, archived, deleted; `expired` follows from the time."""

    id: str
    provider: str
    account: str
    project: str
    name: str
    hint: str
    role: str
    service_account: str
    status: str
    created_at: float
    expires_at: float | None
    last_used_at: float | None

    @property
    def state(self) -> str:
        """Its status now."""
        expired = self.expires_at is not None and self.expires_at <= time.time()
        return "expired" if expired and self.status == "active" else self.status


_COLUMNS = (
    "id, provider, account, project, name, hint, role, service_account, status, created_at, expires_at, last_used_at"
)


class Keys:
    """All keys of all accounts."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._by_digest: dict[bytes, ApiKey] = {}
        self._used: set[str] = set()
        self._read()

    def enrol(self, account: Account) -> None:
        """The keys that *account* begins with, unless they are known; a key that was taken back stays so."""
        for key in account.keys:
            secret = Path(key.secret_file).read_text().strip()
            self._add(secret, _key(key.id, account, project=key.project, name=key.name or key.id))
        secret = Path(account.admin_key_file).read_text().strip()
        self._add(secret, _key(f"admin_{account.name}", account, role=ADMIN, name="admin"))

    def find(self, provider: str, secret: str) -> ApiKey | None:
        """The key whose secret this is, whatever its state."""
        found = self._by_digest.get(_digest(secret))
        return found if found and found.provider == provider else None

    def used(self, key: ApiKey) -> None:
        """Note the first use since the start; later ones within the same run are not worth a write each."""
        if key.id not in self._used:
            self._used.add(key.id)
            self._database.execute("UPDATE keys SET last_used_at = ? WHERE id = ?", (time.time(), key.id))
            self._read()

    def create(
        self,
        account: Account,
        *,
        project: str = "",
        name: str,
        expires_at: float | None,
        service_account: str = "",
        role: str = INFERENCE,
    ) -> tuple[ApiKey, str]:
        """(key, its secret), as OpenAI makes them. The secret is told once and kept nowhere."""
        secret = ("sk-admin-" if role == ADMIN else "sk-svcacct-") + secrets.token_urlsafe(48)
        made = _key(
            f"key_{secrets.token_hex(8)}",
            account,
            project=project,
            name=name,
            expires_at=expires_at,
            service_account=service_account,
            role=role,
        )
        return self._add(secret, made), secret

    def set_status(self, key_id: str, status: str, name: str | None = None) -> None:
        """Take effect at once."""
        self._database.execute(
            "UPDATE keys SET status = ?, name = coalesce(?, name) WHERE id = ?", (status, name, key_id)
        )
        self._read()

    def all(self, account: str, *, project: str | None = None, role: str = INFERENCE) -> list[ApiKey]:
        """Those that were not deleted, oldest first."""
        return [
            key
            for key in self._by_digest.values()
            if (key.account, key.role) == (account, role)
            and key.status != "deleted"
            and (project is None or key.project == project)
        ]

    def _add(self, secret: str, key: ApiKey) -> ApiKey:
        self._database.execute(
            "INSERT OR IGNORE INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                key.id,
                key.provider,
                key.account,
                key.project,
                key.name,
                _digest(secret),
                # The ends, as consoles show them; four characters of a long random text are no secret.
                f"{secret[:7]}...{secret[-4:]}",
                key.role,
                key.service_account,
                key.status,
                key.created_at,
                key.expires_at,
                None,
            ),
        )
        self._read()
        return self._by_digest[_digest(secret)]

    def _read(self) -> None:
        rows = self._database.execute(f"SELECT digest, {_COLUMNS} FROM keys ORDER BY created_at, id")  # noqa: S608 -- fixed names
        self._by_digest = {row[0]: ApiKey(*row[1:]) for row in rows}


def _key(
    key_id: str,
    account: Account,
    *,
    project: str = "",
    name: str,
    role: str = INFERENCE,
    expires_at: float | None = None,
    service_account: str = "",
) -> ApiKey:
    return ApiKey(
        key_id,
        account.provider,
        account.name,
        project,
        name,
        "",
        role,
        service_account or f"sa_{key_id}",
        "active",
        time.time(),
        expires_at,
        None,
    )


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
