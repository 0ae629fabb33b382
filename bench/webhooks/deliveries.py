"""GitHub's deliveries as GitHub makes them: whole payloads, ids and times of their own, signed; and the ways in which one comes again."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any, Literal

PATH = "/webhooks/github"
STARTS, IGNORED = "bench", "elsewhere"
"""What the bench's rules start a run of, by its environment or branch, and what they do not."""
Again = Literal["redelivered", "replayed", "told anew"]
AGAIN: tuple[Again, ...] = ("redelivered", "replayed", "told anew")
"""Under the same id; the same body under another id; the same event under another id and in another body."""

_EVENTS = ("deployment", "deployment_status", "workflow_run")
#: A person's own text, which is what makes one payload larger than another.
_MOST_CHARACTERS = 12_000
_WORDS = (
    "canary",
    "deploy",
    "index",
    "lease",
    "merge",
    "release",
    "retry",
    "rollout",
    "search",
    "shard",
    "tenant",
    "verify",
)


@dataclass(frozen=True)
class Delivery:
    """One request."""

    event: str
    """What happened, as the rules hand it on to the run: `deployment/145988746`."""
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class Mill:
    """Makes deliveries: which, and of what size, follows the seed."""

    def __init__(self, seed: int, secret: str) -> None:
        self._chance = random.Random(seed)  # noqa: S311  a draw, no secret
        self._secret = secret.encode()
        folder = files("replica.github") / "payloads"
        self._examples = {each: (folder / f"{each}.json").read_text(encoding="utf-8") for each in _EVENTS}
        self._prose = " ".join(self._chance.choices(_WORDS, k=_MOST_CHARACTERS))

    def new(self, where: str) -> Delivery:
        """Of an event that nobody has told of yet."""
        event = self._chance.choice(_EVENTS)
        number = self._chance.getrandbits(50) + 1
        payload = json.loads(self._examples[event])
        _FILL[event](payload, number, where, self._text())
        return self._signed(event, f"{event}/{number}", payload)

    def deployment(self, environment: str, told: Mapping[str, str]) -> Delivery:
        """Of a new deployment that carries *told*."""
        number = self._chance.getrandbits(50) + 1
        payload = json.loads(self._examples["deployment"])
        _fill_deployment(payload, number, environment, self._text())
        payload["deployment"]["payload"] |= told
        return self._signed("deployment", f"deployment/{number}", payload)

    def again(self, first: Delivery, how: Again) -> Delivery:
        """The same event once more."""
        if how == "redelivered":
            return first
        event = first.headers["X-GitHub-Event"]
        if how == "replayed":
            return Delivery(first.event, {**first.headers, "X-GitHub-Delivery": self._guid()}, first.body)
        # As a second webhook for the same event does: it names itself.
        payload = json.loads(first.body) | {"installation": {"id": self._chance.getrandbits(30)}}
        return self._signed(event, first.event, payload)

    def _signed(self, event: str, identity: str, payload: Mapping[str, Any]) -> Delivery:
        body = json.dumps(payload, separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "GitHub-Hookshot/044aadd",
            "X-GitHub-Delivery": self._guid(),
            "X-GitHub-Event": event,
            "X-Hub-Signature-256": "sha256=" + hmac.new(self._secret, body, hashlib.sha256).hexdigest(),
        }
        return Delivery(identity, headers, body)

    def _guid(self) -> str:
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))

    def _text(self) -> str:
        begin = self._chance.randrange(_MOST_CHARACTERS)
        return self._prose[begin : begin + self._chance.randrange(_MOST_CHARACTERS)]


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _fill_deployment(payload: dict[str, Any], number: int, where: str, text: str) -> None:
    made = {"id": number, "environment": where, "created_at": _now(), "payload": {"notes": text}}
    payload["deployment"] |= made


def _fill_status(payload: dict[str, Any], number: int, where: str, text: str) -> None:
    payload["deployment_status"] |= {"id": number, "environment": where, "created_at": _now()}
    payload["deployment"] |= {"environment": where, "payload": {"notes": text}}


def _fill_run(payload: dict[str, Any], number: int, where: str, text: str) -> None:
    payload["workflow_run"] |= {"id": number, "head_branch": where, "updated_at": _now()}
    payload["workflow_run"]["head_commit"]["message"] = text


_FILL = {"deployment": _fill_deployment, "deployment_status": _fill_status, "workflow_run": _fill_run}
