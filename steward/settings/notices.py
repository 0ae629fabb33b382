"""Chat, mail and deployments that hear of rollouts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from steward.settings.addresses import LOOPBACK, MAILBOX, api_address
from steward.settings.base import Credentials, Frozen
from steward.settings.references import SecretRef


class SlackTarget(Frozen):
    """A channel that takes what Slack's incoming webhooks take."""

    kind: Literal["slack"]
    url: SecretRef = Field(description="of the webhook: whoever has it may write there")


class MailTarget(Frozen):
    """Readers by e-mail, over one SMTP server."""

    kind: Literal["mail"]
    host: str = Field(pattern="^[^\\s/@]+$")
    port: int = Field(default=587, ge=1, le=65535)
    tls: Literal["starttls", "tls", "none"] = Field(default="starttls", description="none: on loopback only")
    ca_file: Path | None = Field(default=None, description="CA of the server; the system's when absent")
    user: Credentials | None = None
    sender: str = Field(pattern=MAILBOX, description="the address that it is from")
    to: list[Annotated[str, Field(pattern=MAILBOX)]] = Field(min_length=1, max_length=50)

    @model_validator(mode="after")
    def _clear_text_stays_here(self) -> Self:
        if self.tls == "none" and (self.host not in LOOPBACK or self.user):
            msg = "tls none is for a server on loopback that wants no password; expected starttls or tls"
            raise ValueError(msg)
        return self


class GitHubTarget(Frozen):
    """The deployment that a release came from, at GitHub."""

    kind: Literal["github"]
    url: str = Field(default="https://api.github.com", description="of the API; Enterprise: https://HOST/api/v3")
    token: SecretRef = Field(description="may write deployment statuses of the repository")
    repository: str = Field(pattern="^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", description="OWNER/NAME")

    @field_validator("url")
    @classmethod
    def _over_tls(cls, url: str) -> str:
        return api_address(url)


NoticeTarget = SlackTarget | MailTarget | GitHubTarget


class Notices(Frozen):
    """Who is told what a rollout does."""

    targets: dict[str, Annotated[NoticeTarget, Field(discriminator="kind")]] = Field(default={})
    pages: str | None = Field(
        default=None,
        pattern="^https?://[^/?#@]+$",
        description="where people reach the status pages, without a path; absent: url in [flags]",
    )
    templates: Path | None = Field(default=None, description="folder of templates; absent: the shipped ones")
