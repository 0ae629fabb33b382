"""What every part of the settings is made of."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from steward.settings.references import SecretRef

VARIABLE = "STEWARD_SETTINGS"


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Credentials(Frozen):
    """A server's user, and where its password is."""

    username: str
    password: SecretRef
