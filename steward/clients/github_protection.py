"""Answers to a deployment protection rule: a run at GitHub waits for them.

https://docs.github.com/en/rest/actions/workflow-runs#review-custom-deployment-protection-rules-for-a-workflow-run
"""

from __future__ import annotations

import re
from typing import Literal

from steward.clients.github_api import GitHub
from steward.errors import BadInput
from steward.settings import GitHubApi, Vault

Review = Literal["approved", "rejected"]
_RUN = re.compile("/actions/runs/[0-9]{1,20}/deployment_protection_rule")
#: Of a comment; GitHub shows it to whoever waits.
MOST_CHARACTERS = 1000


def answer(
    api: GitHubApi,
    vault: Vault | None,
    callback_url: str,
    *,
    environment: str,
    state: Review | None,
    comment: str,
    seconds: float = 10.0,
) -> None:
    """Approve or reject what waits; without *state*, a comment on why it still does. A second time changes nothing at GitHub.

    Raises BadInput before anything is sent where *callback_url* is no run of the source's own repository at its own API: it
    comes from a payload. Then GitHubAway (transient), GitHubRefused.
    """
    github = GitHub(api, vault, seconds)
    if not callback_url.startswith(github.address("/")) or not _RUN.fullmatch(
        callback_url.removeprefix(github.address(""))
    ):
        raise BadInput(
            "deployment_callback_url is no run of the source's repository at its API: nothing is sent there",
            hint="compare url and repository of the source's api in the settings with the delivery",
        )
    body = {"environment_name": environment, "comment": comment[:MOST_CHARACTERS]}
    github.ask("POST", callback_url, body | ({"state": state} if state else {}))
