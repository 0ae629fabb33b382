"""Who may use the API: by tokens whose secrets lie where the settings say, read again so that a new one needs no restart."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Iterable
from dataclasses import dataclass

from services.problems import Refused
from steward.clients.secrets import read_secret
from steward.errors import StewardError
from steward.settings import Flags, Vault

_REFRESH_SECONDS = 30.0
#: Until each was read once.
_RETRY_SECONDS = 2.0
_READER, _WRITER = "reader", "writer"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request it is, as the history will name them."""

    name: str
    role: str

    @property
    def may_write(self) -> bool:
        """Whether it changes flags."""
        return self.role == _WRITER


class Tokens:
    """By their hashes. One that cannot be read stays what it was: a vault that is away shuts nobody out."""

    def __init__(self, flags: Flags, vault: Vault | None) -> None:
        self._flags, self._vault = flags, vault
        self._hashes: dict[str, bytes] = {}
        self._told: dict[str, str] = {}

    async def keep_fresh(self) -> None:
        """For ever."""
        while True:
            await asyncio.to_thread(self.read)
            await asyncio.sleep(_REFRESH_SECONDS if len(self._hashes) == len(self._flags.tokens) else _RETRY_SECONDS)

    def read(self) -> None:
        """All that can be."""
        for name, token in self._flags.tokens.items():
            try:
                self._hashes[name] = _digest(read_secret(token.token, self._vault))
            except StewardError as error:
                if self._told.get(name) != error.message:
                    _log.warning("the token of %s could not be read: %s", name, error.message)
                self._told[name] = error.message
            else:
                self._told.pop(name, None)

    def find(self, authorization: str) -> Caller:
        """Raises Refused 401, and 503 where this one may be among those not read yet. How long it takes tells nothing."""
        scheme, _, presented = authorization.partition(" ")
        digest = _digest(presented.strip())
        found = [name for name, known in self._hashes.items() if hmac.compare_digest(known, digest)]
        if not found and len(self._hashes) < len(self._flags.tokens):
            raise Refused(503, "not every token could be read yet", headers={"Retry-After": "1"})
        if scheme.lower() != "bearer" or not found:
            raise Refused(401, "this needs a token of [flags.tokens]", headers={"WWW-Authenticate": "Bearer"})
        return Caller(found[0], self._flags.tokens[found[0]].role)

    def called(self, name: str) -> Caller | None:
        """Whoever has a token by that *name*; None: nobody any more."""
        token = self._flags.tokens.get(name)
        return Caller(name, token.role) if token else None

    def key_of(self, name: str) -> bytes | None:
        """What a session of *name* is sealed with: of no use any more once the token is another. None: it is not known."""
        return self._hashes.get(name)

    def demand_writer(self, caller: Caller) -> None:
        """Raises Refused 403."""
        if not caller.may_write:
            writers = ", ".join(_names(self._flags, _WRITER)) or "nobody"
            raise Refused(403, f"{caller.name} may read; {writers} may change flags")


def _digest(token: str) -> bytes:
    """What is kept of a token. Tokens are random and long: nothing is gained by guessing."""
    return hashlib.sha256(token.encode()).digest()


def _names(flags: Flags, role: str) -> Iterable[str]:
    return sorted(name for name, token in flags.tokens.items() if token.role == role)
