"""Tenants' keys whose bytes are known, and fixed: for tests of what is made with them."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable

from steward.fieldcrypt.errors import TenantUnknown
from steward.fieldcrypt.keyring import State, WrappedGeneration
from steward.fieldcrypt.keyset import Generation, KeySet

BORN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
READABLE = {State.INCOMING, State.CURRENT, State.PREVIOUS}


def master_key(key_id: int) -> bytes:
    return hashlib.sha256(b"a master key for tests, %d" % key_id).digest()


def generation(tenant: str, key_id: int, state: State = State.CURRENT, master: bytes | None = None) -> Generation:
    wrapped = WrappedGeneration(key_id, 1, state, BORN, ())
    return Generation(tenant, wrapped, bytearray(master_key(key_id) if master is None else master))


def key_set(tenant: str, states: dict[int, State]) -> KeySet:
    """The generations of *tenant* by key id, in these states."""
    reading = {key_id: generation(tenant, key_id, state) for key_id, state in states.items() if state in READABLE}
    current = [reading[key_id] for key_id, state in states.items() if state is State.CURRENT]
    closed = {key_id: state for key_id, state in states.items() if state not in READABLE}
    return KeySet(tenant, len(states), reading, closed, current[0] if current else None)


class KnownKeys:
    """Satisfies steward.fieldcrypt.keyset.Keys; remembers what it was asked to seek."""

    def __init__(self, *sets: KeySet, after_seek: Iterable[KeySet] = ()) -> None:
        self.sets = {keys.tenant: keys for keys in sets}
        self.after_seek = {keys.tenant: keys for keys in after_seek}
        self.sought_ids: list[tuple[str, int]] = []

    def of(self, tenant: str) -> KeySet:
        try:
            return self.sets[tenant]
        except KeyError:
            raise TenantUnknown(f"no tenant {tenant!r}", hint="enrol it") from None

    def seek(self, tenant: str, key_id: int) -> KeySet:
        self.sought_ids.append((tenant, key_id))
        self.sets.update(self.after_seek)
        return self.of(tenant)

    async def ready(self, tenant: str) -> KeySet:
        return self.of(tenant)

    async def sought(self, tenant: str, key_id: int) -> KeySet:
        return self.seek(tenant, key_id)


def one_current(tenant: str = "acme", key_id: int = 7) -> KnownKeys:
    return KnownKeys(key_set(tenant, {key_id: State.CURRENT}))
