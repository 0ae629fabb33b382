"""Statuses of a deployment at GitHub: https://docs.github.com/en/rest/deployments/statuses, API version 2022-11-28."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast

from steward.clients.receivers import Answer, Question, Receiver, ask
from steward.clients.secrets import read_secret
from steward.notices.errors import ReceiverRefused
from steward.notices.notice import Happened, Notice
from steward.settings import GitHubTarget, Vault

_RECEIVER = Receiver(
    "GitHub", "see whether the token in [notices.targets.…] may write deployment statuses, and the deployment exists"
)
#: The newest come first; between a lost answer and the second look there are few.
_LOOKED_AT = 10


@dataclass(frozen=True)
class DeploymentStatus:
    """What GitHub shows of a deployment. `log_url`: where people read on."""

    state: str
    description: str
    log_url: str = ""


def state_of(notice: Notice) -> str:
    """GitHub's word for it."""
    match notice.happened:
        case Happened.CERTIFIED:
            return "success"
        case Happened.ROLLED_BACK | Happened.WITHDRAWN:
            # It did not fail as a deployment: it was one, and is none any more.
            return "inactive" if notice.had_proved_itself else "failure"
        case Happened.REFUSED:
            return "failure"
        case _:
            return "in_progress"


class GitHubDeployment:
    """One deployment of the target's repository."""

    def __init__(self, target: GitHubTarget, vault: Vault | None, deployment_id: int) -> None:
        self._target, self._vault = target, vault
        self._url = f"{target.url}/repos/{target.repository}/deployments/{deployment_id}/statuses"

    def add(self, status: DeploymentStatus, seconds: float) -> None:
        """GitHub takes the same twice. Raises ReceiverUnavailable, ReceiverRefused, and what reading the secret raises."""
        said = {"state": status.state, "description": status.description, "log_url": status.log_url}
        # An address that is empty is refused; the word for none is to leave it out.
        self._ask("POST", self._url, json.dumps({name: each for name, each in said.items() if each}).encode(), seconds)

    def has(self, status: DeploymentStatus, seconds: float) -> bool:
        """Whether one of its newest statuses says that. Raises as `add`."""
        answer = self._ask("GET", f"{self._url}?per_page={_LOOKED_AT}", None, seconds)
        try:
            found = json.loads(answer.body)
        except ValueError:
            found = None
        if not isinstance(found, list):
            raise ReceiverRefused("GitHub answers with something else than statuses", hint="compare url in [notices]")
        wanted = (status.state, status.description)
        return any(_told(each) == wanted for each in cast("list[Any]", found))

    def _ask(self, method: str, url: str, body: bytes | None, seconds: float) -> Answer:
        headers = {
            "authorization": f"Bearer {read_secret(self._target.token, self._vault)}",
            "accept": "application/vnd.github+json",
            "x-github-api-version": "2022-11-28",
        }
        if body is not None:
            headers["content-type"] = "application/json"
        return ask(_RECEIVER, Question(method, url, headers, body), seconds)


def _told(status: Any) -> tuple[Any, Any] | None:
    if not isinstance(status, dict):
        return None
    read = cast("dict[str, Any]", status)
    return read.get("state"), read.get("description")
