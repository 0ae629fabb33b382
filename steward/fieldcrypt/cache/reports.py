"""What the cache of tenants' keys logs, and how often: an outage is one event, not one a tenant."""

from __future__ import annotations

import datetime as dt
import logging
import traceback

from steward.errors import StewardError
from steward.fieldcrypt.cache.loading import Loaded
from steward.fieldcrypt.cache.troubles import Trouble
from steward.fieldcrypt.errors import KeyringTampered
from steward.fieldcrypt.keyset import KeySet

_log = logging.getLogger("steward.fieldcrypt")
#: Between two lines of the same kind.
_PAUSE_SECONDS = 10.0
OVERDUE = dt.timedelta(days=35)
"""Older generations should have been rotated. They go on working: a late rotation must not become an outage."""


class Reports:
    """One a cache. Called without its lock: what a handler of logs does is not known."""

    def __init__(self) -> None:
        self._quiet_until: dict[int, float] = {}
        self._withheld: dict[int, int] = {}
        self._overdue: set[int] = set()

    def landed(self, landed: KeySet | Trouble, outcome: Loaded | Exception, now: float) -> None:
        """What a load led to, after what it brought or met."""
        if isinstance(outcome, Loaded):
            self._left_out(outcome, now)
        elif not isinstance(outcome, StewardError):
            self._unforeseen(outcome)
        if isinstance(landed, Trouble):
            self._failed(landed, now)
        else:
            self._loaded(landed)

    def _left_out(self, loaded: Loaded, now: float) -> None:
        if not loaded.complete:
            self._say(logging.ERROR, loaded.left_out, now)

    def _failed(self, trouble: Trouble, now: float) -> None:
        if trouble.gone:
            _log.info("tenant %r: %s", trouble.tenant, trouble.message)
        else:
            level = logging.WARNING if trouble.transient else logging.ERROR
            # Whoever moved rows of a keyring is named each time.
            self._say(level, str(trouble.error(now)), now, always=trouble.kind is KeyringTampered)

    def _say(self, level: int, text: str, now: float, *, always: bool = False) -> None:
        if always or now >= self._quiet_until.get(level, now):
            self._quiet_until[level] = now + _PAUSE_SECONDS
            withheld = self._withheld.pop(level, 0)
            _log.log(level, "%s%s", text, f"\n{withheld} more like this were not logged" if withheld else "")
        else:
            self._withheld[level] = self._withheld.get(level, 0) + 1

    def _unforeseen(self, error: Exception) -> None:
        # Where it happened, without its own text: nobody knows what that quotes.
        where = "".join(traceback.format_tb(error.__traceback__))
        _log.error("an unforeseen %s while loading keys\n%s", type(error).__name__, where)

    def _loaded(self, keys: KeySet) -> None:
        """Warns once a generation that is in use for too long."""
        current = keys.current
        if current is None or current.key_id in self._overdue or not is_overdue(keys):
            return
        self._overdue.add(current.key_id)
        age = dt.datetime.now(dt.UTC) - current.wrapped.created_at
        _log.warning(
            "tenant %r: key generation %d is %d days old, and should be rotated after %d",
            *(keys.tenant, current.wrapped.number, age.days, OVERDUE.days),
        )


def is_overdue(keys: KeySet) -> bool:
    """Whether the generation in current use should have been rotated."""
    return keys.current is not None and dt.datetime.now(dt.UTC) - keys.current.wrapped.created_at > OVERDUE
