"""Providers of AI, and the way to them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from steward.settings.base import Frozen
from steward.settings.references import SecretRef


class Provider(Frozen):
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


class Gateway(Frozen):
    """The way to AI providers."""

    catalog: Path = Field(description="TOML file of what may be asked for, and who serves it")
    callers: Path = Field(description="TOML file of who may ask, by the hashes of their keys")
