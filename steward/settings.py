"""Where the servers are and how to reach their secrets: one frozen model, built at the edge and passed inward.

`STEWARD_SETTINGS` names one TOML file of endpoints and secret *references*. The replica writes such a file for its
own servers; production writes one for its own. No other code differs between the two.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from steward.errors import BadInput

VARIABLE = "STEWARD_SETTINGS"


def _known_scheme(reference: str) -> str:
    scheme, _, rest = reference.partition(":")
    if scheme != "file" or not rest:
        # The value is not echoed: people paste secrets where references belong.
        msg = "a secret reference is file:PATH, never the secret itself"
        raise ValueError(msg)
    return reference


SecretRef = Annotated[str, AfterValidator(_known_scheme)]
"""Where a secret is, never what it is: `file:PATH`."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Credentials(_Frozen):
    """A server's user, and where its password is."""

    username: str
    password: SecretRef


class SearchCluster(_Frozen):
    """One Elasticsearch cluster. Users are keyed by purpose: `snapshot`, `provision`, `monitoring`, `tenants`."""

    hosts: list[str] = Field(min_length=1, description="https URLs; any of them serves")
    ca_file: Path | None = Field(default=None, description="CA of the cluster; the system's when absent")
    users: dict[str, Credentials]
    role_files: list[Path] = Field(
        default=[],
        description="each node's roles.yml, where roles live in files; empty: roles are put by the security API",
    )


class Postgres(_Frozen):
    """Steward's own database. The password is never part of the URL."""

    url: str = Field(description="postgresql://user@host:port/database")
    password: SecretRef


class ObjectStore(_Frozen):
    """An S3 endpoint. The bucket for evidence has versioning and Object Lock."""

    endpoint: str | None = Field(default=None, description="URL; absent: AWS itself")
    region: str = "us-east-1"
    ca_file: Path | None = None
    access_key: SecretRef
    secret_key: SecretRef
    evidence_bucket: str


class Evidence(_Frozen):
    """How evidence is signed and how long it cannot be deleted."""

    signing_key: SecretRef = Field(description="Ed25519 private key, PKCS #8 PEM")
    public_key: Path = Field(description="the public half, SubjectPublicKeyInfo PEM: what an auditor is given")
    lock_days: int = Field(default=365, ge=1, description="Object Lock retention in compliance mode")


class Operations(_Frozen):
    """How long a run that says nothing keeps its operation."""

    lease_seconds: float = Field(default=15, gt=0, description="after this without a heartbeat, another run takes over")
    heartbeat_seconds: float = Field(default=5, gt=0, description="how often a run renews its lease")
    pending_seconds: float = Field(
        default=30,
        gt=0,
        description="how long a worker may take to begin a run's process; more where images are fetched",
    )

    @model_validator(mode="after")
    def _outlives_heartbeats(self) -> Self:
        # One lost heartbeat is weather; a lease that ends with it would hand a healthy run's work to another.
        if self.lease_seconds < 2 * self.heartbeat_seconds:
            msg = (
                f"a lease of {self.lease_seconds:g} s ends before the second heartbeat of {self.heartbeat_seconds:g} s; "
                "expected lease_seconds to be at least twice heartbeat_seconds"
            )
            raise ValueError(msg)
        return self


class Settings(_Frozen):
    """Every endpoint that Steward reaches."""

    search: dict[str, SearchCluster]
    postgres: Postgres
    objects: ObjectStore
    evidence: Evidence
    operations: Operations = Operations()

    def cluster(self, name: str) -> SearchCluster:
        """The cluster called *name*; BadInput names the ones there are."""
        if name not in self.search:
            raise BadInput(
                f"unknown search cluster {name!r}; known: {', '.join(sorted(self.search))}",
                hint=f"add [search.{name}] to the file that {VARIABLE} names, or use one of the known names",
            )
        return self.search[name]


def load(path: Path | None = None) -> Settings:
    """Settings from *path*, or from the file that `STEWARD_SETTINGS` names. BadInput names the file and the field."""
    named = path or os.environ.get(VARIABLE)
    if not named:
        raise BadInput(f"{VARIABLE} is not set", hint="let it name a settings file; `make up` prints the replica's")
    try:
        return Settings.model_validate(tomllib.loads(Path(named).read_text()))
    except OSError as error:
        raise BadInput(f"cannot read settings {named}: {error.strerror}", hint=f"{VARIABLE} must name a file") from None
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"settings {named} are not TOML: {error}", hint="mend the line it names") from None
    except UnicodeDecodeError:
        raise BadInput(f"settings {named} are not UTF-8 text", hint=f"{VARIABLE} must name a TOML file") from None
    except ValidationError as error:
        # Inputs stay out: a secret written where a reference belongs must not reach a log.
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors(include_input=False)
        )
        raise BadInput(f"settings {named} are not usable: {faults}", hint="see docs/settings.md") from None


def read_secret(reference: str) -> str:
    """The secret that *reference* names. Read where it is used, never passed on, never stored."""
    path = Path(reference.removeprefix("file:"))
    try:
        secret = path.read_text().strip()
    except OSError as error:
        raise BadInput(f"cannot read secret file {path}: {error.strerror}", hint="check its path and mode") from None
    except UnicodeDecodeError:
        # Not chained: that error carries the bytes it could not decode, and Prefect would store them.
        raise BadInput(f"secret file {path} is not UTF-8 text", hint="write the secret as text") from None
    if not secret:
        # A client that is given nothing looks elsewhere: libpq in PGPASSWORD and ~/.pgpass.
        raise BadInput(f"secret file {path} is empty", hint="write the secret into it")
    return secret
