"""Deployments at GitHub, asked for: https://docs.github.com/en/rest/deployments/deployments, API version 2022-11-28.

Whoever asks for one has its webhook sent, which is how a rollout begins.
"""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from steward.clients.github_api import GitHub
from steward.clients.github_asking import GitHubRefused

_LOOKED_AT = 30


class Wanted(BaseModel):
    """What is to be deployed. `payload` tells it from another of the same commit: the release, the flag, who asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    commit: str = Field(pattern="^[0-9a-f]{40}$")
    environment: str
    payload: dict[str, JsonValue] = {}
    description: str = Field(default="", max_length=140)
    task: str = "deploy"


def create_deployment(github: GitHub, wanted: Wanted) -> int:
    """Its number. GitHub makes another one each time: before a second try, look with `find_deployment`.

    Nothing is merged, and no check of GitHub's is waited for: what speaks for the commit was proved before. Raises GitHubAway,
    after which it may be there all the same, and GitHubRefused.
    """
    body = {
        "ref": wanted.commit,
        "task": wanted.task,
        "auto_merge": False,
        "required_contexts": [],
        "environment": wanted.environment,
        "payload": wanted.payload,
        "description": wanted.description,
    }
    made = github.post("/deployments", body)
    number = _number(made)
    if number is None:
        raise GitHubRefused("GitHub answers with something else than a deployment", hint="compare url in the settings")
    return number


def find_deployment(github: GitHub, wanted: Wanted) -> int | None:
    """The newest of the same commit, environment, task and payload; None: there is none. Raises GitHubAway, GitHubRefused."""
    query = {
        "sha": wanted.commit,
        "environment": wanted.environment,
        "task": wanted.task,
        "per_page": _LOOKED_AT,
    }
    found = github.get(f"/deployments?{urlencode(query)}")
    if not isinstance(found, list):
        raise GitHubRefused("GitHub answers with something else than deployments", hint="compare url in the settings")
    same = (
        each for each in cast("list[Any]", found) if isinstance(each, dict) and each.get("payload") == wanted.payload
    )
    return next((number for each in same if (number := _number(each)) is not None), None)


def _number(deployment: object) -> int | None:
    number = cast("dict[str, Any]", deployment).get("id") if isinstance(deployment, dict) else None
    return number if isinstance(number, int) else None
