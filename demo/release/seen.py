"""What became of a commit, as those see it who were not asked for anything: its evidence, and its deployment at GitHub."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from steward.clients.github_api import GitHub
from steward.clients.postgres import connect
from steward.errors import BadInput, Unavailable
from steward.evidence.envelopes import open_envelope
from steward.evidence.statements import Statement, parse_statement
from steward.evidence.store import list_statements
from steward.rollout.gates import Gate, QualityGates
from steward.settings import Settings
from steward.settings.webhooks import GitHubSource
from steward.verdicts import Verdict

OPERATION, FIGURE = "release-candidate", "quality_gates"
Found = TypeVar("Found")
_DIGITS = 12
_LOOK_SECONDS = 0.5
_ENDS = frozenset({"success", "failure", "error", "inactive"})


def gates_in(statement: Statement) -> dict[Gate, Verdict]:
    """What the pipeline found of each."""
    found = QualityGates.model_validate(statement.figures[FIGURE])
    return {each.gate: each.verdict for each in found.evidence}


@dataclass(frozen=True)
class Commit:
    """Of which all is found by what everybody knows of it."""

    settings: Settings
    commit: str

    @property
    def release(self) -> str:
        """What the pipeline calls it."""
        return self.commit[:_DIGITS]

    def proved(self) -> Statement | None:
        """What the pipeline stated of it; None: nothing yet."""
        with connect(self.settings) as db:
            rows = list_statements(db, OPERATION, subject=self.release, limit=1)
        return parse_statement(open_envelope(rows[0].envelope.encode()).payload) if rows else None

    def deployments(self) -> list[Mapping[str, Any]]:
        """At GitHub."""
        return self._github.get(f"/deployments?sha={self.commit}")

    def statuses(self) -> list[str]:
        """Of its only deployment, in the order in which they came; none: it is not deployed."""
        return [state for state, _ in self.described()]

    def described(self) -> list[tuple[str, str]]:
        """As `statuses`, each with what it says."""
        found = self.deployments()
        if not found:
            return []
        (deployment,) = found
        told = self._github.get(f"/deployments/{deployment['id']}/statuses?per_page=100")
        return [(each["state"], each["description"]) for each in sorted(told, key=lambda each: each["id"])]

    def ended(self) -> str | None:
        """The status that it came to; None: it goes on."""
        told = self.statuses()
        return told[-1] if told and told[-1] in _ENDS else None

    def said(self) -> Iterator[str]:
        """All that is known of it now, for whoever waits in vain."""
        stated = self.proved()
        yield f"pipeline: {stated.verdict if stated else 'nothing yet'}"
        yield from map(str, stated.findings if stated else ())
        yield f"deployment: {', '.join(self.statuses()) or 'none'}"

    @property
    def _github(self) -> GitHub:
        source = self.settings.webhooks.sources.get("github") if self.settings.webhooks else None
        if not isinstance(source, GitHubSource) or source.api is None:
            raise BadInput("the settings name no GitHub", hint="start the replica's server github")
        return GitHub(source.api, self.settings.vault)


def wait_for(look: Callable[[], Found | None], seconds: float, what: str, told: Callable[[], Iterator[str]]) -> Found:
    """What *look* finds. Unavailable, with what is *told* then, where it finds nothing in *seconds*."""
    until = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > until:
            raise Unavailable(f"no {what} within {seconds:g} s", hint="; ".join(told()))
        time.sleep(_LOOK_SECONDS)
    return found
