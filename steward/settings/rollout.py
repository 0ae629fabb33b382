"""What a rollout puts a release on, moves traffic with, and is judged by."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from steward.settings.base import Frozen
from steward.settings.references import SecretRef


class ApplicationHost(Frozen):
    """What runs the application's releases, each colour as processes of its own."""

    url: str = Field(pattern="^https?://[^/?#@]+$", description="of its HTTP API, without a path")
    token: SecretRef
    warm: tuple[Annotated[str, Field(pattern="^/")], ...] = Field(
        default=("/healthz",), min_length=1, max_length=50, description="paths that a release is warmed with"
    )


class Balancer(Frozen):
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


class GuardQuery(Frozen):
    """A figure that a rollout's plan may bound. `$colour` and `$backend` stand for what the rollout is of."""

    expression: str = Field(min_length=1, max_length=2000, description="PromQL; one value")
    of: str = Field(
        min_length=1, max_length=500, description="a selector of what it is made of: its age is the figure's"
    )


class Prometheus(Frozen):
    """Where figures are read that a rollout is judged by."""

    url: str = Field(pattern="^https?://[^?#@]+$", description="with its path prefix, if it has one")
    ca_file: Path | None = Field(default=None, description="CA of the server; the system's when absent")
    token: SecretRef | None = Field(default=None, description="a bearer's; absent: it asks for none")
    guards: dict[str, GuardQuery] = Field(
        default={}, description="how a rollout's guards are asked for, by name: more of them, or in place of ours"
    )
