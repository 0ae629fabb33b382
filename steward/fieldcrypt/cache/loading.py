"""One load of a tenant's keys: what the keyring keeps, unwrapped by the vault.

Generations whose wraps are the same as before are taken from memory. Only the one in current use is asked for again,
so that a revoked right to unwrap is noticed, and only where nothing else has just shown it: that right is to a version of
the vault's key, and all tenants share a few. A key that came out the same keeps its `Generation`, and with it the field
keys that were derived from it.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from steward.errors import StewardError, is_transient
from steward.fieldcrypt.errors import KeyringTampered
from steward.fieldcrypt.keyring import Keyring, KeyVault, State, WrappedGeneration, WrappedKeys
from steward.fieldcrypt.keyset import Generation, KeySet
from steward.fieldcrypt.masterkey import open_sealed

_READABLE = (State.INCOMING, State.CURRENT, State.PREVIOUS)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A tenant's keys, and why an incoming generation is not among them."""

    keys: KeySet
    left_out: str = ""

    @property
    def complete(self) -> bool:
        """They are all that the keyring has for readers; else this process is not ready for what is incoming."""
        return not self.left_out


class Witness:
    """The vault, and which versions of its key it has just unwrapped with."""

    def __init__(self, vault: KeyVault, vouch_seconds: float, clock: Callable[[], float]) -> None:
        self._vault, self._vouch_seconds, self._clock = vault, vouch_seconds, clock
        self._unwrapped_at: dict[str, float] = {}

    def unwrap(self, kek: str, wrapped: bytes) -> bytes:
        """As KeyVault.unwrap."""
        # From when it was asked: what it says was true then.
        asked_at = self._clock()
        try:
            master_key = self._vault.unwrap(kek, wrapped)
        except Exception as error:
            if not is_transient(error):
                self._unwrapped_at.pop(kek, None)
            raise
        self._unwrapped_at[kek] = asked_at
        return master_key

    def must_be_asked(self, wrapped: WrappedGeneration) -> bool:
        """Whether its newest version of the vault's key has unwrapped nothing in the last `vouch_seconds`, or refused since."""
        at = self._unwrapped_at.get(wrapped.wraps[0].kek)
        return at is None or self._clock() - at >= self._vouch_seconds


def load(keyring: Keyring, vault: Witness, tenant: str, known: KeySet | None) -> Loaded:
    """Raises what keyring and vault raise, and KeyringTampered.

    A current or previous generation that does not open fails the whole load: serving without it would call its
    ciphertexts foreign. An incoming one is left out, for nothing is written under it yet, and a rotation that went
    wrong must not stop those who use the old keys.
    """
    kept = keyring.load(tenant)
    probed = _probed(kept)
    reading: dict[int, Generation] = {}
    left_out = ""
    for wrapped in kept.generations:
        if wrapped.state not in _READABLE:
            continue
        try:
            reading[wrapped.key_id] = _generation(vault, tenant, wrapped, known, ask=wrapped is probed)
        except StewardError as error:
            if is_transient(error) or wrapped.state is not State.INCOMING:
                raise
            left_out = f"incoming generation {wrapped.number} of tenant {tenant!r} does not open: {error}"
    return Loaded(_key_set(kept, reading), left_out)


def _key_set(kept: WrappedKeys, reading: dict[int, Generation]) -> KeySet:
    closed = {wrapped.key_id: wrapped.state for wrapped in kept.generations if wrapped.state not in _READABLE}
    current = next((reading[each.key_id] for each in kept.generations if each.state is State.CURRENT), None)
    return KeySet(kept.tenant, kept.epoch, reading, closed, current)


def _probed(kept: WrappedKeys) -> WrappedGeneration | None:
    """The generation by which the vault's word is had anew: the current one, or else the newest previous."""
    opened = [wrapped for wrapped in kept.generations if wrapped.state in {State.CURRENT, State.PREVIOUS}]
    return max(opened, key=lambda wrapped: (wrapped.state is State.CURRENT, wrapped.key_id), default=None)


def _generation(
    vault: Witness, tenant: str, wrapped: WrappedGeneration, known: KeySet | None, *, ask: bool
) -> Generation:
    before = known.reading.get(wrapped.key_id) if known else None
    if before is not None and before.wrapped.wraps == wrapped.wraps and not (ask and vault.must_be_asked(wrapped)):
        return _kept(before, wrapped)
    master_key = open_sealed(tenant, wrapped.key_id, _unwrapped(vault, tenant, wrapped))
    if before is not None and hmac.compare_digest(before.key, master_key):
        master_key[:] = bytes(len(master_key))
        return _kept(before, wrapped)
    return Generation(tenant, wrapped, master_key)


def _kept(before: Generation, wrapped: WrappedGeneration) -> Generation:
    # Its state and wraps are for those who look at it; the key is what it was.
    before.wrapped = wrapped
    return before


def _unwrapped(vault: Witness, tenant: str, wrapped: WrappedGeneration) -> bytes:
    """By the newest wrap that the vault does not refuse; while the vault's key is rotated there are two."""
    refusal: Exception | None = None
    for wrap in wrapped.wraps:
        try:
            return vault.unwrap(wrap.kek, wrap.wrapped)
        except Exception as error:
            if is_transient(error):
                raise
            refusal = refusal or error
    if refusal is None:
        raise KeyringTampered(
            f"generation {wrapped.number} of tenant {tenant!r} is {wrapped.state}, and has no wrapped key",
            hint="only a destroyed generation has none: restore the keyring from its backup",
        )
    raise refusal
