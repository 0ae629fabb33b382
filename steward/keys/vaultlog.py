"""The vault's own log of requests, as Azure's diagnostic setting for AuditEvent writes it: a JSON object a line.

Source: https://learn.microsoft.com/azure/key-vault/general/logging ("Interpret your Key Vault logs").
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from steward.errors import BadInput
from steward.keys.actions import Action, name_and_version

_APPLICATION = "appid"
_OBJECT = "http://schemas.microsoft.com/identity/claims/objectidentifier"


class VaultLogUnusable(BadInput):
    """A line of the vault's log cannot be read, so nothing can be said of all of them."""


@dataclass(frozen=True, slots=True)
class Logged:
    """One request that the vault answered, refused ones too."""

    time: datetime
    action: Action
    request_id: UUID | None
    """As the caller chose it; None where it is no UUID: then it is nobody's that the journal knows."""
    principals: frozenset[str]
    """Application and object id of who asked; empty where no valid token came along."""
    status: int


def read_vault_log(lines: Iterable[str], name: str) -> Iterator[Logged]:
    """The requests that *lines* of the log *name* tell of, each once. VaultLogUnusable names the line."""
    seen = set[Logged]()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            logged = _logged(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise VaultLogUnusable(
                f"line {number} of {name} is none of a vault's log: {type(error).__name__}",
                hint="give whole files of the AuditEvent category, a JSON object a line",
            ) from None
        # Azure delivers a line at least once; what came twice in truth differs in its time.
        if logged not in seen:
            seen.add(logged)
            yield logged


def _logged(event: dict[str, Any]) -> Logged:
    properties: dict[str, Any] = event["properties"]
    claim: dict[str, Any] = (event.get("identity") or {}).get("claim") or {}
    return Logged(
        time=_moment(event["time"]),
        action=Action(str(event["operationName"]), *name_and_version(str(properties.get("requestUri", "")))),
        request_id=_uuid(event.get("correlationId")),
        principals=frozenset(str(claim[kind]).lower() for kind in (_APPLICATION, _OBJECT) if claim.get(kind)),
        status=int(properties.get("httpStatusCode", 0)),
    )


def _moment(text: str) -> datetime:
    # Azure writes seven digits of a second.
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}+00:00")


def _uuid(text: object) -> UUID | None:
    try:
        return UUID(str(text))
    except ValueError:
        return None
