"""The vault with a journal: no call leaves that was not announced before, under the request id that the vault logs.

    with open_journaled_vault(settings, Note("rewrap tenants' keys", operation().id)) as vault:
        vault.unwrap(wrap.kek, wrap.wrapped)

A database that is away keeps calls from leaving (DatabaseUnavailable, transient). A process that is killed leaves at most
a call that is announced and never arrives. A step passes the ledger's guard as *before_write*: asked before anything but
a reading is announced.
"""

from __future__ import annotations

import datetime as dt
import time

from steward.clients.before_writing import BeforeWrite, is_write
from steward.clients.key_calls import IN_FLIGHT_SECONDS, CreationInFlight, KeyJournal
from steward.clients.keyvault_versions import KekVersion, VersionedKeys
from steward.errors import BadInput
from steward.keys.actions import action_of
from steward.keys.calls import Note
from steward.settings import Settings, Vault

_PAUSE_SECONDS = 0.5


def open_journaled_vault(settings: Settings, note: Note, *, before_write: BeforeWrite | None = None) -> JournaledVault:
    """A client of the settings' vault on behalf of *note*; close it, or use it in `with`. Nothing is asked yet.

    BadInput where the settings name no vault, or its CA file is missing.
    """
    if settings.vault is None:
        raise BadInput("the settings name no vault", hint="add [vault]; see docs/settings.md")
    return JournaledVault(settings.vault, KeyJournal(settings, note), before_write)


class JournaledVault(VersionedKeys):
    """As KeyVaultClient and VersionedKeys; every call raises what the journal's database raises too."""

    def __init__(self, vault: Vault, journal: KeyJournal, before_write: BeforeWrite | None = None) -> None:
        super().__init__(vault, announce=self._announce)
        self._journal, self._before_write = journal, before_write

    def close(self) -> None:
        """Close every connection, the journal's too."""
        super().close()
        self._journal.close()

    def new_version(self, name: str, tags: dict[str, str], *, expires_at: dt.datetime | None = None) -> KekVersion:
        """As VersionedKeys says, and once for all attempts of one operation or command, dead ones included.

        One whose call may still be at work in the vault is waited for, as long as that can last; a call that leaves the
        process only after that, thawed, can still land: the guard in *before_write* leaves a moment for that.
        """
        give_up = time.monotonic() + 3 * IN_FLIGHT_SECONDS
        while True:
            try:
                with self._journal.creating():
                    return super().new_version(name, tags, expires_at=expires_at)
            except CreationInFlight:
                if time.monotonic() > give_up:
                    raise
            time.sleep(_PAUSE_SECONDS)

    def _announce(self, method: str, url: str) -> str:
        self._ask_whether_it_may(method)
        request_id = self._journal.announce(action_of(method, url))
        # Again: a process that froze since then would be announced here after its operation's statement was recorded, and
        # what is sent would be in none. Frozen after this, it is in the journal before its successor begins.
        self._ask_whether_it_may(method)
        return request_id

    def _ask_whether_it_may(self, method: str) -> None:
        if self._before_write and is_write(method):
            self._before_write()
