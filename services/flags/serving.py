"""What of the store can be served: every flag that is valid, and of one that is not, what it was when it last was."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass

from steward.clients.flag_store import Store, StoredFlag
from steward.errors import BadInput
from steward.flags.documents import document
from steward.flags.model import Flag
from steward.flags.validation import validated

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Served:
    """One document, as all SDKs get it."""

    revision: int
    store: Store
    configuration: str
    """The document's text."""
    refused: dict[str, str]
    """By flag, why its newest version is not the one that is served."""
    at: float
    """When it was made, Unix seconds."""


class Assembly:
    """Makes documents. A flag is looked at once a version: what a renewal changes needs no look.

    The store admits valid flags alone. This is for rows of another origin: a hand's, or a newer Steward's.
    """

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}
        self._good: dict[str, Flag] = {}
        self._refused: dict[str, str] = {}

    def make(self, store: Store) -> Served:
        """Of *store*, whatever is in it."""
        flags = [flag for each in store.flags if (flag := self._served(each))]
        for each in store.unreadable:
            self._refuse(each.key, each.version, each.reason)
            flags += self._as_it_was(each.key, is_killed=each.is_killed)
        made = {**document(flags), "metadata": {"revision": store.revision}}
        return Served(store.revision, store, json.dumps(made), dict(self._refused), time.time())

    def _served(self, stored: StoredFlag) -> Flag | None:
        key = stored.flag.key
        if self._seen.get(key) != stored.version:
            self._look_at(stored)
        if key not in self._refused:
            self._good[key] = stored.flag
            return stored.flag
        return next(iter(self._as_it_was(key, is_killed=stored.flag.killed)), None)

    def _look_at(self, stored: StoredFlag) -> None:
        try:
            validated((stored.flag,))
        except BadInput as error:
            self._refuse(stored.flag.key, stored.version, error.message)
            return
        self._refused.pop(stored.flag.key, None)
        self._seen[stored.flag.key] = stored.version

    def _refuse(self, key: str, version: int, reason: str) -> None:
        if self._seen.get(key) != version:
            _log.error("flag %s is served as it was: its version %s is refused: %s", key, version, reason)
        self._seen[key] = version
        self._refused[key] = reason

    def _as_it_was(self, key: str, *, is_killed: bool) -> Iterable[Flag]:
        """Nothing where it never was valid: applications go by their own default. A kill counts whatever else is wrong."""
        if good := self._good.get(key):
            yield good.changed(killed=True) if is_killed else good
