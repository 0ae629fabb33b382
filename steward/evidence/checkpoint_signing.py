"""Checkpoints are signed in the vault, by a version of the key whose public half auditors have been given."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Protocol

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from steward.evidence.checkpoints import Checkpoint, open_checkpoint
from steward.evidence.errors import UnusableKey
from steward.evidence.notes import NoteKey, NoteSignature, load_note_keys, note_key, write_note
from steward.evidence.rows import KeptCheckpoint
from steward.settings import Settings

if TYPE_CHECKING:
    from steward.clients.keyvault import KeyVaultClient
    from steward.clients.keyvault_keys import VaultKey

_HALF = 32


class _Vault(Protocol):
    def key(self, name: str, version: str = "") -> VaultKey: ...


def published_keys(settings: Settings) -> list[NoteKey]:
    """Every key that checkpoints of this log may be signed with; none where they are not signed at all."""
    path = settings.evidence.checkpoint_public_keys
    return load_note_keys(path) if path else []


def sign_checkpoint(settings: Settings, checkpoint: Checkpoint, *, last_kid: str | None) -> KeptCheckpoint:
    """*checkpoint* as a signed note. Raises what the vault raises, transient where it is away; UnusableKey.

    *last_kid* signed before: it goes on until the public half of a newer version is published.
    """
    keys, name = published_keys(settings), settings.evidence.checkpoint_key or ""
    with _open(settings) as vault:
        chosen = _published_version(vault, name, keys, last_kid)
        signature = vault.sign(chosen.kid, "ES256", hashlib.sha256(checkpoint.text.encode()).digest())
    signed = NoteSignature(checkpoint.origin, note_key(chosen.public).key_id, _der(signature.value))
    note = write_note(checkpoint.text, [signed])
    # What auditors could not verify is not kept.
    open_checkpoint(note, keys, origin=checkpoint.origin)
    return KeptCheckpoint(checkpoint.size, note, chosen.kid)


def newest_version(settings: Settings) -> VaultKey:
    """The newest version of the key that signs checkpoints, as the vault has it."""
    with _open(settings) as vault:
        return vault.key(settings.evidence.checkpoint_key or "")


def _open(settings: Settings) -> KeyVaultClient:
    # The one place where evidence opens the vault; here, because without one Azure's libraries need not be installed.
    from steward.clients.keyvault_journal import open_journaled_vault  # noqa: PLC0415 # the reason stands above
    from steward.keys.calls import CHECKPOINT, Note  # noqa: PLC0415 # as above

    if settings.vault is None:
        raise UnusableKey("checkpoints are signed in the vault, and there is none", hint="add [vault] to the settings")
    return open_journaled_vault(settings, Note(CHECKPOINT))


def _published_version(vault: _Vault, name: str, keys: list[NoteKey], last_kid: str | None) -> VaultKey:
    newest = vault.key(name)
    if note_key(newest.public) in keys:
        return newest
    earlier = vault.key(name, last_kid.rsplit("/", 1)[-1]) if last_kid and f"/keys/{name}/" in last_kid else None
    if earlier and note_key(earlier.public) in keys:
        return earlier
    raise UnusableKey(
        f"the public half of {newest.kid} is {note_key(newest.public).fingerprint}, which is not among the published ones",
        hint="see python -m steward.evidence keys; append it to the file that evidence.checkpoint_public_keys names",
    )


def _der(signature: bytes) -> bytes:
    """What a vault gives, r ‖ s, in the form that notes have."""
    return encode_dss_signature(int.from_bytes(signature[:_HALF], "big"), int.from_bytes(signature[_HALF:], "big"))
