"""Keys of an Anthropic organisation: listed, switched off, archived. Its API makes none.

Source: https://platform.claude.com/docs/en/api/admin-api/apikeys
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from steward.ai.key_rotation import OldKey
from steward.ai.key_rotation_errors import ProviderRefused
from steward.ai.keys import ProviderKey
from steward.clients.provider_asking import Asking

_KEYS = "/v1/organizations/api_keys"
_PAGE = 100
_ACTIVE, _ARCHIVED = "active", "archived"


def anthropic_headers(secret: str) -> dict[str, str]:
    """As Anthropic's API takes a key."""
    return {"x-api-key": secret, "anthropic-version": "2023-06-01"}


class AnthropicKeys:
    """As ProviderKeys."""

    def __init__(self, asking: Asking, workspace: str | None) -> None:
        self._asking, self._workspace = asking, workspace

    def all(self) -> list[ProviderKey]:
        """Whatever became of them."""
        return [_key(each) for each in self._pages()]

    def revoke(self, key: OldKey) -> None:
        """Switched off: a person could switch it on again, until it is put away."""
        told = self._asking.ask("GET", f"{_KEYS}/{key.id}")
        if told and told["status"] == _ACTIVE:
            self._asking.ask("POST", f"{_KEYS}/{key.id}", json={"status": "inactive"})

    def put_away(self, key_id: str) -> None:
        """Archived: nobody switches it on again."""
        told = self._asking.ask("GET", f"{_KEYS}/{key_id}")
        if told and told["status"] != _ARCHIVED:
            self._asking.ask("POST", f"{_KEYS}/{key_id}", json={"status": _ARCHIVED})

    def _pages(self) -> Iterator[Any]:
        query: dict[str, Any] = {"limit": _PAGE}
        if self._workspace:
            query["workspace_id"] = self._workspace
        while True:
            page = self._asking.ask("GET", _KEYS, params=query)
            if page is None:
                raise ProviderRefused(f"{self._asking.url} has no {_KEYS}", hint="compare url in [providers.…]")
            yield from page["data"]
            if not page["has_more"]:
                return
            query["after_id"] = page["last_id"]


def _key(told: Any) -> ProviderKey:
    return ProviderKey(
        id=told["id"],
        name=told.get("name") or "",
        hint=told.get("partial_key_hint") or "",
        is_active=told["status"] == _ACTIVE,
        project=told.get("workspace_id") or "",
    )
