"""The dispatcher: what the inbox holds becomes runs, once each, whatever is killed, frozen or away meanwhile.

A start is worked at within one transaction that holds its row. Killed before Prefect is asked, the next one asks. Killed, or without a
database, after Prefect has made the run and before that is on record, the next one asks for the same key and is given the same run.
Frozen, it keeps its one row from others, who skip it, until PostgreSQL ends its idle transaction; what it does when it wakes is the same run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

import psycopg
from psycopg import sql

from services.watch.journal import Reminder, say
from services.watch.runs import Runs, connected
from services.watch.situation import Every
from services.webhooks.counting import Counts
from services.webhooks.starting import (
    Decided,
    Outcome,
    Postponed,
    Refused,
    Started,
    begin,
    pause_after,
    prefect_answered,
)
from services.webhooks.telling import Telling, is_told
from steward.clients import webhook_starts as inbox
from steward.clients.postgres import Connection, open_connection, worded
from steward.clients.webhook_inbox import CHANNEL
from steward.clients.webhook_starts import Unread, Waiting
from steward.errors import StewardError
from steward.settings import Settings
from steward.webhooks.rules import Decide, Rules, Start, Unfit, matching

#: How often the inbox is looked at without a word from it.
POLL_SECONDS = 1.0
#: Three questions to Prefect, of ten seconds each; a lane that is frozen for longer loses its row to others.
_TRANSACTION_SECONDS = 60
_MOST_AWAY_SECONDS = 5.0
_LOOK_EVERY_SECONDS = 5.0
_REMIND_SECONDS = 3600.0
_FORGET_EVERY_SECONDS = 3600.0
_PREFECT = {True: "answers", False: "does not answer", None: "not asked lately"}


class Dispatcher:
    """What the threads of one process share."""

    def __init__(self, settings: Settings, rules: Rules) -> None:
        self.settings, self.rules = settings, rules
        self.stopped = threading.Event()
        self.counts = Counts()
        self.telling = Telling(settings)
        self._news = threading.Condition()
        self._heard = 0
        self._threads: list[threading.Thread] = []
        self._reminder = Reminder(_REMIND_SECONDS)

    def run(self, lanes: int) -> None:
        """Until it is stopped. Its threads are not waited for: whatever they are at, another dispatcher goes on with."""
        work: dict[str, Callable[[], None]] = {f"lane {number}": Lane(self).run for number in range(lanes)}
        asides = {"telling": self._tell, "forgetting": self._forget}
        work |= {name: partial(self.keep_on, name, each) for name, each in asides.items()}
        self._threads = [threading.Thread(target=each, name=name, daemon=True) for name, each in work.items()]
        for each in self._threads:
            each.start()
        self.keep_on("listening", self._listen)

    def stop(self) -> None:
        """Soon: nothing is waited for."""
        self.stopped.set()

    def health(self) -> tuple[bool, list[str]]:
        """Well while every thread runs, whatever it waits for: to start it again would mend no server that is away."""
        ended = [each.name for each in self._threads if not each.is_alive()]
        lines = [
            f"database: {'answers' if self.counts.standing else 'does not answer'}",
            f"prefect: {_PREFECT[self.counts.prefect_answers()]}",
            *(f"{name} has ended" for name in ended),
        ]
        return not ended, lines

    def keep_on(self, what: str, work: Callable[[], None]) -> None:
        """Again and again, whatever ends it: a fault is said once, and an hour later again."""
        while not self.stopped.is_set():
            try:
                with worded(self.settings):
                    work()
            except StewardError as error:
                if self._reminder.is_news(what, error.message):
                    say(f"{what} waits", reason=error.message, hint=error.hint or None)
            except Exception as error:  # noqa: BLE001  a fault in one round must not end the dispatcher
                if self._reminder.is_news(what, type(error).__name__):
                    say(f"{what} waits", reason=f"{type(error).__name__}: {error}")
            self.stopped.wait(POLL_SECONDS)

    def wait(self, heard: int) -> int:
        """Until there was news after *heard*, and no longer than POLL_SECONDS; what was heard by then."""
        with self._news:
            self._news.wait_for(lambda: self._heard != heard, POLL_SECONDS)
            return self._heard

    def tell_news(self) -> None:
        """Every lane looks."""
        with self._news:
            self._heard += 1
            self._news.notify_all()

    def _listen(self) -> None:
        try:
            with open_connection(self.settings, autocommit=True, application_name="steward-dispatcher-ear") as ear:
                ear.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
                look = Every(_LOOK_EVERY_SECONDS)
                while not self.stopped.is_set():
                    if look:
                        self.counts.standing = inbox.standing(ear)
                    for _ in ear.notifies(timeout=POLL_SECONDS, stop_after=1):
                        self.tell_news()
        finally:
            self.counts.standing = None

    def _tell(self) -> None:
        with open_connection(
            self.settings,
            autocommit=True,
            statement_timeout_seconds=_TRANSACTION_SECONDS,
            application_name="steward-dispatcher-telling",
        ) as db:
            while not self.stopped.is_set():
                if not self.telling.tell(db):
                    self.telling.wait(POLL_SECONDS)

    def _forget(self) -> None:
        with open_connection(self.settings, autocommit=True, application_name="steward-dispatcher-forget") as db:
            while inbox.forget_bodies(db) == inbox.FORGOTTEN_AT_ONCE and not self.stopped.is_set():
                continue
        self.stopped.wait(_FORGET_EVERY_SECONDS)


class Lane:
    """One thread's connections and its turn. Lanes of one process and of several are the same to one another."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._at = dispatcher
        self._settings = dispatcher.settings
        self._times_away = 0

    def run(self) -> None:
        """Until it is stopped; with new connections after each failure."""
        self._at.keep_on("dispatching", self._rounds)

    def _rounds(self) -> None:
        with (
            connected() as runs,
            open_connection(
                self._settings,
                autocommit=True,
                statement_timeout_seconds=_TRANSACTION_SECONDS,
                application_name="steward-dispatcher",
            ) as db,
        ):
            heard = 0
            while not self._at.stopped.is_set():
                if not (self.match(db) or self.start(db, runs)):
                    heard = self._at.wait(heard)

    def match(self, db: Connection) -> bool:
        """Ask the rules about some deliveries that are new. Whether there were any."""
        with db.transaction():
            found = inbox.unread(db)
            for each in found:
                self._match(db, each)
        return bool(found)

    def start(self, db: Connection, runs: Runs) -> bool:
        """Begin what is due longest. Whether anything was; where Prefect is away, after a pause."""
        asked_at = time.monotonic()
        with db.transaction():
            start = inbox.take(db)
            if start is None:
                return False
            outcome = self._begin(db, runs, start)
            _record(db, start, outcome, tell=(tell := is_told(self._settings, start)))
        self._tell(start, outcome)
        if tell:
            self._at.telling.wake()
        self._heed_prefect(outcome, asked_at)
        return True

    def _match(self, db: Connection, delivery: Unread) -> None:
        found = _found(self._at.rules, delivery)
        try:
            with db.transaction():
                inbox.matched(db, delivery.id, found)
        except psycopg.DataError as error:
            unfit = [Unfit(each.rule, f"its parameters cannot be stored: {type(error).__name__}") for each in found]
            inbox.matched(db, delivery.id, unfit)

    def _begin(self, db: Connection, runs: Runs, start: Waiting) -> Outcome:
        try:
            return begin(db, runs, self._settings, start)
        except psycopg.OperationalError:
            raise
        except Exception as error:  # noqa: BLE001  one that nobody foresaw waits, and blocks nobody
            return Postponed(f"{type(error).__name__}: {error}", pause_after(start.tries))

    def _tell(self, start: Waiting, outcome: Outcome) -> None:
        self._at.counts.add(start.source, outcome)
        _say(start, outcome)

    def _heed_prefect(self, outcome: Outcome, asked_at: float) -> None:
        answers = prefect_answered(outcome)
        if answers is None:
            return
        self._at.counts.prefect(answers=answers, asked_at=asked_at)
        if answers:
            self._times_away = 0
            return
        # The rest of them would only be told the same.
        self._at.stopped.wait(min(_MOST_AWAY_SECONDS, pause_after(self._times_away)))
        self._times_away += 1


def _found(rules: Rules, delivery: Unread) -> list[Start | Decide | Unfit]:
    try:
        told = _Told(delivery)
    except StewardError as error:
        # It was read before it was stored; a newer reader may be stricter.
        return [
            Unfit(each.name, error.message)
            for each in rules.rule
            if (each.source, each.event) == (delivery.source, delivery.event)
        ]
    return matching(rules, told)


class _Told:
    """A stored delivery, as rules are matched with it."""

    def __init__(self, delivery: Unread) -> None:
        self.source, self.event, self.payload = delivery.source, delivery.event, delivery.payload


def _record(db: Connection, start: Waiting, outcome: Outcome, *, tell: bool) -> None:
    match outcome:
        case Started():
            inbox.started(db, start.id, outcome.run_id, tell=tell)
        case Decided():
            inbox.decided(db, start.id, outcome.why)
        case Refused():
            inbox.refused(db, start.id, outcome.why, tell=tell)
        case Postponed():
            inbox.postponed(db, start.id, outcome.why, outcome.seconds)


def _say(start: Waiting, outcome: Outcome) -> None:
    told = {"source": start.source, "key": start.key, "rule": start.rule, "start": start.id}
    match outcome:
        case Started():
            say("started", **told, deployment=start.deployment, run=outcome.run_id)
        case Decided():
            say("decided", **told, answer=outcome.why)
        case Refused():
            say("refused", **told, deployment=start.deployment, reason=outcome.why)
        case Postponed() if not start.tries:
            # Once; the inbox counts the tries.
            say("postponed", **told, reason=outcome.why)
        case Postponed():
            return
    if isinstance(outcome, Started | Refused) and outcome.unheard:
        say("event refused", **told, reason=outcome.unheard)
