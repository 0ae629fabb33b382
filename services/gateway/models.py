"""The aliases, as each provider's API lists models."""

from __future__ import annotations

from typing import Any

import msgspec

from services.gateway.errors import Fault
from steward.ai.catalog import Catalog

#: Aliases have no birthday, and clients want one.
_CREATED, _CREATED_AT = 1_735_689_600, "2025-01-01T00:00:00Z"


def models_body(catalog: Catalog, speaks: str, name: str) -> bytes:
    """All of them, or the one called *name*. Raises Fault 404."""
    told = {alias.name: _model(alias.name, speaks) for alias in catalog.alias}
    if name:
        if name not in told:
            raise Fault(404, "missing", "the gateway knows no such model")
        return msgspec.json.encode(told[name])
    data = list(told.values())
    if speaks == "anthropic":
        ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"], "has_more": False}
        return msgspec.json.encode({"data": data, **ends})
    return msgspec.json.encode({"object": "list", "data": data})


def _model(name: str, speaks: str) -> dict[str, Any]:
    if speaks == "anthropic":
        return {"type": "model", "id": name, "display_name": name, "created_at": _CREATED_AT}
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "steward"}
