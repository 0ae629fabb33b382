"""Flows for the tests of what Prefect is told about flows."""

from prefect import flow
from pydantic import BaseModel, ConfigDict, Field


class Request(BaseModel):
    """What is asked for."""

    model_config = ConfigDict(extra="forbid")

    apply: bool = Field(default=False, title="Apply", description="Off: only look.")


@flow(name="look")
def look(request: Request):
    """Look.

    Args:
        request: What to look for.
    """


@flow(name="mute")
def mute(word: str):
    pass
