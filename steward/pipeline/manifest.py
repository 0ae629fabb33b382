"""pipeline.toml: a repository's own word on how it is built, tested and proved."""

from __future__ import annotations

import datetime as dt
import tomllib
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from steward.pipeline.errors import UnusableManifest

FORMAT = "steward-pipeline-v1"
FILE = "pipeline.toml"
#: A stage's time where the repository says nothing; the settings' `most_seconds` bounds whatever it says.
SECONDS = 600.0
_LONGEST = 64 * 1024


def _inside(path: str) -> str:
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts or "\\" in path or not path.strip():
        msg = "expected a path below the repository's root, as src/app: no leading /, no .."
        raise ValueError(msg)
    return path


Inside = Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f]+$"), AfterValidator(_inside)]
"""A path, or a pattern of paths, of the checkout."""

Word = Annotated[str, Field(max_length=4000, pattern=r"^[^\x00]*$")]
Command = Annotated[tuple[Word, ...], Field(min_length=1, max_length=100)]
"""A program and its arguments. No shell reads it: `["sh", "-c", "…"]` where one is wanted."""
Seconds = Annotated[float, Field(gt=0, le=4 * 3600, allow_inf_nan=False)]
Reason = Annotated[
    str, Field(min_length=5, max_length=500, description="why this is accepted; it stays in the evidence")
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Build(_Part):
    """How the artifact comes to be: what is handed to the application's host when all is proved."""

    command: Command
    artifact: Inside = Field(description="a pattern that fits exactly one file when the command is done")
    seconds: Seconds = SECONDS


class Tests(_Part):
    """Tests that leave a JUnit XML file behind."""

    command: Command
    junit: Inside = Field(description="where the command writes its JUnit XML")
    seconds: Seconds = SECONDS


class Migrations(_Part):
    """Changes of the database's schema. Each command is told DATABASE_URL and REVISION in its environment."""

    tool: Literal["alembic"] = "alembic"
    folder: Inside = Field(default="migrations", description="absent from a commit: it has no migrations")
    upgrade: Command = Field(
        default=("alembic", "upgrade", "{revision}"), description="to {revision}, `head` for the newest"
    )
    downgrade: Command = Field(default=("alembic", "downgrade", "{revision}"), description="to {revision}, or `base`")
    current: Command = Field(default=("alembic", "current"), description="prints the revision that the database is at")
    seed: Command | None = Field(default=None, description="rows for the copy, where no sample is to be had")
    compatible_command: Command | None = Field(
        default=None, description="tests of a release that must pass on its successor's schema as well"
    )
    seconds: Seconds = SECONDS


class AcceptedVulnerability(_Part):
    """A known vulnerability that does not matter here, until a day on which somebody looks again."""

    id: str = Field(pattern=r"^[A-Za-z]+-[A-Za-z0-9-]+$", max_length=100, description="PYSEC-…, GHSA-… or CVE-…")
    reason: Reason
    until: dt.date


class AcceptedSecret(_Part):
    """What looks like a secret and is none."""

    file: Inside
    hash: str = Field(pattern=r"^[0-9a-f]{40}$", description="as the finding tells it: detect-secrets' SHA-1")
    reason: Reason
    until: dt.date | None = None


class Security(_Part):
    """What is scanned, and what of it is accepted."""

    lock: Inside = Field(description="requirements with versions and hashes: all that is installed with a release")
    sources: tuple[Inside, ...] = Field(default=(".",), min_length=1, max_length=50)
    vulnerabilities: tuple[AcceptedVulnerability, ...] = Field(default=(), max_length=100)
    secrets: tuple[AcceptedSecret, ...] = Field(default=(), max_length=500)
    seconds: Seconds = SECONDS


class Performance(_Part):
    """One run of a workload; candidate and certified release are run in turns.

    The command prints, as its last line, a JSON object that holds *figure*: one number, or a list of them.
    """

    command: Command
    figure: str = Field(default="milliseconds", pattern=r"^[a-z][a-z0-9_]{0,63}$", description="less is better")
    tolerance: float = Field(default=0.1, gt=0, le=1, description="so much slower is no harm: 0.1 is ten per cent")
    pairs: int = Field(default=6, ge=6, le=50, description="at first; a median of fewer has no interval of 95 %")
    most_pairs: int = Field(default=20, ge=6, le=100, description="before it is said to be unknown")
    seconds: Seconds = Field(default=60.0, description="of one run")
    stage_seconds: Seconds = Field(default=1200.0, description="of all runs")

    @model_validator(mode="after")
    def _more_is_not_less(self) -> Performance:
        if self.most_pairs < self.pairs:
            msg = f"most_pairs ({self.most_pairs}) is less than pairs ({self.pairs})"
            raise ValueError(msg)
        return self


class Manifest(_Part):
    """The whole file. A stage that has no table is not proved: its gate is UNKNOWN."""

    format: Literal["steward-pipeline-v1"]
    build: Build
    unit_tests: Tests | None = None
    contract_tests: Tests | None = None
    migrations: Migrations | None = None
    security: Security | None = None
    performance: Performance | None = None


def read_manifest(text: bytes, where: str = FILE) -> Manifest:
    """What *text* says. Raises UnusableManifest: each fault with its path, what was expected, and how to mend it."""
    if len(text) > _LONGEST:
        raise UnusableManifest(f"{where} has {len(text):,} bytes", hint=f"{_LONGEST:,} are enough for a pipeline")
    try:
        return Manifest.model_validate(tomllib.loads(text.decode()))
    except UnicodeDecodeError:
        raise UnusableManifest(f"{where} is not UTF-8 text", hint="TOML is written in UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise UnusableManifest(f"{where} is no TOML: {error}", hint="see https://toml.io") from None
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:10])
        raise UnusableManifest(f"{where}: {faults}", hint="docs/pipeline.md has each table with its fields") from None
