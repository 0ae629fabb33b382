"""The Redis cluster that limits are counted in."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from steward.settings.addresses import is_redis_origin
from steward.settings.base import Credentials, Frozen


class Redis(Frozen):
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
        schemes = {host.partition("://")[0] for host in hosts if is_redis_origin(host)}
        if len(schemes) != 1 or not all(map(is_redis_origin, hosts)):
            # The value is not echoed: people paste passwords into URLs.
            msg = "expected rediss://HOST:PORT of every host, or redis://HOST:PORT of every one; users stand in users"
            raise ValueError(msg)
        return hosts

    @field_validator("reached_at")
    @classmethod
    def _addresses(cls, reached_at: dict[str, str]) -> dict[str, str]:
        if not all(is_redis_origin(f"redis://{address}") for pair in reached_at.items() for address in pair):
            msg = "expected HOST:PORT on both sides"
            raise ValueError(msg)
        return reached_at

    @property
    def tls(self) -> bool:
        """Whether its hosts speak TLS."""
        return self.hosts[0].startswith("rediss://")
