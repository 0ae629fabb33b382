"""The keyring: the database of wrapped tenant keys, apart from every other.

Applications read, as a user that may do nothing else. The rotator writes, as the owner; every change may be asked for
again, and has happened once. What must never happen to a key the database itself refuses (migrations/keyring).
"""

from __future__ import annotations

import datetime as dt
import hmac
import os
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol, Self, TypeVar
from uuid import UUID

from steward.clients import keyring_rows as rows
from steward.clients.connections import KeptConnections
from steward.clients.keyring_errors import KeyringRefused, possible, refusals
from steward.clients.keyring_sql import CHANGED
from steward.clients.postgres import Connection, DatabaseUnavailable, keyring_database, open_connection, worded
from steward.fieldcrypt import masterkey
from steward.fieldcrypt.errors import TenantUnknown
from steward.fieldcrypt.keyring import State, Wrap, WrappedKeys
from steward.settings import Keyring, Vault

#: Every question touches a few rows by their key. With as long again for a connection to be free and to be opened, a
#: silent database is told as unavailable within 15 s; where the connection is there already, within 5 s.
LIMIT_SECONDS = 5.0
STATEMENT_TIMEOUT_SECONDS = 4
#: Threads of a process that load tenants' keys at the same moment; more of them take turns.
MOST_CONNECTIONS = 8
#: A connection that a restart of the server broke says so at once; what takes longer is an outage.
_BROKEN_WITHIN_SECONDS = 1.0
#: A process that the keyring has not heard of for so long holds no key that it loaded before: it may use one for 330 s,
#: and for 900 s more while the keyring is away (steward/fieldcrypt/tenantkeys.py).
SILENT_SECONDS = 1800.0

T = TypeVar("T")


class WrappingVault(Protocol):
    """What enrolling needs of the vault."""

    def wrap(self, name: str, payload: bytes) -> Wrap:
        """*payload* under the newest version of key *name*."""
        ...

    def unwrap(self, kek: str, wrapped: bytes) -> bytes:
        """What *wrapped* holds."""
        ...


def open_keyring(keyring: Keyring, vault: Vault | None = None) -> KeyringClient:
    """A client of *keyring*; close it, or use it in `with`. *vault*: where the password is, if it is no file."""
    return KeyringClient(keyring, vault)


class KeyringClient:
    """Keeps its connections; safe to use from several threads.

    Every call raises DatabaseUnavailable (transient), DatabaseRefused or DatabaseNotMigrated where the database does not
    do its part; what changes a tenant's keys raises KeyringRefused too, and gives the keys as they are afterwards.
    """

    def __init__(self, keyring: Keyring, vault: Vault | None = None) -> None:
        self._kek = keyring.kek
        self._database = keyring_database(keyring, vault)
        self._connections = KeptConnections(self._open, most=MOST_CONNECTIONS, wait_seconds=LIMIT_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._connections.close()

    def load(self, tenant: str) -> WrappedKeys:
        """All generations of *tenant* and the epoch, as they were at one moment. TenantUnknown, TenantErased."""
        return self._ask(partial(rows.load, tenant=possible(tenant)))

    def epoch(self) -> int:
        """The epoch of the latest change; 0 before the first."""
        return self._ask(
            lambda connection: rows.value(connection, "SELECT coalesce(max(epoch), 0) FROM keyring.epochs")
        )

    def changed(self, after: int, until: int) -> dict[str, int]:
        """Tenants whose keys changed after epoch *after*, until *until*, with the epoch of each one's latest change."""
        return self._ask(lambda connection: dict(connection.execute(CHANGED, (after, until)).fetchall()))

    def enrol(self, tenant: str, vault: WrappingVault) -> WrappedKeys:
        """Give *tenant* its first generation, or find that it has one. TenantErased: there is no way back."""
        try:
            return self.load(tenant)
        except TenantUnknown:
            possible(tenant)
        self._change(partial(rows.insert_first, new=self._new_key(tenant, vault)))
        return self.load(tenant)

    def add_generation(self, tenant: str, vault: WrappingVault) -> WrappedKeys:
        """Give *tenant* an incoming generation, or find that it has one.

        Committed with its wrap before anybody can use it. What became of an earlier call's key does not matter: one that
        was not committed has encrypted nothing.
        """
        seen = self.load(tenant)
        if not any(one.state is State.INCOMING for one in seen.generations):
            number = seen.generations[-1].number + 1
            self._change(partial(rows.insert_next, new=self._new_key(tenant, vault), number=number))
        return self.load(tenant)

    def switch(self, tenant: str, key_id: int) -> WrappedKeys:
        """Let writers use incoming generation *key_id*; the current one becomes previous. Both or neither."""
        return self._move(tenant, key_id, State.INCOMING, State.CURRENT)

    def retire(self, tenant: str, key_id: int) -> WrappedKeys:
        """Disable previous generation *key_id*. Its key stays for a grace; `reinstate` takes it back."""
        return self._move(tenant, key_id, State.PREVIOUS, State.RETIRED)

    def reinstate(self, tenant: str, key_id: int) -> WrappedKeys:
        """Let retired generation *key_id* be read again: something that it encrypted was overlooked."""
        return self._move(tenant, key_id, State.RETIRED, State.PREVIOUS)

    def destroy(self, tenant: str, key_id: int) -> WrappedKeys:
        """Delete the wraps of retired generation *key_id*, for ever. Backups of the keyring still have them."""
        return self._move(tenant, key_id, State.RETIRED, State.DESTROYED)

    def erase(self, tenant: str) -> int:
        """Delete every key of *tenant*, whatever its state, for ever; the epoch of that. Backups still have them."""
        self._change(partial(rows.erase, tenant=possible(tenant)))
        return self.epoch()

    def acknowledge(self, reader: UUID, epoch: int) -> None:
        """Say that this process, as *reader*, holds nothing older than *epoch*. Readers may do this."""
        values = (reader, socket.gethostname()[:255], os.getpid(), epoch)
        self._ask(lambda connection: connection.execute("SELECT keyring.acknowledge(%s, %s, %s, %s)", values))

    def leave(self, reader: UUID) -> None:
        """Say that *reader* holds nothing any more: its process ends."""
        self._ask(lambda connection: connection.execute("SELECT keyring.leave(%s)", [reader]))

    def lagging(self, epoch: int, silent_seconds: float = SILENT_SECONDS) -> tuple[rows.Reader, ...]:
        """Readers heard of in the last *silent_seconds* that may hold something older than *epoch*, longest first."""
        return self._ask(partial(rows.lagging, values={"epoch": epoch, "silent": dt.timedelta(seconds=silent_seconds)}))

    def _new_key(self, tenant: str, vault: WrappingVault) -> rows.NewKey:
        """A new master key as it will be kept. It is unwrapped once, before anything can depend on that it can be."""
        key_id = self._ask(lambda connection: rows.value(connection, "SELECT nextval('keyring.key_ids')"))
        payload = masterkey.seal(tenant, key_id, masterkey.new())
        wrap = vault.wrap(self._kek, payload)
        if not hmac.compare_digest(vault.unwrap(wrap.kek, wrap.wrapped), payload):
            raise KeyringRefused(
                f"the vault unwraps another key than {wrap.kek} has wrapped; tenant {tenant!r} gets no generation",
                hint="compare the public half of that version with what the vault signs or decrypts by it",
            )
        return rows.NewKey(tenant, key_id, wrap)

    def _move(self, tenant: str, key_id: int, origin: State, goal: State) -> WrappedKeys:
        self._change(partial(rows.move, tenant=possible(tenant), key_id=key_id, origin=origin, goal=goal))
        return self.load(tenant)

    def _change(self, work: Callable[[Connection], None]) -> None:
        def in_transaction(connection: Connection) -> None:
            with connection.transaction():
                work(connection)

        self._ask(in_transaction)

    def _ask(self, work: Callable[[Connection], T]) -> T:
        """*work*'s result; once more where a kept connection was broken. All work here may be done twice."""
        began = time.monotonic()
        try:
            return self._once(work)
        except DatabaseUnavailable:
            if time.monotonic() - began > _BROKEN_WITHIN_SECONDS:
                raise
        return self._once(work)

    def _once(self, work: Callable[[Connection], T]) -> T:
        with self._connections.one(LIMIT_SECONDS) as connection, worded(self._database), refusals():
            return work(connection)

    def _open(self) -> Connection:
        return open_connection(
            self._database,
            autocommit=True,
            statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
            tcp_user_timeout_seconds=int(LIMIT_SECONDS),
            application_name="steward-keyring",
        )
