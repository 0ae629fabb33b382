"""What a process of the shop is told: where its servers are; secrets by reference."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from steward.settings import Flags, SecretRef

VARIABLE = "SHOP_SETTINGS"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ShopDatabase(_Frozen):
    """The shop's own, as one of its users has it."""

    url: str
    password: SecretRef


class ShopSettings(_Frozen):
    """The file that `SHOP_SETTINGS` names."""

    database: ShopDatabase = Field(description="as the application has it: it reads products and keeps baskets")
    owner: ShopDatabase = Field(description="as whoever lays its tables has it")
    salt: SecretRef = Field(description="with it users are made pseudonyms; the same for every process")
    flags: Flags | None = None
    """Absent: nobody is exposed to anything, and the shop says that it is not ready."""

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """From *path*, or where the environment says."""
        return cls.model_validate(tomllib.loads((path or Path(os.environ[VARIABLE])).read_text()))
