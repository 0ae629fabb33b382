"""GitHub's deployments hear how their delivery fared: queued once a run is made, error where none will be.

What is to be said is on record with the start's end, so that a dispatcher which is killed between the two leaves it to the next one.
In a thread of its own: no start waits for GitHub. One that is killed after GitHub heard it, and before that is on record, leaves it
to be said again: what a deployment says already is not said twice.
"""

from __future__ import annotations

import json
import threading
from http import HTTPStatus
from typing import Any, Literal, NamedTuple

from services.watch.journal import Reminder, say
from services.webhooks.starting import api_of
from steward.clients import webhook_untold as untold
from steward.clients.github_api import GitHub
from steward.clients.github_asking import GitHubAway, GitHubRefused
from steward.clients.postgres import Connection
from steward.clients.webhook_starts import Waiting
from steward.clients.webhook_untold import Untold
from steward.errors import StewardError
from steward.settings import GitHubApi, Settings

#: A word that is a day old helps nobody any more.
PATIENCE_SECONDS = 86_400.0
_FIRST_PAUSE_SECONDS = 2.0
_MOST_PAUSE_SECONDS = 300.0
_SECONDS = 5.0
_REMIND_SECONDS = 3600.0
#: Of a status' description; GitHub refuses a longer one.
_MOST_CHARACTERS = 140
_REFUSED = "refused: "
#: The token's, which somebody may mend.
_NOT_ITS_FAULT = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class Word(NamedTuple):
    """One status of one deployment."""

    api: GitHubApi
    deployment: int
    state: Literal["queued", "error"]
    description: str


class Telling:
    """One thread's. Those of several dispatchers share the work."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._news = threading.Event()
        self._reminder = Reminder(_REMIND_SECONDS)

    def wake(self) -> None:
        """There is something to be said."""
        self._news.set()

    def wait(self, seconds: float) -> None:
        """Until there is something to be said, or so long."""
        self._news.wait(seconds)
        self._news.clear()

    def tell(self, db: Connection) -> bool:
        """Say what is due longest. Whether anything was."""
        with db.transaction():
            found = untold.take(db)
            if found is None:
                return False
            again = self._said(found)
            if again is None:
                untold.settled(db, found.id)
            else:
                untold.postponed(db, found.id, again)
        return True

    def _said(self, found: Untold) -> float | None:
        """After how long it is to be tried again; None: it is said, or never will be."""
        word = word_of(self._settings, found)
        if word is None:
            _journal("not told", found, reason="nobody is to hear it any more")
            return None
        try:
            say_to_github(word, self._settings)
        except Exception as error:  # noqa: BLE001  a word that cannot be said must not end the telling
            return self._unsaid(found, error)
        self._reminder.forget(found.source)
        _journal("told", found, deployment=word.deployment, status=word.state)
        return None

    def _unsaid(self, found: Untold, error: Exception) -> float | None:
        reason = error.message if isinstance(error, StewardError) else f"{type(error).__name__}: {error}"
        again = pause_after(error, found.age_seconds)
        if again is None:
            _journal("not told", found, reason=reason)
        elif self._reminder.is_news(found.source, reason):
            _journal("not told yet", found, reason=reason)
        return again


def _journal(event: str, found: Untold, **told: object) -> None:
    say(event, source=found.source, start=found.id, state=found.state, **told)


def is_told(settings: Settings, start: Waiting) -> bool:
    """Whether how *start* ends is GitHub's to hear."""
    return start.event == "deployment" and api_of(settings, start.source) is not None


def pause_after(error: Exception, age_seconds: float) -> float | None:
    """Seconds until what failed by *error* is tried again: as long as it has waited already, within bounds. None: never.

    Never for what GitHub refuses, whoever asks, and after PATIENCE_SECONDS.
    """
    if age_seconds >= PATIENCE_SECONDS or (isinstance(error, GitHubRefused) and _is_final(error.status)):
        return None
    pause = min(max(age_seconds, _FIRST_PAUSE_SECONDS), _MOST_PAUSE_SECONDS)
    return max(pause, error.retry_after_seconds) if isinstance(error, GitHubAway) else pause


def _is_final(status: int) -> bool:
    return status >= HTTPStatus.BAD_REQUEST and status not in _NOT_ITS_FAULT


def say_to_github(word: Word, settings: Settings) -> None:
    """One try; what the deployment says already is not said again. Raises GitHubAway (transient), GitHubRefused."""
    github = GitHub(word.api, settings.vault, _SECONDS)
    path = f"/deployments/{word.deployment}/statuses"
    said = github.get(f"{path}?per_page=1")
    if not (said and _is_enough(said[0], word)):
        github.post(path, {"state": word.state, "description": word.description})


def _is_enough(newest: dict[str, Any], word: Word) -> bool:
    """Whether *word* would add nothing: the newest status is the one that counts."""
    state, description = newest["state"], newest["description"] or ""
    if (state, description) == (word.state, word.description):
        return True
    # A rollout that has begun meanwhile has said more. Where we said that none will begin, none had.
    return word.state == "queued" and not (state == "error" and description.startswith(_REFUSED))


def word_of(settings: Settings, found: Untold) -> Word | None:
    """What GitHub is told of it; None: there is nobody to tell any more."""
    api, number = api_of(settings, found.source), _deployment(found.body)
    if api is None or number is None:
        return None
    if found.state == "started":
        return Word(api, number, "queued", _cut(f"run {found.run_id} of {found.deployment}"))
    return Word(api, number, "error", _cut(f"{_REFUSED}{found.why}"))


def _deployment(body: bytes | None) -> int | None:
    try:
        read: Any = json.loads(body or b"{}")
        return int(read["deployment"]["id"])
    except (ValueError, KeyError, TypeError):
        return None


def _cut(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _MOST_CHARACTERS else f"{plain[: _MOST_CHARACTERS - 1]}…"
