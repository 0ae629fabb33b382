"""Who may tell Steward what happened elsewhere, and how to ask them what they told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from steward.settings.addresses import api_address
from steward.settings.base import Frozen
from steward.settings.references import SecretRef

#: A second one while a secret is rotated; more would be as many guesses a request.
_MOST_SECRETS = 4
Secrets = Annotated[tuple[SecretRef, ...], Field(min_length=1, max_length=_MOST_SECRETS)]


class GitHubApp(Frozen):
    """As which GitHub App its API is asked."""

    id: int = Field(ge=1)
    installation: int = Field(ge=1)
    key: SecretRef = Field(description="the App's private key, PEM")


class GitHubApi(Frozen):
    """Where a source's deliveries are listed, and its deployments answered."""

    url: str = Field(default="https://api.github.com", description="of the API; Enterprise: https://HOST/api/v3")
    repository: str = Field(pattern="^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", description="OWNER/NAME")
    hook: int | None = Field(default=None, ge=1, description="the webhook's id; absent: nothing is reconciled")
    token: SecretRef | None = Field(default=None, description="fine-grained: webhooks read, deployments write")
    app: GitHubApp | None = None

    @field_validator("url")
    @classmethod
    def _over_tls(cls, url: str) -> str:
        return api_address(url)

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if (self.token is None) == (self.app is None):
            msg = "expected either token or app: GitHub is asked as one of them"
            raise ValueError(msg)
        return self


class GitHubSource(Frozen):
    """A webhook of a repository, an organisation or an App at GitHub."""

    kind: Literal["github"]
    secrets: Secrets = Field(
        description="of the webhook: what any of them signed is taken, so that one can be replaced"
    )
    window_hours: int = Field(
        default=72, ge=1, le=720, description="older events are refused; GitHub redelivers for 72"
    )
    api: GitHubApi | None = Field(default=None, description="absent: nothing is asked there, and nothing is answered")


class SignedSource(Frozen):
    """Any other sender: a signed JSON object, as Standard Webhooks has it."""

    kind: Literal["signed"]
    secrets: Secrets = Field(description="whsec_BASE64 of 24 to 64 bytes, any of them")
    window_hours: int = Field(default=72, ge=1, le=720, description="older events are refused")


SourceName = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9-]{0,62}$")]
Source = Annotated[GitHubSource | SignedSource, Field(discriminator="kind")]


class Webhooks(Frozen):
    """What is received, from whom, and what it starts."""

    url: str = Field(pattern="^https?://[^/?#@]+$", description="where senders reach the receiver, without a path")
    rules: Path | None = Field(default=None, description="TOML file of what starts what; absent: the shipped one")
    most_bytes: int = Field(
        default=1_048_576, ge=1024, le=26_214_400, description="of a body; GitHub sends at most 25 MB"
    )
    sources: dict[SourceName, Source] = Field(default={}, description="by the name in their path: /webhooks/NAME")

    def address(self, source: str) -> str:
        """Where *source* sends its deliveries."""
        return f"{self.url}/webhooks/{source}"
