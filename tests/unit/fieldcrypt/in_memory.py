"""A keyring and a vault in this process: small, and real where it counts.

Keys are wrapped by RSA-OAEP-256 under 2048-bit keys that are made once a test run. Before each stands a door, which
counts who comes, holds them while it is shut, and sends them away with an error of the test's choice.
"""

import datetime as dt
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from steward.errors import StewardError, Unavailable
from steward.fieldcrypt import masterkey
from steward.fieldcrypt.errors import TenantErased, TenantUnknown
from steward.fieldcrypt.keyring import State, Wrap, WrappedGeneration, WrappedKeys

_OAEP = padding.OAEP(padding.MGF1(SHA256()), SHA256(), label=None)
_PATIENCE_SECONDS = 30.0


class VaultAway(Unavailable):
    """Waiting may cure it."""


class VaultThrottles(Unavailable):
    """Waiting as long as it says cures it."""

    retry_after_seconds = 7.0


class VaultForbids(StewardError):
    """A definite refusal."""


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def until(holds: Callable[[], bool]) -> None:
    """Wait for what other threads are about to do."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.0005)


class Door:
    """Stands before a server. Shut, it holds everybody who comes; with a `failure`, it sends them away with it."""

    def __init__(self) -> None:
        self.failure: type[StewardError] | None = None
        self.calls = 0
        self._shut = False
        self._changed = threading.Condition()

    def enter(self) -> None:
        with self._changed:
            self.calls += 1
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: not self._shut, _PATIENCE_SECONDS), "a door stayed shut"
            if self.failure is not None:
                raise self.failure("sent away at the door", hint="the test opens it again")

    @contextmanager
    def shut(self) -> Generator[None]:
        """Whoever comes in this block waits until its end."""
        self._set(shut=True)
        try:
            yield
        finally:
            self._set(shut=False)

    @contextmanager
    def failing(self, failure: type[StewardError]) -> Generator[None]:
        """Whoever comes in this block is sent away with *failure*."""
        self.failure = failure
        try:
            yield
        finally:
            self.failure = None

    def wait_for(self, calls: int) -> None:
        """Until *calls* have come in all."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.calls >= calls, _PATIENCE_SECONDS), f"{self.calls} came"

    def _set(self, *, shut: bool) -> None:
        with self._changed:
            self._shut = shut
            self._changed.notify_all()


@cache
def _rsa(version: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


class InMemoryVault:
    """One key, `tenants`, in as many versions as the test makes; each can be disabled."""

    def __init__(self) -> None:
        self.door = Door()
        self.unwrapped: Counter[str] = Counter()
        """How often each version was asked for."""
        self.disabled: set[str] = set()
        self._versions = 1

    @property
    def newest(self) -> str:
        return f"https://vault.test/keys/tenants/{self._versions}"

    def rotate(self) -> str:
        self._versions += 1
        return self.newest

    def wrap(self, payload: bytes) -> Wrap:
        return Wrap(self.newest, _rsa(self._versions).public_key().encrypt(payload, _OAEP))

    def unwrap(self, kek: str, wrapped: bytes) -> bytes:
        self.door.enter()
        self.unwrapped[kek] += 1
        if kek in self.disabled:
            raise VaultForbids(f"{kek} is disabled", hint="enable it")
        return _rsa(int(kek.rpartition("/")[2])).decrypt(wrapped, _OAEP)


@dataclass
class _Row:
    generation: WrappedGeneration
    sealed: bytes


class InMemoryKeyring:
    """Tenants' generations and the epoch, which every change moves."""

    def __init__(self, vault: InMemoryVault) -> None:
        self.vault, self.door, self.epoch = vault, Door(), 0
        self.loaded: Counter[str] = Counter()
        """How often each tenant was asked for."""
        self.lagging: dict[str, WrappedKeys] = {}
        """What a replica database that lags answers instead."""
        self._tenants: dict[str, dict[int, _Row]] = {}
        self._changes: dict[str, int] = {}
        self._erased: set[str] = set()
        self._key_ids = 0
        self._lock = threading.Lock()

    def enrol(self, *tenants: str) -> None:
        """Give each a first generation, in current use."""
        for tenant in tenants:
            if tenant not in self._tenants:
                self.switch(tenant, self.add_generation(tenant))

    def add_generation(self, tenant: str, created_at: dt.datetime | None = None) -> int:
        """A new generation, incoming. Returns its key id."""
        with self._change(tenant):
            self._key_ids += 1
            sealed = masterkey.seal(tenant, self._key_ids, masterkey.new())
            rows = self._tenants.setdefault(tenant, {})
            made = WrappedGeneration(
                self._key_ids,
                len(rows) + 1,
                State.INCOMING,
                created_at or dt.datetime.now(dt.UTC),
                (self.vault.wrap(sealed),),
            )
            rows[self._key_ids] = _Row(made, sealed)
            return self._key_ids

    def switch(self, tenant: str, key_id: int) -> None:
        """Incoming to current, and what was current to previous."""
        with self._change(tenant):
            for row in self._tenants[tenant].values():
                if row.generation.state is State.CURRENT:
                    row.generation = replace(row.generation, state=State.PREVIOUS)
            self._set(tenant, key_id, state=State.CURRENT)

    def retire(self, tenant: str, key_id: int) -> None:
        with self._change(tenant):
            self._set(tenant, key_id, state=State.RETIRED)

    def destroy(self, tenant: str, key_id: int) -> None:
        with self._change(tenant):
            self._set(tenant, key_id, state=State.DESTROYED, wraps=())

    def set_state(self, tenant: str, key_id: int, state: State) -> None:
        """Any state: what no keyring would do."""
        with self._change(tenant):
            self._set(tenant, key_id, state=state)

    def rewrap(self, tenant: str, *, keep_old: bool = True) -> None:
        """Wrap every generation under the newest version of the vault's key, beside the old wrap or instead of it."""
        with self._change(tenant):
            for key_id, row in self._tenants[tenant].items():
                kept = row.generation.wraps if keep_old else ()
                self._set(tenant, key_id, wraps=(self.vault.wrap(row.sealed), *kept))

    def move_wraps(self, source: str, target: str) -> None:
        """Put the wraps of *source*'s generations into those of *target*: what somebody with write access might do."""
        with self._change(target):
            wraps = [row.generation.wraps for row in self._tenants[source].values()]
            for key_id, moved in zip(list(self._tenants[target]), wraps, strict=True):
                self._set(target, key_id, wraps=moved)

    def erase(self, tenant: str) -> None:
        with self._change(tenant):
            self._erased.add(tenant)

    def current(self, tenant: str) -> int:
        """The key id that writers use."""
        rows = self._tenants[tenant].values()
        return next(row.generation.key_id for row in rows if row.generation.state is State.CURRENT)

    def load(self, tenant: str) -> WrappedKeys:
        self.door.enter()
        with self._lock:
            self.loaded[tenant] += 1
            if tenant in self._erased:
                raise TenantErased(f"tenant {tenant!r} was erased")
            if tenant not in self._tenants:
                raise TenantUnknown(f"the keyring has no tenant {tenant!r}", hint="enrol it")
            generations = tuple(row.generation for row in self._tenants[tenant].values())
            return self.lagging.get(tenant, WrappedKeys(tenant, self.epoch, generations))

    def changed(self, since: int) -> dict[str, int]:
        """Tenants that changed after epoch *since*, each with the epoch of its latest change."""
        with self._lock:
            return {tenant: epoch for tenant, epoch in self._changes.items() if epoch > since}

    @contextmanager
    def _change(self, tenant: str) -> Generator[None]:
        with self._lock:
            yield
            self.epoch += 1
            self._changes[tenant] = self.epoch

    def _set(self, tenant: str, key_id: int, **changes: object) -> None:
        row = self._tenants[tenant][key_id]
        row.generation = replace(row.generation, **changes)
