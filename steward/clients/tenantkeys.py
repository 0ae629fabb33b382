"""An application's tenant keys: vault and keyring wired to the cache, and the keyring told how far this process is.

At a process's start: `install(open_tenant_keys(vault, keyring))`; where it has an end too, `with open_tenant_keys(…)`.
"""

from __future__ import annotations

import logging
import os
import threading
from uuid import uuid4
from weakref import WeakSet

from steward.clients.keyring import KeyringClient, open_keyring
from steward.clients.keyvault import KeyVaultClient, open_vault
from steward.errors import StewardError
from steward.fieldcrypt.cachepolicy import DEFAULT, CachePolicy
from steward.fieldcrypt.keyring import WrappedKeys
from steward.fieldcrypt.tenantkeys import TenantKeys
from steward.settings import Keyring, Vault

#: How often the epoch is asked for: one indexed row a process. A rotation waits at least so long at each of its steps.
FOLLOW_SECONDS = 5.0
#: How long the end of a process waits for a keyring that does not answer: as long as one question to it may take.
_FAREWELL_SECONDS = 5.0

_log = logging.getLogger(__name__)


def open_tenant_keys(vault: Vault, keyring: Keyring, policy: CachePolicy = DEFAULT) -> TenantKeys:
    """Tenants' keys for this process, and for what is forked from it. Its `close` closes all that was opened here.

    BadInput where a CA file is missing. Nothing else is asked here: what `TenantKeys` raises comes with the first tenant.
    """
    return _OwnKeys(open_vault(vault), open_keyring(keyring, vault), policy)


class _OwnKeys(TenantKeys):
    """Tenant keys that own the clients below them, and a thread that follows the keyring's epoch."""

    def __init__(self, vault: KeyVaultClient, keyring: KeyringClient, policy: CachePolicy) -> None:
        self._clients = (vault, keyring)
        self._following = _Following(keyring, self)
        super().__init__(_Announcing(keyring, self._following), vault, policy)
        self._following.start()

    def close(self) -> None:
        """Forget all keys, say farewell to the keyring, close the connections."""
        super().close()
        self._following.stop()
        for client in self._clients:
            client.close()


class _Announcing:
    """The keyring, which hears of this process before it gives it the first key: a rotation waits for all it knows of."""

    def __init__(self, keyring: KeyringClient, following: _Following) -> None:
        self._keyring, self._following = keyring, following

    def load(self, tenant: str) -> WrappedKeys:
        """As Keyring says."""
        self._following.announce()
        return self._keyring.load(tenant)


class _Following:
    """Tells the keyring which epoch everything in this process's memory is at least as new as."""

    def __init__(self, keyring: KeyringClient, keys: TenantKeys) -> None:
        self._keyring, self._keys = keyring, keys
        self._stopping = threading.Event()
        _all.add(self)

    def start(self) -> None:
        """As a reader of its own; in the child of a fork too, which has its parent's keys."""
        self._reader, self._announced = uuid4(), False
        self._thread = threading.Thread(target=self._run, name="steward-keyring-follower", daemon=True)
        self._thread.start()

    def announce(self) -> None:
        """Before the first key: whoever asks for readers from now on finds this one, with nothing older than this."""
        if not self._announced:
            self._keyring.acknowledge(self._reader, self._keyring.epoch())
            self._announced = True

    def stop(self) -> None:
        """Say farewell, if that is possible at once: a reader that only fell silent is waited for longer."""
        self._stopping.set()
        self._thread.join(_FAREWELL_SECONDS)
        if self._announced and not self._thread.is_alive():
            try:
                self._keyring.leave(self._reader)
            except StewardError as error:
                _log.warning("the keyring was not told that this process has no keys any more: %s", error.message)

    def begin_anew(self) -> None:
        """In the child of a fork: what the parent has acknowledged says nothing of the child."""
        if not self._stopping.is_set():
            self._stopping = threading.Event()
            self.start()

    def _run(self) -> None:
        """Until it is stopped. A keyring that cannot be told now is told later; a rotation waits for that."""
        silent = False
        while not self._stopping.is_set():
            try:
                self._follow()
                silent = False
            except StewardError as error:
                # Once an outage, not every five seconds of it.
                _log.log(
                    logging.DEBUG if silent else logging.WARNING, "the keyring cannot be followed: %s", error.message
                )
                silent = True
            self._stopping.wait(FOLLOW_SECONDS)

    def _follow(self) -> None:
        seen, epoch = self._keys.seen_epoch(), self._keyring.epoch()
        # Before the first tenant's keys there is nothing to catch up with, and everything has changed.
        changed = self._keyring.changed(seen, epoch) if seen else None
        if not self._keys.catch_up(epoch, changed):
            # Asked again in a moment. Until then it says what holds already, and that it is there.
            epoch = min(epoch, self._keys.seen_epoch())
        self._keyring.acknowledge(self._reader, epoch)
        self._announced = True


_all: WeakSet[_Following] = WeakSet()


def _begin_anew() -> None:
    for following in _all:
        following.begin_anew()


os.register_at_fork(after_in_child=_begin_anew)
