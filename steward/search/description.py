"""The typed description of a search cluster: the one place where its size, its repository and its limits are said.

Everything under `deployments/elasticsearch/` is rendered from it, and `provision-search` compares a cluster with it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from steward.errors import BadInput

NodeName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,61}[a-z0-9]$")]
RepositoryKind = Literal["fs", "s3"]


class _Described(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Node(_Described):
    """One machine. There is no role here: every node is master-eligible, holds data and runs pipelines (ADR 1)."""

    name: NodeName
    host: str = Field(min_length=1, max_length=253, description="name or address that the other nodes reach it by")


class Size(_Described):
    """What each machine has. All are equal, since any of them may have to carry a lost one's shards."""

    cpus: int = Field(ge=2, le=128)
    memory_gib: int = Field(ge=2, le=512)
    disk_gib: int = Field(ge=20, le=16384)

    @property
    def heap_mib(self) -> int:
        """Half of the memory: the other half is the page cache, which Lucene lives on.

        At most 31 GiB: the largest heap whose object pointers the Java machine still keeps in 32 bits.
        """
        return min(self.memory_gib * 1024 // 2, 31 * 1024)


class Tls(_Described):
    """TLS on both layers. Certificates are PEM files in each node's configuration folder, `<folder>/<node>.crt`."""

    protocol: Literal["TLSv1.3"] = "TLSv1.3"
    folder: str = Field(default="certs", pattern=r"^[a-z0-9_-]+$")


class FsRepository(_Described):
    """A repository in a folder that all nodes share. Relative to `path.repo`; `.` is that folder itself."""

    type: Literal["fs"] = "fs"
    location: str = Field(default=".", pattern=r"^[A-Za-z0-9_./-]+$")
    path_repo: str = Field(default="/var/lib/elasticsearch-snapshots", pattern=r"^/[A-Za-z0-9_./-]+$")


class S3Repository(_Described):
    """A repository in a bucket of its own. Keys live in each node's keystore, or the machine's role opens the bucket."""

    type: Literal["s3"] = "s3"
    bucket: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    base_path: str = Field(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$")
    region: str = Field(pattern=r"^[a-z0-9-]{2,32}$")
    endpoint: str | None = Field(default=None, pattern=r"^https://", description="absent: AWS's own for the region")


class Repositories(_Described):
    """The snapshot repository, in the two kinds it comes in: a shared folder on one site, a bucket in production."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")
    rendered: RepositoryKind = Field(description="the kind that the rendered nodes are set up for")
    fs: FsRepository
    s3: S3Repository

    def of(self, kind: RepositoryKind) -> FsRepository | S3Repository:
        return self.fs if kind == "fs" else self.s3


class Retention(_Described):
    """How long verified snapshots are kept, and how long a bucket keeps what was deleted from it."""

    days: int = Field(ge=1, le=3650)


class Watermarks(_Described):
    """Fill levels of a node's disk, in percent: no new shards, shards move away, indices become read-only."""

    low: int = Field(ge=50, le=98)
    high: int = Field(ge=50, le=98)
    flood_stage: int = Field(ge=50, le=98)

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if not self.low < self.high < self.flood_stage:
            msg = f"saw low {self.low}, high {self.high}, flood_stage {self.flood_stage}; expected them to rise"
            raise ValueError(msg)
        return self


class TenantIndices(_Described):
    """How an index of a tenant is cut. One shard each: there are many tenants, and a shard holds millions."""

    shards: int = Field(default=1, ge=1, le=32)
    replicas: int = Field(default=1, ge=1, le=2)


class SearchDescription(_Described):
    """One search cluster, described.

    Elasticsearch's version is said because an unknown setting stops a node: what is rendered is for that version.
    """

    version: str = Field(pattern=r"^9\.\d+\.\d+$")
    cluster: NodeName
    first_start: bool = Field(default=False, description="name the initial masters; true for the very first start only")
    nodes: tuple[Node, ...]
    size: Size
    tls: Tls = Tls()
    repository: Repositories
    retention: Retention
    watermarks: Watermarks
    tenants: TenantIndices = TenantIndices()

    @field_validator("nodes")
    @classmethod
    def _quorum(cls, nodes: tuple[Node, ...]) -> tuple[Node, ...]:
        if len(nodes) < 3 or len(nodes) % 2 == 0:  # noqa: PLR2004  # three is the smallest majority that bears a loss
            msg = f"saw {len(nodes)} nodes; expected an odd number of at least 3, or a lost node takes the majority"
            raise ValueError(msg)
        for what in ("name", "host"):
            if repeated := _repeated(getattr(node, what) for node in nodes):
                msg = f"saw the {what} {repeated} twice; expected each node to have its own"
                raise ValueError(msg)
        return nodes


def _repeated(values: Iterable[str]) -> str | None:
    seen: set[str] = set()
    # set.add answers None, so the first value already seen is the one that is found.
    return next((value for value in values if value in seen or seen.add(value)), None)


def load_description(path: Path) -> SearchDescription:
    """The description in the TOML file *path*. BadInput names the file, the field, what was seen and expected."""
    try:
        fields: dict[str, Any] = tomllib.loads(path.read_text())
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}", hint="name a description that exists") from None
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path} is not TOML: {error}", hint="mend the line it names") from None
    try:
        return SearchDescription.model_validate(fields)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise BadInput(
            f"{path} describes no cluster: {faults}", hint="its bounds: steward/search/description.py"
        ) from None
