"""Whole payloads, as GitHub documents them, with this repository's names, and numbers and times of their own."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

from replica.github.configuration import Configuration

Payload = dict[str, Any]
# Of the examples.
_REPOSITORIES = ("Codertocat/Hello-World", "Octocoders/Hello-World", "octo-org/octo-repo")
_URL = "https://api.github.com"


def example(configuration: Configuration, event: str) -> Payload:
    """Of one event, as it is in the documentation but for the repository and the address of the API."""
    return _adapted(event, configuration.repository, configuration.url)


def now(*, seconds_ago: float = 0.0) -> str:
    """As GitHub writes a moment."""
    return f"{datetime.now(UTC) - timedelta(seconds=seconds_ago):%Y-%m-%dT%H:%M:%SZ}"


def _adapted(event: str, repository: str, url: str) -> Payload:
    text = _text(event)
    for each in _REPOSITORIES:
        text = text.replace(each, repository)
    read = json.loads(text.replace(_URL, url))
    owner, name = repository.split("/")
    if "repository" in read:
        read["repository"]["name"] = name
        read["repository"]["owner"]["login"] = owner
    return read


@cache
def _text(event: str) -> str:
    return (files("replica.github") / "payloads" / f"{event}.json").read_text(encoding="utf-8")
