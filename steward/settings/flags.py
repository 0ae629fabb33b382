"""The flag server, and those who count outcomes for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from steward.settings.base import Frozen
from steward.settings.references import SecretRef


class FlagToken(Frozen):
    """Who may use the flag server's API: the name that its token goes by is written into the history."""

    role: Literal["reader", "writer"]
    token: SecretRef


class FlagApplication(Frozen):
    """Steward's database as applications have it, to count outcomes. The password is never part of the URL."""

    url: str = Field(description="postgresql://flags_application@host:port/database")
    password: SecretRef


class Flags(Frozen):
    """The flag server: where SDKs and people reach it, and who may change flags."""

    sync: str = Field(pattern="^[^/?#@:]+:[0-9]{1,5}$", description="HOST:PORT of flagd.sync.v1, which speaks TLS")
    authority: str | None = Field(default=None, description="the name in its certificate; absent: the host")
    ca_file: Path | None = Field(default=None, description="CA of that certificate; the system's when absent")
    url: str = Field(pattern="^https?://[^/?#@]+$", description="of its HTTP API, without a path")
    servers: tuple[Annotated[str, Field(pattern="^https?://[^/?#@]+$")], ...] = Field(
        default=(),
        description="where several serve behind that URL: each one's own, to ask whether all tell SDKs the same",
    )
    certificate: Path | None = Field(default=None, description="the server's own, PEM; SDKs and flows need none")
    certificate_key: Path | None = Field(default=None, description="of that certificate, PEM, without a passphrase")
    tokens: dict[str, FlagToken] = Field(default={}, description="by who they are given to")
    application: FlagApplication | None = Field(default=None, description="absent: nobody counts outcomes from here")

    @property
    def each_url(self) -> tuple[str, ...]:
        """Of every server."""
        return self.servers or (self.url,)

    @model_validator(mode="after")
    def _whole_certificate(self) -> Self:
        if (self.certificate is None) != (self.certificate_key is None):
            msg = "certificate and certificate_key belong together; expected both, or neither of them"
            raise ValueError(msg)
        return self
