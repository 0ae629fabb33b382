"""Where the servers are and how to reach their secrets: one frozen model, built at the edge and passed inward.

`STEWARD_SETTINGS` names one TOML file of endpoints and secret *references*. The replica writes such a file for its
own servers; production writes one for its own. No other code differs between the two.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from steward.errors import BadInput

VARIABLE = "STEWARD_SETTINGS"


#: What Azure Key Vault takes for the name of a key or secret.
_VAULT_NAME = re.compile("[0-9a-zA-Z-]{1,127}")

#: Where what is sent in clear text stays on the machine.
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
#: An address and nothing else: no name, no list, nothing that would be another header.
_MAILBOX = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+$"


def _known_scheme(reference: str) -> str:
    scheme, _, rest = reference.partition(":")
    if not (scheme == "file" and rest) and not (scheme == "keyvault" and _VAULT_NAME.fullmatch(rest)):
        # The value is not echoed: people paste secrets where references belong.
        msg = "a secret reference is file:PATH or keyvault:NAME, never the secret itself"
        raise ValueError(msg)
    return reference


def _in_file(reference: str) -> str:
    if not reference.startswith("file:") or reference == "file:":
        msg = "what opens the vault cannot lie in it: expected file:PATH"
        raise ValueError(msg)
    return reference


_REFERENCE = AfterValidator(_known_scheme)

SecretRef = Annotated[str, _REFERENCE]
"""Where a secret is, never what it is: `file:PATH`, or `keyvault:NAME` for a secret of the vault in `[vault]`."""

FileRef = Annotated[str, AfterValidator(_in_file)]
"""Where a secret is that is needed before the vault can be asked: `file:PATH`."""


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


class Redis(_Frozen):
    """A Redis cluster. Users are keyed by purpose: `limiter`, `gateway`, `operator`, `watch`."""

    hosts: list[str] = Field(
        min_length=1, description="rediss://HOST:PORT, or redis:// without TLS; any of them serves"
    )
    ca_file: Path | None = Field(default=None, description="CA of the cluster; the system's when absent")
    users: dict[str, Credentials]
    reached_at: dict[str, str] = Field(
        default={},
        description="where a node is reached, HOST:PORT, by the HOST:PORT that the cluster itself tells of it",
    )

    @field_validator("hosts")
    @classmethod
    def _all_alike(cls, hosts: list[str]) -> list[str]:
        schemes = {host.partition("://")[0] for host in hosts if _is_redis_origin(host)}
        if len(schemes) != 1 or not all(map(_is_redis_origin, hosts)):
            # The value is not echoed: people paste passwords into URLs.
            msg = "expected rediss://HOST:PORT of every host, or redis://HOST:PORT of every one; users stand in users"
            raise ValueError(msg)
        return hosts

    @field_validator("reached_at")
    @classmethod
    def _addresses(cls, reached_at: dict[str, str]) -> dict[str, str]:
        if not all(_is_redis_origin(f"redis://{address}") for pair in reached_at.items() for address in pair):
            msg = "expected HOST:PORT on both sides"
            raise ValueError(msg)
        return reached_at

    @property
    def tls(self) -> bool:
        """Whether its hosts speak TLS."""
        return self.hosts[0].startswith("rediss://")


class ObjectStore(_Frozen):
    """An S3 endpoint. The bucket for evidence has versioning and Object Lock; that for backups must have no lock."""

    endpoint: str | None = Field(default=None, description="URL; absent: AWS itself")
    region: str = "us-east-1"
    ca_file: Path | None = None
    access_key: SecretRef
    secret_key: SecretRef
    evidence_bucket: str
    backup_bucket: str | None = Field(
        default=None, description="for backups of the keyring, which must be deletable; absent: Steward takes none"
    )


class Evidence(_Frozen):
    """How evidence and the checkpoints of its log are signed, and how long it cannot be deleted."""

    signing_key: SecretRef = Field(description="Ed25519 private key, PKCS #8 PEM")
    public_key: Path = Field(description="the public half, SubjectPublicKeyInfo PEM: what an auditor is given")
    lock_days: int = Field(default=365, ge=1, description="Object Lock retention in compliance mode")
    checkpoint_key: str | None = Field(
        default=None,
        pattern=f"^{_VAULT_NAME.pattern}$",
        description="the vault's EC P-256 key that signs the log's checkpoints; absent: nothing signs them",
    )
    checkpoint_public_keys: Path | None = Field(
        default=None,
        description="PEM file of every public key that checkpoints are or were signed with: auditors are given it too",
    )

    @model_validator(mode="after")
    def _checkpoints_can_be_verified(self) -> Self:
        if (self.checkpoint_key is None) != (self.checkpoint_public_keys is None):
            msg = "checkpoint_key and checkpoint_public_keys belong together; expected both, or neither of them"
            raise ValueError(msg)
        return self


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


class Vault(_Frozen):
    """An Azure Key Vault, and who asks it. Without `client_id`: DefaultAzureCredential, as Azure's hosts provide it."""

    url: str = Field(description="https://NAME.vault.azure.net")
    authority: str | None = Field(default=None, description="https URL of the token issuer; absent: Microsoft's own")
    tenant: str | None = Field(default=None, description="the directory that client_id belongs to")
    client_id: str | None = None
    client_secret: FileRef | None = None
    ca_file: Path | None = Field(default=None, description="CA of vault and issuer; public ones when absent")
    verify_challenge_resource: bool = Field(
        default=True, description="whether the vault's host must belong to the resource that it asks tokens for"
    )

    @field_validator("url", "authority")
    @classmethod
    def _over_tls(cls, url: str | None) -> str | None:
        if url is not None and not _is_origin(url):
            msg = "expected https://HOST, without user, path or query: tokens are sent there"
            raise ValueError(msg)
        return url

    @model_validator(mode="after")
    def _whole_login(self) -> Self:
        login = (self.tenant, self.client_id, self.client_secret)
        if any(login) and not all(login):
            msg = "tenant, client_id and client_secret belong together; expected all three, or none of them"
            raise ValueError(msg)
        return self


class Keyring(_Frozen):
    """The database of wrapped tenant keys, apart from every other. The password is never part of the URL."""

    url: str = Field(description="postgresql://user@host:port/database; applications: a user that may only read")
    password: SecretRef
    kek: str = Field(pattern=f"^{_VAULT_NAME.pattern}$", description="the vault's key that wraps tenants' master keys")
    # Below three, a run that is a day late would already break the promise.
    backup_days: int = Field(
        default=30, ge=3, le=3650, description="no backup of it becomes older: what is erased is in none after that"
    )


class Application(_Frozen):
    """An application's database that has encrypted columns, as the user that re-encrypts. The password is never part of the URL."""

    url: str = Field(description="postgresql://user@host:port/database")
    password: SecretRef
    encrypted: Path = Field(description="TOML file that tells which of its columns are encrypted")


class Provider(_Frozen):
    """One account at a provider of AI: an organisation or a workspace, by its key."""

    kind: Literal["openai", "anthropic"] = Field(description="whose API it speaks")
    url: str = Field(pattern="^https?://[^/?#@]+$", description="without a path: https://api.openai.com")
    key: SecretRef
    admin_key: SecretRef | None = Field(
        default=None, description="lists, makes and revokes keys, and reads limits and costs"
    )
    project: str | None = Field(
        default=None, description="of the key: OpenAI's project or Anthropic's workspace, by its id"
    )


class Gateway(_Frozen):
    """The way to AI providers."""

    catalog: Path = Field(description="TOML file of what may be asked for, and who serves it")
    callers: Path = Field(description="TOML file of who may ask, by the hashes of their keys")


class Audit(_Frozen):
    """What `audit-keys` is held against, and what no server tells it: files that others write."""

    policy: Path | None = Field(default=None, description="TOML file of the policy; absent: the one that is shipped")
    role_assignments: Path | None = Field(
        default=None, description="what `az role assignment list --scope VAULT --include-inherited -o json` printed"
    )
    vault_log: Path | None = Field(default=None, description="the vault's own log of audit events, one JSON a line")


class Costs(_Frozen):
    """What providers' bills are held against, beside the ledger: files, each of which may be absent."""

    prices: Path | None = Field(
        default=None, description="TOML file of prices that go before the public list's; absent: that list alone"
    )
    budgets: Path | None = Field(
        default=None, description="TOML file of budgets of a month; absent: nobody is told and nothing stops"
    )
    terms: Path | None = Field(
        default=None, description="TOML file of what was agreed with each account's provider; absent: nothing was"
    )


class FlagToken(_Frozen):
    """Who may use the flag server's API: the name that its token goes by is written into the history."""

    role: Literal["reader", "writer"]
    token: SecretRef


class FlagApplication(_Frozen):
    """Steward's database as applications have it, to count outcomes. The password is never part of the URL."""

    url: str = Field(description="postgresql://flags_application@host:port/database")
    password: SecretRef


class Flags(_Frozen):
    """The flag server: where SDKs and people reach it, and who may change flags."""

    sync: str = Field(pattern="^[^/?#@:]+:[0-9]{1,5}$", description="HOST:PORT of flagd.sync.v1, which speaks TLS")
    authority: str | None = Field(default=None, description="the name in its certificate; absent: the host")
    ca_file: Path | None = Field(default=None, description="CA of that certificate; the system's when absent")
    url: str = Field(pattern="^https?://[^/?#@]+$", description="of its HTTP API, without a path")
    certificate: Path | None = Field(default=None, description="the server's own, PEM; SDKs and flows need none")
    certificate_key: Path | None = Field(default=None, description="of that certificate, PEM, without a passphrase")
    tokens: dict[str, FlagToken] = Field(default={}, description="by who they are given to")
    application: FlagApplication | None = Field(default=None, description="absent: nobody counts outcomes from here")

    @model_validator(mode="after")
    def _whole_certificate(self) -> Self:
        if (self.certificate is None) != (self.certificate_key is None):
            msg = "certificate and certificate_key belong together; expected both, or neither of them"
            raise ValueError(msg)
        return self


class ApplicationHost(_Frozen):
    """What runs the application's releases, each colour as processes of its own."""

    url: str = Field(pattern="^https?://[^/?#@]+$", description="of its HTTP API, without a path")
    token: SecretRef
    warm: tuple[Annotated[str, Field(pattern="^/")], ...] = Field(
        default=("/healthz",), min_length=1, max_length=50, description="paths that a release is warmed with"
    )


class SlackTarget(_Frozen):
    """A channel that takes what Slack's incoming webhooks take."""

    kind: Literal["slack"]
    url: SecretRef = Field(description="of the webhook: whoever has it may write there")


class MailTarget(_Frozen):
    """Readers by e-mail, over one SMTP server."""

    kind: Literal["mail"]
    host: str = Field(pattern="^[^\\s/@]+$")
    port: int = Field(default=587, ge=1, le=65535)
    tls: Literal["starttls", "tls", "none"] = Field(default="starttls", description="none: on loopback only")
    ca_file: Path | None = Field(default=None, description="CA of the server; the system's when absent")
    user: Credentials | None = None
    sender: str = Field(pattern=_MAILBOX, description="the address that it is from")
    to: list[Annotated[str, Field(pattern=_MAILBOX)]] = Field(min_length=1, max_length=50)

    @model_validator(mode="after")
    def _clear_text_stays_here(self) -> Self:
        if self.tls == "none" and (self.host not in LOOPBACK or self.user):
            msg = "tls none is for a server on loopback that wants no password; expected starttls or tls"
            raise ValueError(msg)
        return self


class GitHubTarget(_Frozen):
    """The deployment that a release came from, at GitHub."""

    kind: Literal["github"]
    url: str = Field(default="https://api.github.com", description="of the API; Enterprise: https://HOST/api/v3")
    token: SecretRef = Field(description="may write deployment statuses of the repository")
    repository: str = Field(pattern="^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", description="OWNER/NAME")

    @field_validator("url")
    @classmethod
    def _over_tls(cls, url: str) -> str:
        parts = urlsplit(url)
        plain = parts.hostname and not (parts.username or parts.password or parts.query or parts.fragment)
        if not plain or not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)):
            msg = "expected https://HOST or https://HOST/PATH, without user or query: the token is sent there"
            raise ValueError(msg)
        return url.rstrip("/")


NoticeTarget = SlackTarget | MailTarget | GitHubTarget


class Notices(_Frozen):
    """Who is told what a rollout does."""

    targets: dict[str, Annotated[NoticeTarget, Field(discriminator="kind")]] = {}
    pages: str | None = Field(
        default=None,
        pattern="^https?://[^/?#@]+$",
        description="where people reach the status pages, without a path; absent: url in [flags]",
    )
    templates: Path | None = Field(default=None, description="folder of templates; absent: the shipped ones")


class Balancer(_Frozen):
    """HAProxy before one environment of the application: its runtime API moves traffic, and needs no password."""

    url: str = Field(pattern="^https?://[^/?#@]+$", description="where users reach it, without a path")
    runtime: str = Field(
        pattern="^(unix:/.+|tcp:[^\\s/:@]+:[0-9]+)$", description="unix:PATH, or tcp:HOST:PORT, of level admin"
    )
    backend: str = Field(default="app", pattern="^[A-Za-z0-9_.:-]+$", description="HAProxy's name of the application")
    state_file: Path | None = Field(
        default=None,
        description="HAProxy's server-state-file, kept as it is; absent: somebody at HAProxy's host keeps it",
    )


class GuardQuery(_Frozen):
    """A figure that a rollout's plan may bound. `$colour` and `$backend` stand for what the rollout is of."""

    expression: str = Field(min_length=1, max_length=2000, description="PromQL; one value")
    of: str = Field(
        min_length=1, max_length=500, description="a selector of what it is made of: its age is the figure's"
    )


class Prometheus(_Frozen):
    """Where figures are read that a rollout is judged by."""

    url: str = Field(pattern="^https?://[^?#@]+$", description="with its path prefix, if it has one")
    ca_file: Path | None = Field(default=None, description="CA of the server; the system's when absent")
    token: SecretRef | None = Field(default=None, description="a bearer's; absent: it asks for none")
    guards: dict[str, GuardQuery] = Field(
        default={}, description="how a rollout's guards are asked for, by name: more of them, or in place of ours"
    )


class Settings(_Frozen):
    """Every endpoint that Steward reaches."""

    search: dict[str, SearchCluster]
    postgres: Postgres
    objects: ObjectStore
    evidence: Evidence
    operations: Operations = Operations()
    vault: Vault | None = None
    keyring: Keyring | None = None
    redis: Redis | None = None
    providers: dict[str, Provider] = Field(default={}, description="accounts at providers of AI, by name")
    gateway: Gateway | None = None
    applications: dict[str, Application] = Field(default={}, description="all that keep fields under tenants' keys")
    audit: Audit = Audit()
    costs: Costs | None = None
    flags: Flags | None = None
    application_hosts: dict[str, ApplicationHost] = Field(default={}, description="of the application, by environment")
    notices: Notices = Notices()

    balancers: dict[str, Balancer] = Field(default={}, description="before the application, by environment")
    prometheus: Prometheus | None = None

    @model_validator(mode="after")
    def _vault_where_referred_to(self) -> Self:
        referring = [path for path, reference in _references(self) if reference.startswith("keyvault:")]
        if referring and self.vault is None:
            msg = f"{', '.join(referring)} names a secret of the vault, and there is no [vault]"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _vault_where_checkpoints_are_signed(self) -> Self:
        if self.evidence.checkpoint_key and self.vault is None:
            msg = "evidence.checkpoint_key names a key of the vault, and there is no [vault]"
            raise ValueError(msg)
        return self

    def cluster(self, name: str) -> SearchCluster:
        """The cluster called *name*; BadInput names the ones there are."""
        if name not in self.search:
            raise BadInput(
                f"unknown search cluster {name!r}; known: {', '.join(sorted(self.search))}",
                hint=f"add [search.{name}] to the file that {VARIABLE} names, or use one of the known names",
            )
        return self.search[name]

    def balancer(self, environment: str) -> Balancer:
        """The load balancer of *environment*; BadInput names the ones there are."""
        if environment not in self.balancers:
            raise BadInput(
                f"no load balancer of environment {environment!r}; known: {', '.join(sorted(self.balancers)) or 'none'}",
                hint=f"add [balancers.{environment}] to the file that {VARIABLE} names; docs/settings.md",
            )
        return self.balancers[environment]

    def application_host(self, environment: str) -> ApplicationHost:
        """What runs the releases of *environment*; BadInput names the ones there are."""
        if environment not in self.application_hosts:
            known = ", ".join(sorted(self.application_hosts)) or "none"
            raise BadInput(
                f"no application host of environment {environment!r}; known: {known}",
                hint=f"add [application_hosts.{environment}] to the file that {VARIABLE} names; docs/settings.md",
            )
        return self.application_hosts[environment]

    @property
    def reconciled(self) -> Costs:
        """Of what costs are held against; BadInput where nobody said."""
        if self.costs is None:
            raise BadInput(
                "the settings tell of no costs",
                hint=f"add [costs] to the file that {VARIABLE} names; docs/settings.md",
            )
        return self.costs


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
            ": ".join(filter(None, (".".join(map(str, fault["loc"])), fault["msg"])))
            for fault in error.errors(include_input=False)
        )
        raise BadInput(f"settings {named} are not usable: {faults}", hint="see docs/settings.md") from None


def read_secret(reference: str) -> str:
    """The secret in the file that *reference*, `file:PATH`, names. Read where it is used, never passed on, never stored.

    A reference that may also be `keyvault:NAME` is read by `steward.clients.secrets`.
    """
    if not reference.startswith("file:"):
        raise BadInput("this secret can only be read from a file", hint="write its reference as file:PATH")
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


def _is_origin(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # Reading the port checks it.
        plain = parts.port != 0 and not (parts.username or parts.password or parts.query or parts.fragment)
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname) and plain and parts.path in {"", "/"}


def _is_redis_origin(url: str) -> bool:
    try:
        parts = urlsplit(url)
        plain = bool(parts.hostname and parts.port) and "@" not in parts.netloc
    except ValueError:
        return False
    return parts.scheme in {"redis", "rediss"} and plain and not (parts.path or parts.query or parts.fragment)


def _references(part: BaseModel, path: str = "") -> Iterator[tuple[str, str]]:
    """(dotted path, reference) of every SecretRef in *part* and below."""
    for name, field in type(part).model_fields.items():
        value: object = getattr(part, name)
        if _REFERENCE in field.metadata and isinstance(value, str):
            yield f"{path}{name}", value
        yield from _references_below(value, f"{path}{name}.")


def _references_below(value: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, BaseModel):
        yield from _references(value, path)
    elif isinstance(value, Mapping):
        for name, each in cast("Mapping[str, Any]", value).items():
            yield from _references_below(each, f"{path}{name}.")
