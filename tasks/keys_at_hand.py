"""Vault and keyring while keys are rotated, opened once a process: each key is unwrapped once, whatever steps need it."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from steward.clients.key_sweeps import KeySweeps
from steward.clients.keyring_rotation import RotatingKeyring, open_rotating_keyring
from steward.clients.keyvault_journal import JournaledVault, open_journaled_vault
from steward.clients.postgres import Database, application_database, connect
from steward.errors import BadInput
from steward.fieldcrypt.cache.loading import Witness, load
from steward.fieldcrypt.keyring import WrappedKeys
from steward.fieldcrypt.keyset import KeySet
from steward.keys.calls import Note
from steward.keys.remembering import RememberingVault
from steward.operations.holding import guard
from steward.settings import Settings
from steward.settings import load as load_settings
from tasks.durable import operation


@dataclass(frozen=True, slots=True, repr=False)
class KeysAtHand:
    """What steps on keys share. Never an argument or a result of a step: Prefect would store it."""

    settings: Settings
    vault: JournaledVault
    keyring: RotatingKeyring
    remembering: RememberingVault

    @property
    def kek(self) -> str:
        """The name of the vault's key that wraps tenants' keys."""
        assert self.settings.keyring is not None  # noqa: S101  there is none of these without one
        return self.settings.keyring.kek

    def wrap_under(self, version: str) -> None:
        """From now on by the version of the key that *version* identifies in full."""
        self.remembering.wrap_by(self.vault.key(self.kek, version.rsplit("/", 1)[-1]))

    def key_sets(self, tenants: Sequence[str]) -> dict[str, KeySet]:
        """The keys of each of *tenants* that has some, as the keyring has them now."""
        asked = Witness(self.remembering, math.inf, time.monotonic)
        kept = self.keyring.load_many(tenants)
        return {each.tenant: load(_Kept(each), asked, each.tenant, None).keys for each in kept}


@contextmanager
def keys_at_hand() -> Generator[KeysAtHand]:
    """For the block. What was unwrapped is forgotten at its end. BadInput where the settings lack keyring or vault."""
    settings = load_settings()
    if settings.keyring is None or settings.vault is None:
        raise BadInput(
            "the settings name no keyring, or no vault", hint="add [keyring] and [vault]; see docs/keyring.md"
        )
    held = operation()
    note = Note(f"{held.name} of {held.subject}"[:200], operation_id=held.id)
    with (
        open_journaled_vault(settings, note, before_write=guard) as vault,
        open_rotating_keyring(settings.keyring, settings.vault) as keyring,
    ):
        remembering = RememberingVault(vault)
        token = _at_hand.set(KeysAtHand(settings, vault, keyring, remembering))
        try:
            yield _at_hand.get()
        finally:
            _at_hand.reset(token)
            remembering.forget()


def at_hand() -> KeysAtHand:
    """Those of the block around. LookupError outside of one: a flow's fault."""
    return _at_hand.get()


@contextmanager
def key_sweeps(application: str) -> Generator[KeySweeps]:
    """What is recorded of this operation's work on *application*, on a connection for the block."""
    with connect(at_hand().settings) as connection:
        yield KeySweeps(connection, operation().keys, application)


def key_database(application: str) -> Database:
    return application_database(at_hand().settings, application)


class _Kept:
    """A keyring that has been asked."""

    def __init__(self, kept: WrappedKeys) -> None:
        self._kept = kept

    def load(self, tenant: str) -> WrappedKeys:  # noqa: ARG002  it is the one
        return self._kept


_at_hand: ContextVar[KeysAtHand] = ContextVar("keys_at_hand")
