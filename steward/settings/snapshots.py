"""Where snapshot repositories lie, where their copies go, and where a copy is fetched to."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from steward.errors import BadInput
from steward.settings.base import VARIABLE, Frozen
from steward.settings.evidence import ObjectStore, S3Store
from steward.settings.references import SecretRef

BucketName = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
BasePath = Annotated[str, Field(pattern="^([^/\\s]+(/[^/\\s]+)*)?$", max_length=512)]
RepositoryName = Annotated[str, Field(pattern="^[A-Za-z0-9._-]{1,255}$")]


class BucketPlace(Frozen):
    """A bucket, in a store of its own or in that of `[objects]`. Keys are sent nowhere but where they belong."""

    bucket: BucketName
    endpoint: str | None = Field(default=None, description="URL; absent: that of [objects], with its region and CA")
    region: str | None = Field(default=None, description="absent: of [objects], or us-east-1 at an endpoint of its own")
    ca_file: Path | None = Field(default=None, description="absent: of [objects], or the system's likewise")
    access_key: SecretRef | None = Field(default=None, description="absent: the keys of [objects]")
    secret_key: SecretRef | None = None

    @model_validator(mode="after")
    def _keys_where_they_belong(self) -> Self:
        if (self.access_key is None) != (self.secret_key is None):
            msg = "access_key and secret_key belong together; expected both, or neither of them"
            raise ValueError(msg)
        if self.endpoint and not self.access_key:
            msg = "an endpoint of its own needs access_key and secret_key: those of [objects] are not sent there"
            raise ValueError(msg)
        return self

    def store(self, objects: ObjectStore) -> S3Store:
        """Where the bucket is, and by which keys; what this place leaves out is that of *objects*."""
        at = self if self.endpoint else objects
        return S3Store(
            endpoint=at.endpoint,
            region=self.region or at.region or "us-east-1",
            ca_file=self.ca_file or at.ca_file,
            access_key=self.access_key or objects.access_key,
            secret_key=self.secret_key or objects.secret_key,
        )


class FolderRepository(Frozen):
    """A repository of type fs."""

    kind: Literal["fs"]
    path: Path = Field(description="the folder as this machine sees it: read, never written")


class BucketRepository(BucketPlace):
    """A repository of type s3. Its keys should be of a user who may only list and read."""

    kind: Literal["s3"]
    base_path: BasePath = Field(default="", description="as the repository is registered with; empty: the whole bucket")


class Offsite(BucketPlace):
    """The bucket for copies, with versioning and Object Lock: best of another account, at another place."""


class FolderStaging(Frozen):
    """A folder that this machine writes, and clusters read."""

    kind: Literal["fs"]
    path: Path = Field(description="as this machine sees it: what is fetched lies in folders of its own below")
    location: Path | None = Field(
        default=None, description="as the clusters see it, below their path.repo; absent: as this machine does"
    )


class BucketStaging(BucketPlace):
    """A bucket without Object Lock that this machine writes, and clusters read."""

    kind: Literal["s3"]
    base_path: BasePath = Field(default="", description="what is fetched lies below it")
    client: str = Field(
        default="default", pattern="^[a-z0-9_]+$", description="Elasticsearch's own client: s3.client.NAME.*"
    )


Repository = Annotated[FolderRepository | BucketRepository, Field(discriminator="kind")]
Staging = Annotated[FolderStaging | BucketStaging, Field(discriminator="kind")]


class Snapshots(Frozen):
    """What is read, copied and proved of repositories beside what their clusters do. Absent: nothing is."""

    repositories: dict[RepositoryName, Repository] = Field(
        default={}, description="where their blobs are read, by the name that clusters know them by"
    )
    offsite: Offsite | None = Field(default=None, description="absent: nothing is copied off site")
    staging: Staging | None = Field(default=None, description="absent: no copy is proved, and none restored")

    @model_validator(mode="after")
    def _copies_apart(self) -> Self:
        named = chain(self.repositories.items(), [("staging", self.staging)])
        for name, place in named:
            if self.offsite and isinstance(place, BucketPlace) and _same(self.offsite, place):
                msg = f"offsite and {name} are the same bucket; expected another one: what befalls it, befalls both"
                raise ValueError(msg)
        for name, repository in self.repositories.items():
            if self.staging and _overlap(self.staging, repository):
                msg = f"staging lies within {name}, or that within it; expected a place of its own: it is written and cleared"
                raise ValueError(msg)
        return self

    def repository(self, name: str) -> FolderRepository | BucketRepository:
        """Where the blobs of the repository called *name* are read; BadInput names the ones there are."""
        if name not in self.repositories:
            raise BadInput(
                f"the settings do not say where repository {name!r} lies; known: "
                f"{', '.join(sorted(self.repositories)) or 'none'}",
                hint=f"add [snapshots.repositories.{name}] to the file that {VARIABLE} names; docs/settings.md",
            )
        return self.repositories[name]


def _same(one: BucketPlace, other: BucketPlace) -> bool:
    return (one.endpoint, one.bucket) == (other.endpoint, other.bucket)


def _overlap(staging: FolderStaging | BucketStaging, repository: FolderRepository | BucketRepository) -> bool:
    if isinstance(staging, FolderStaging) and isinstance(repository, FolderRepository):
        return _within(staging.path.parts, repository.path.parts)
    if isinstance(staging, BucketStaging) and isinstance(repository, BucketRepository):
        paths = (tuple(filter(None, each.base_path.split("/"))) for each in (staging, repository))
        return _same(staging, repository) and _within(*paths)
    return False


def _within(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether either begins with the other."""
    return all(here == there for here, there in zip(one, other, strict=False))
