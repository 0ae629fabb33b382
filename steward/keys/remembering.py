"""A vault that is asked once for what it has said before: a rotation needs each key in several of its steps.

What is remembered are tenants' master keys, in this process's memory, until `forget`. Nothing of it is shown, stored,
copied or sent; a rotator that is to re-encrypt every row needs all of them anyway.
"""

from __future__ import annotations

import hashlib
import threading
from typing import Any, NoReturn, Protocol

from steward.fieldcrypt.keyring import Wrap


class AskedVault(Protocol):
    """What is asked of the vault itself."""

    def wrap_under(self, key: Any, payload: bytes) -> Wrap:
        """*payload* under that version."""
        ...

    def unwrap(self, kek: str, wrapped: bytes) -> bytes:
        """What *wrapped* holds."""
        ...


class RememberingVault:
    """Satisfies what keyring clients and key loads ask of a vault; wraps under the one version that it is given."""

    __slots__ = ("_kek", "_known", "_lock", "_vault")

    def __init__(self, vault: AskedVault) -> None:
        self._vault, self._kek = vault, None
        self._known: dict[bytes, bytes] = {}
        self._lock = threading.Lock()

    def wrap_by(self, kek: Any) -> None:
        """Wrap under *kek* from now on: the public half of one version of the vault's key."""
        self._kek = kek

    def wrap(self, name: str, payload: bytes) -> Wrap:  # noqa: ARG002  it was chosen by `wrap_by`
        """*payload* under that version, which was chosen once for all tenants."""
        return self._vault.wrap_under(self._kek, payload)

    def unwrap(self, kek: str, wrapped: bytes) -> bytes:
        """What *wrapped* holds, by the vault's word of now or of before."""
        place = hashlib.sha256(kek.encode() + b"\x00" + wrapped).digest()
        with self._lock:
            known = self._known.get(place)
        return known if known is not None else self._learnt(place, self._vault.unwrap(kek, wrapped))

    def unwrap_anew(self, kek: str, wrapped: bytes) -> bytes:
        """What *wrapped* holds by the vault's word of now."""
        return self._vault.unwrap(kek, wrapped)

    def rewrap(self, wrap: Wrap) -> Wrap:
        """The same content under the version that is wrapped by now."""
        payload = self.unwrap(wrap.kek, wrap.wrapped)
        anew = self.wrap("", payload)
        self._learnt(hashlib.sha256(anew.kek.encode() + b"\x00" + anew.wrapped).digest(), payload)
        return anew

    def forget(self) -> None:
        """Drop all that is remembered."""
        with self._lock:
            self._known.clear()

    def _learnt(self, place: bytes, payload: bytes) -> bytes:
        with self._lock:
            self._known[place] = payload
        return payload

    def __repr__(self) -> str:
        return "<RememberingVault>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a RememberingVault holds keys and is not pickled or copied")
