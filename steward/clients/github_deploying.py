"""A deployment at GitHub, made once of one release: https://docs.github.com/en/rest/deployments/deployments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlencode

from pydantic import JsonValue

TASK = "deploy"
#: GitHub cuts nothing: a longer one is refused.
_LONGEST_DESCRIPTION = 140


class Asked(Protocol):
    """As much of `github_api.GitHub` as is needed."""

    def get(self, path: str) -> Any: ...
    def post(self, path: str, body: object) -> Any: ...


def ensure_deployment(
    github: Asked, commit: str, environment: str, payload: Mapping[str, JsonValue], description: str
) -> int:
    """The id of the deployment of *commit* that has *payload*, made now where there is none.

    GitHub keeps no two apart by themselves: looked for by what it carries, a second try finds the first one's. No checks of
    GitHub's are asked for, since the gates are proved already.
    """
    asked = urlencode({"sha": commit, "environment": environment, "task": TASK, "per_page": 100})
    for each in github.get(f"/deployments?{asked}"):
        if each.get("payload") == payload:
            return int(each["id"])
    made = github.post(
        "/deployments",
        {
            "ref": commit,
            "task": TASK,
            "environment": environment,
            "auto_merge": False,
            "required_contexts": [],
            "payload": dict(payload),
            "description": description[:_LONGEST_DESCRIPTION],
        },
    )
    return int(made["id"])
