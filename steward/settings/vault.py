"""The vault, and how it is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from steward.settings.addresses import is_origin
from steward.settings.base import Frozen
from steward.settings.references import FileRef


class Vault(Frozen):
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
        if url is not None and not is_origin(url):
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
