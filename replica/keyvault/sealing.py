"""Backups: opaque to whoever holds them, whole or refused, and of use only where the same seal is.

AES-256-GCM; the object's kind and the subscription are bound in, as Azure restores within one subscription only.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from replica.keyvault.contract import decode, encode
from replica.keyvault.errors import Refusal, bad_parameter
from replica.keyvault.records import Attributes, Content, History, Kind, Version
from replica.secrets import place_once

_MAGIC = b"steward key vault backup 1\n"
_NONCE_BYTES = 12
_KEY_BYTES = 32


class Seal:
    """The key in *path* (0600), made on first use: vaults that shall restore each other's backups share the file."""

    def __init__(self, path: Path, subscription: str) -> None:
        if not path.exists():
            place_once(path, os.urandom(_KEY_BYTES))
        self._cipher, self._subscription = AESGCM(path.read_bytes()), subscription

    def close(self, history: History) -> bytes:
        """The backup of one object with all its versions."""
        nonce = os.urandom(_NONCE_BYTES)
        clear = json.dumps(_shown(history)).encode()
        return _MAGIC + nonce + self._cipher.encrypt(nonce, clear, self._context(history.kind))

    def open(self, kind: Kind, backup: bytes) -> History:
        """What `close` was given; Refusal 400 for anything else, whatever is wrong with it."""
        nonce, sealed = backup[len(_MAGIC) :][:_NONCE_BYTES], backup[len(_MAGIC) + _NONCE_BYTES :]
        if not backup.startswith(_MAGIC) or len(nonce) != _NONCE_BYTES:
            raise _unfit()
        try:
            clear = self._cipher.decrypt(nonce, sealed, self._context(kind))
        except InvalidTag:
            raise _unfit() from None
        return _history(kind, json.loads(clear))

    def _context(self, kind: Kind) -> bytes:
        return json.dumps([kind.value, self._subscription]).encode()


def _unfit() -> Refusal:
    return bad_parameter("Backup blob contains invalid or corrupt version.")


def _shown(history: History) -> dict[str, Any]:
    return {
        "name": history.name,
        "details": dict(history.details),
        "versions": [_shown_version(version) for version in history.versions],
    }


def _shown_version(version: Version) -> dict[str, Any]:
    content, attributes = version.content, version.attributes
    return {
        "version": version.version,
        "material": encode(content.material),
        "details": dict(content.details),
        "tags": None if content.tags is None else dict(content.tags),
        "attributes": [attributes.enabled, attributes.not_before, attributes.expires],
        "times": [version.created, version.updated],
    }


def _history(kind: Kind, shown: dict[str, Any]) -> History:
    versions = tuple(_version(kind, shown["name"], each) for each in shown["versions"])
    return History(kind, shown["name"], shown["details"], versions)


def _version(kind: Kind, name: str, shown: dict[str, Any]) -> Version:
    content = Content(decode(shown["material"]), shown["details"], shown["tags"], Attributes(*shown["attributes"]))
    return Version(kind, name, shown["version"], content, *shown["times"])
