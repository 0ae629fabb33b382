"""Answers to a deployment protection rule: a run at GitHub waits for them.

https://docs.github.com/en/rest/actions/workflow-runs#review-custom-deployment-protection-rules-for-a-workflow-run
"""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple

from steward.clients.github_api import GitHub
from steward.errors import BadInput
from steward.settings import GitHubApi, Vault

Review = Literal["approved", "rejected"]
_RUN = re.compile("(/actions/runs/[0-9]{1,20})/deployment_protection_rule")
#: Of a comment; GitHub shows it to whoever waits.
MOST_CHARACTERS = 1000


class Standing(NamedTuple):
    """How a run stands with one environment."""

    answered: Review | None
    """What it was answered, under the mark that was looked for."""
    waits: bool
    """For somebody, be it another rule or a person."""


def answer(
    api: GitHubApi,
    vault: Vault | None,
    callback_url: str,
    *,
    environment: str,
    state: Review | None,
    comment: str,
    mark: str = "",
    seconds: float = 10.0,
) -> None:
    """Approve or reject what waits; without *state*, a comment on why it still does. *mark* ends the comment: `standing` knows it by that.

    GitHub takes one answer. A second one it refuses with 422, whatever it says, as it does where the run no longer waits.
    Raises BadInput before anything is sent where *callback_url* is no run of the source's own repository at its own API: it
    comes from a payload. Then GitHubAway (transient), GitHubRefused.
    """
    github = GitHub(api, vault, seconds)
    _run(github, callback_url)
    told = "\n\n".join(filter(None, [comment[:MOST_CHARACTERS], mark]))
    body = {"environment_name": environment, "comment": told}
    github.ask("POST", callback_url, body | ({"state": state} if state else {}))


def standing(
    api: GitHubApi, vault: Vault | None, callback_url: str, *, environment: str, mark: str, seconds: float = 10.0
) -> Standing:
    """What GitHub has of an answer that it refused. Raises as `answer`.

    https://docs.github.com/en/rest/actions/workflow-runs#get-the-review-history-for-a-workflow-run and the pending deployments there.
    """
    github = GitHub(api, vault, seconds)
    run = _run(github, callback_url)
    said = {each["state"] for each in github.get(f"{run}/approvals") if _is_marked(each, environment, mark)}
    # Comments alone stand there, too.
    answered: Review | None = "approved" if "approved" in said else "rejected" if "rejected" in said else None
    waiting = {each["environment"]["name"] for each in github.get(f"{run}/pending_deployments")}
    return Standing(answered, environment in waiting)


def _is_marked(review: Any, environment: str, mark: str) -> bool:
    names = {each["name"] for each in review["environments"]}
    return environment in names and (review["comment"] or "").rstrip().endswith(mark)


def _run(github: GitHub, callback_url: str) -> str:
    """Its path within the repository."""
    found = _RUN.fullmatch(callback_url.removeprefix(github.address("")))
    if not callback_url.startswith(github.address("/")) or not found:
        raise BadInput(
            "deployment_callback_url is no run of the source's repository at its API: nothing is sent there",
            hint="compare url and repository of the source's api in the settings with the delivery",
        )
    return found[1]
