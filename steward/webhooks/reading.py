"""What all senders' payloads have in common: models of the fields that are read, and the words for what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from steward.webhooks.delivery import Payload
from steward.webhooks.errors import BadHeader, MalformedBody

#: What ids and events look like, wherever they come from: they go into logs, keys and names of runs.
PLAIN = re.compile(r"[0-9A-Za-z][0-9A-Za-z._:/@+=-]{0,199}")


def _written(value: Any) -> Any:
    """Of a time, its text alone: a number may be seconds or milliseconds."""
    if not isinstance(value, str) or "T" not in value.upper():
        msg = "expected a time of RFC 3339: 2026-11-27T10:00:00Z"
        raise ValueError(msg)
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written)]
Id = Annotated[int, Field(strict=True, ge=1, lt=2**63)]
Word = Annotated[str, Field(strict=True, pattern=r"^[0-9A-Za-z_.-]{1,64}$")]


class Part(BaseModel):
    """What is read of it; the rest is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


Read = TypeVar("Read", bound=Part)


def read_part(kind: type[Read], payload: Payload, event: str) -> Read:
    """*payload* as *kind*. Raises MalformedBody, which names fields and never values."""
    try:
        return kind.model_validate(payload)
    except ValidationError as error:
        faults = "; ".join(
            ": ".join(filter(None, (".".join(map(str, fault["loc"])), fault["msg"])))
            for fault in error.errors(include_input=False, include_url=False)
        )
        raise MalformedBody(f"the body is no {event}: {faults}", hint="docs/webhooks.md tells what is read") from None


def demand_header(headers: Mapping[str, str], name: str) -> str:
    """The header *name*, which *headers* have in lower case. Raises BadHeader."""
    value = headers.get(name.lower(), "")
    if not PLAIN.fullmatch(value):
        seen = "has characters or a length that ids do not have" if value else "is missing"
        raise BadHeader(f"{name} {seen}", hint="letters, digits and . _ : / @ + = - alone, 200 at most")
    return value
