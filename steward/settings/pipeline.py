"""Where releases are built and proved, of which repositories, and who is told of a proved one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator

from steward.settings.addresses import api_address
from steward.settings.base import Frozen
from steward.settings.references import SecretRef


def _fetchable(url: str) -> str:
    """A path or a URL, and nothing that git would take for an option, another program or a password."""
    is_url = url.startswith(("https://", "ssh://"))
    if not (is_url or Path(url).is_absolute()) or (url.startswith("https://") and "@" in url):
        msg = "expected https://HOST/PATH, ssh://USER@HOST/PATH or an absolute path; a password goes into `token`"
        raise ValueError(msg)
    return url


Name = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9-]{0,62}$")]


class SuiteBounds(Frozen):
    """How much of a green suite has to have passed. Here, and not in the repository: a commit may not lower it for itself."""

    fewest_passed: int = Field(default=1, ge=1, description="tests that pass; less is a suite that was not run")
    most_skipped: int = Field(default=0, ge=0, description="tests that are skipped; pytest's xfail counts as one")
    most_lost_percent: int = Field(
        default=10, ge=0, le=100, description="that fewer may pass than of the last certified release"
    )


class PipelineRepository(Frozen):
    """One repository whose commits may become releases."""

    url: Annotated[str, AfterValidator(_fetchable)] = Field(description="as git fetches from it: a path or a URL")
    token: SecretRef | None = Field(default=None, description="for https: of a user who may read it")
    environment: str = Field(
        default="production", pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,60}$", description="where its releases go"
    )
    flag: str = Field(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,60}$", description="behind which users are exposed to them")
    unit_tests: SuiteBounds = SuiteBounds()
    contract_tests: SuiteBounds = SuiteBounds()
    variables: dict[Annotated[str, Field(pattern="^[A-Z][A-Z0-9_]*$")], str] = Field(
        default={}, description="what its commands are told beside the usual: PIP_INDEX_URL, say; no secrets"
    )
    github: Name | None = Field(
        default=None, description="a source of [webhooks] with `api`: a proved release becomes a deployment there"
    )


class PipelineDatabase(Frozen):
    """A server for copies of databases: of no use to anybody else, for code of repositories reaches it."""

    url: str = Field(description="postgresql://user@host:port/database; that user may create databases")
    password: SecretRef


class Announce(Frozen):
    """Who is told of a proved release, in the form of Standard Webhooks."""

    url: str = Field(description="of a receiver: https://HOST/webhooks/pipeline")
    secret: SecretRef = Field(description="whsec_BASE64, which the receiver knows as well")

    @field_validator("url")
    @classmethod
    def _over_tls(cls, url: str) -> str:
        return api_address(url)


class Pipeline(Frozen):
    """The flow release-candidate."""

    folder: Path = Field(description="of checkouts and builds; whoever works for the pool may write there")
    database: PipelineDatabase | None = Field(default=None, description="absent: no migration is proved")
    announce: Announce | None = Field(default=None, description="absent: nobody is told but by a GitHub deployment")
    osv_url: str = Field(
        default="https://api.osv.dev/v1/query",
        pattern="^https?://[^?#@]+$",
        description="where known vulnerabilities are asked for",
    )
    most_seconds: float = Field(default=3600, gt=0, le=4 * 3600, description="of a stage, whatever a repository says")
    most_artifact_bytes: int = Field(default=256 * 1024**2, ge=1, description="of what a build makes")
    artifact_days: int = Field(default=90, ge=1, le=3660, description="of Object Lock on what was built")
    repositories: dict[Name, PipelineRepository] = Field(default={}, description="whose commits may become releases")
