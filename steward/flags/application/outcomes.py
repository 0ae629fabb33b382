"""Users' first exposure, first error, first slow request and first of whatever else an application counts, in each step of a
rollout: noted now, written by another thread.

What is noted is exact: once a user, flag, step and kind in this process, and once over all processes by the database. A
request only ever touches a dictionary; whatever the database does, no request waits for it or fails by it.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

from steward.flags.application.exposures import Exposure, Kind, Outcome, Step, current_request, exposure, pseudonym
from steward.flags.application.kinds import UnknownKind, kinds_with

#: Outcomes that wait while the database is away: 25 MB, and what 100 new users a second make in five minutes.
ROOM = 50_000
#: A step's users known to this process, 15 MB. More are forgotten all together and written anew: the database knows them.
_USERS_KNOWN = 100_000
#: A request that began in the step before may still end.
_STEPS_OF_A_FLAG = 2
_STEPS = 64

_log = logging.getLogger("steward.flags")


class _Known:
    """Users of one step: to each the variant that was first, and the kinds that were noted.

    In one small number a user, which Python shares among all of them while kinds are few, and which its collector has no need
    to look at.
    """

    __slots__ = ("is_slowness_asked", "users", "variants")

    def __init__(self) -> None:
        self.users: dict[bytes, int] = {}
        self.variants: list[str] = []
        self.is_slowness_asked = False

    def place(self, variant: str) -> int:
        """Of *variant* among those of the step."""
        if variant not in self.variants:
            self.variants.append(variant)
        return self.variants.index(variant)


class Outcomes:
    """Of one process. Any thread may note; one takes and settles (steward/flags/application/writer.py).

    *salt* keeps whoever reads the outcomes from finding a user by trying keys; every process must have the same one. *kinds*:
    what `met` is called with, named once, so that whoever nobody met is known to be zero. Raises UnusableKinds. *strict*:
    whether `met` raises for another; None: in Python's development mode (`python -X dev`).
    """

    def __init__(
        self,
        salt: bytes,
        kinds: Iterable[str] = (),
        *,
        strict: bool | None = None,
        room: int = ROOM,
        users_known: int = _USERS_KNOWN,
    ) -> None:
        self._kinds = kinds_with(kinds)
        # One bit a kind; what is above them is the variant's place.
        self._bits, self._shift = {kind: 1 << place for place, kind in enumerate(self._kinds)}, len(self._kinds)
        self._strict = sys.flags.dev_mode if strict is None else strict
        self._told_unknown = False
        self._salt, self._room, self._users_known = salt, room, users_known
        self._lock = threading.Lock()
        self._known: OrderedDict[Step, _Known] = OrderedDict()
        self._waiting: list[Outcome] = []
        self._taken = 0
        self._dropped = 0
        self._broken = 0

    def exposed(self, flag: str, variant: str, metadata: Mapping[str, Any], targeting_key: str) -> Exposure | None:
        """A user got *variant*; None where the flag is in no rollout."""
        seen = exposure(flag, variant, metadata, pseudonym(self._salt, flag, targeting_key))
        if seen is not None:
            self._note_exposure(seen)
        return seen

    def ended(self, exposures: Iterable[Exposure], *, failed: bool, seconds: float) -> None:
        """The request in which users were so exposed is over."""
        for seen in exposures:
            slow = seen.slow_ms is not None and seconds * 1000 > seen.slow_ms
            for kind in ((Kind.ERROR,) if failed else ()) + ((Kind.SLOW,) if slow else ()):
                self._note(seen, kind)

    def met(self, kind: str, exposures: Iterable[Exposure] | None = None) -> None:
        """The user did or met *kind*: for each flag that the request has evaluated so far, or as *exposures* has it.

        Harmless where there is no rollout, and repeated. Raises UnknownKind, or whatever else, where *strict* alone.
        """
        try:
            self._require_named(kind)
            request = current_request.get()
            for seen in (request.exposures if request else ()) if exposures is None else exposures:
                self._note(seen, kind)
        except Exception as error:
            if self._strict:
                raise
            self.broke()
            self._tell(error)

    def _require_named(self, kind: str) -> None:
        if kind not in self._bits:
            raise UnknownKind(kind, self._kinds)

    def _tell(self, error: Exception) -> None:
        """Of an unknown kind once, not at every request."""
        if not isinstance(error, UnknownKind):
            _log.warning("what a user met was not noted: %s", type(error).__name__)
        elif not self._told_unknown:
            self._told_unknown = True
            _log.error("%s", error)

    def _note_exposure(self, seen: Exposure) -> None:
        with self._lock:
            known = self._in_step(seen)
            if seen.user in known.users:
                return
            if len(known.users) >= self._users_known:
                known.users = {}
            if self._wait(Outcome(seen.at, Kind.EXPOSED, seen.user, seen.variant)):
                known.users[seen.user] = known.place(seen.variant) << self._shift | self._bits[Kind.EXPOSED]

    def _in_step(self, seen: Exposure) -> _Known:
        if (known := self._known.get(seen.at)) is None:
            known = self._known[seen.at] = _Known()
            self._forget_old_steps(seen.at.flag)
        known.is_slowness_asked |= seen.slow_ms is not None
        return known

    def _forget_old_steps(self, flag: str) -> None:
        of_flag = [step for step in self._known if step.flag == flag]
        for step in (*of_flag[:-_STEPS_OF_A_FLAG], *list(self._known)[:-_STEPS]):
            self._known.pop(step, None)

    def _note(self, seen: Exposure, kind: str) -> None:
        with self._lock:
            known = self._known.get(seen.at)
            user = known.users.get(seen.user) if known else None
            if known is None or user is None:
                # The exposure was dropped, or its step is long over: nobody errs who was not exposed.
                self._dropped += 1
            elif not user & self._bits[kind] and self._wait(
                Outcome(seen.at, kind, seen.user, known.variants[user >> self._shift])
            ):
                known.users[seen.user] = user | self._bits[kind]

    def _wait(self, outcome: Outcome) -> bool:
        """Whether there was room. What was dropped may be noted again when the user comes again."""
        if len(self._waiting) + self._taken >= self._room:
            self._dropped += 1
            return False
        self._waiting.append(outcome)
        return True

    def take(self, most: int) -> list[Outcome]:
        """The oldest *most* that wait. They hold their room until they are settled."""
        with self._lock:
            taken, self._waiting = self._waiting[:most], self._waiting[most:]
            self._taken += len(taken)
            return taken

    def settle(self, count: int) -> None:
        """As many of those that were taken are written."""
        with self._lock:
            self._taken -= count

    def drop(self, count: int) -> None:
        """As many of those that were taken can never be written."""
        with self._lock:
            self._taken -= count
            self._dropped += count

    def broke(self) -> None:
        """The library itself failed on something, which the application never hears of."""
        with self._lock:
            self._broken += 1

    @property
    def kinds(self) -> tuple[str, ...]:
        """All that are counted, be it that nobody met them."""
        return self._kinds

    @property
    def steps(self) -> list[Step]:
        """Those that this process has met lately, at most two a flag."""
        with self._lock:
            return list(self._known)

    def asks_for_slowness(self, step: Step) -> bool:
        """Whether users are counted in *step* whose request was slow."""
        with self._lock:
            return step in self._known and self._known[step].is_slowness_asked

    @property
    def waiting(self) -> int:
        """Noted and not written yet."""
        with self._lock:
            return len(self._waiting) + self._taken

    @property
    def dropped(self) -> int:
        """Never written, for want of room or because the database would never take them."""
        with self._lock:
            return self._dropped

    @property
    def broken(self) -> int:
        """How often the library failed on something that an application handed to it."""
        with self._lock:
            return self._broken
