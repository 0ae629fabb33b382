"""Steward's own database."""

from __future__ import annotations

from pydantic import Field

from steward.settings.base import Frozen
from steward.settings.references import SecretRef


class Postgres(Frozen):
    """Steward's own database. The password is never part of the URL."""

    url: str = Field(description="postgresql://user@host:port/database")
    password: SecretRef
