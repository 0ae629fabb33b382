"""Keys of an OpenAI project: made and deleted as service accounts, each with one key.

Source: https://platform.openai.com/docs/api-reference/project-service-accounts and …/project-api-keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from steward.ai.key_rotation import OldKey
from steward.ai.key_rotation_errors import ProviderRefused
from steward.ai.keys import ProviderKey
from steward.clients.provider_asking import Asking

_PAGE = 100


def openai_headers(secret: str) -> dict[str, str]:
    """As OpenAI's API takes a key."""
    return {"authorization": f"Bearer {secret}"}


class Made(NamedTuple):
    """A key that was made now. Its secret is told once, and this has no other use than to be put into the vault."""

    key_id: str
    owner: str
    secret: str

    def __repr__(self) -> str:
        return f"Made({self.key_id})"


class OpenAIKeys:
    """As ProviderKeys."""

    def __init__(self, asking: Asking, project: str) -> None:
        self._asking, self._project = asking, project
        self._path = f"/v1/organization/projects/{project}"

    def all(self) -> list[ProviderKey]:
        """Deleted ones are not listed."""
        return [_key(each, self._project) for each in self._pages("api_keys")]

    def make(self, name: str, days: int) -> Made:
        """A service account *name* and its key, which ends after *days*.

        What is not answered may have been made: look for the name first.
        """
        asked = {"name": name, "expires_in_seconds": days * 24 * 3600}
        told = self._asking.ask("POST", f"{self._path}/service_accounts", json=asked)
        if told is None:
            raise ProviderRefused(
                f"{self._asking.url} knows no project {self._project}", hint="compare project in [providers.…]"
            )
        return Made(told["api_key"]["id"], told["id"], told["api_key"]["value"])

    def revoke(self, key: OldKey) -> None:
        """A service account's key goes with the account: the API refuses to delete it by itself."""
        kind, name = ("service_accounts", key.owner) if key.owner else ("api_keys", key.id)
        self._asking.ask("DELETE", f"{self._path}/{kind}/{name}")

    def put_away(self, key_id: str) -> None:
        """What is deleted is gone."""

    def _pages(self, kind: str) -> Iterator[Any]:
        after: dict[str, Any] = {}
        while True:
            page = self._asking.ask("GET", f"{self._path}/{kind}", params={"limit": _PAGE, **after})
            if page is None:
                raise ProviderRefused(
                    f"{self._asking.url} knows no project {self._project}", hint="compare project in [providers.…]"
                )
            yield from page["data"]
            if not page["has_more"]:
                return
            after = {"after": page["last_id"]}


def _key(told: Any, project: str) -> ProviderKey:
    account = (told.get("owner") or {}).get("service_account") or {}
    return ProviderKey(
        id=told["id"],
        name=account.get("name") or told.get("name") or "",
        hint=told.get("redacted_value") or "",
        is_active=True,
        owner=account.get("id") or "",
        project=project,
    )
