"""GitHub's deployments hear how their delivery fared: queued once a run is made, error where none will be.

Best effort, in a thread of its own: nothing waits for it, and what it has not said when it ends is not said. The rollout itself tells
the rest.
"""

from __future__ import annotations

import json
import queue
import threading
from typing import Any, Literal, NamedTuple

from services.watch.journal import say
from services.webhooks.starting import Outcome, Refused, Started, api_of
from steward.clients.github_api import GitHub
from steward.clients.webhook_starts import Waiting
from steward.errors import StewardError
from steward.settings import GitHubApi, Settings

_TRIES = 4
_PAUSE_SECONDS = 2.0
_SECONDS = 5.0
_MOST_WAITING = 1000
#: Of a status' description; GitHub refuses a longer one.
_MOST_CHARACTERS = 140


class Word(NamedTuple):
    """One status of one deployment."""

    api: GitHubApi
    deployment: int
    state: Literal["queued", "error"]
    description: str


class Telling:
    """One thread's. Too many words at once: the newest are dropped, and that is said."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._waiting: queue.Queue[Word] = queue.Queue(_MOST_WAITING)
        self.stopped = threading.Event()

    def tell(self, start: Waiting, outcome: Outcome) -> None:
        """In its turn, if *start* came from a deployment at GitHub."""
        if word := word_of(self._settings, start, outcome):
            try:
                self._waiting.put_nowait(word)
            except queue.Full:
                say("not told", deployment=word.deployment, state=word.state, reason="too many wait")

    def run(self) -> None:
        """Until it is stopped."""
        while not self.stopped.is_set():
            try:
                word = self._waiting.get(timeout=1.0)
            except queue.Empty:
                continue
            self._patiently(word)

    def _patiently(self, word: Word) -> None:
        for left in reversed(range(_TRIES)):
            try:
                say_to_github(word, self._settings)
            except Exception as error:  # noqa: BLE001  a word that cannot be said must not end the telling
                told = error.message if isinstance(error, StewardError) else type(error).__name__
                if not left or not getattr(error, "transient", False):
                    say("not told", deployment=word.deployment, state=word.state, reason=told)
                    return
                self.stopped.wait(_PAUSE_SECONDS)
            else:
                return


def say_to_github(word: Word, settings: Settings) -> None:
    """One try. Raises GitHubAway (transient), GitHubRefused."""
    github = GitHub(word.api, settings.vault, _SECONDS)
    path = f"/deployments/{word.deployment}/statuses"
    # The newest status is the one that counts: a rollout that has begun meanwhile has said more. After an error there was none.
    if word.state == "queued" and (said := github.get(f"{path}?per_page=1")) and said[0]["state"] != "error":
        return
    github.post(path, {"state": word.state, "description": word.description})


def word_of(settings: Settings, start: Waiting, outcome: Outcome) -> Word | None:
    """What GitHub is told of it; None: nothing, or there is nobody to tell."""
    api = api_of(settings, start.source)
    if api is None or start.event != "deployment" or not isinstance(outcome, Started | Refused):
        return None
    number = _deployment(start)
    if number is None:
        return None
    if isinstance(outcome, Started):
        return Word(api, number, "queued", f"run {outcome.run_id} of {start.deployment}")
    return Word(api, number, "error", _cut(f"refused: {outcome.why}"))


def _deployment(start: Waiting) -> int | None:
    try:
        read: Any = json.loads(start.body or b"{}")
        return int(read["deployment"]["id"])
    except (ValueError, KeyError, TypeError):
        return None


def _cut(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _MOST_CHARACTERS else f"{plain[: _MOST_CHARACTERS - 1]}…"
