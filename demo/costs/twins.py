"""The administration of the providers' twins: months that they take in, credits, invoices, and what came in at them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import httpx

from replica.state import default_state
from steward.errors import BadInput, StewardError

_SECONDS = 60


class TwinsRefused(StewardError):
    """The twins' administration did not do what it was asked for."""


class TwinsAdministration:
    """Reached at *url* with its *token*; use it in `with`."""

    def __init__(self, url: str, token: str) -> None:
        self._client = httpx.Client(base_url=url, headers={"authorization": f"Bearer {token}"}, timeout=_SECONDS)

    @classmethod
    def of_replica(cls, state: Path | None) -> Self:
        """Those of the replica in *state*, or in the usual place. BadInput where it has none."""
        file = (state or default_state()).absolute() / "providers" / "clients.json"
        if not file.exists():
            raise BadInput("the replica has no providers", hint="run make demo-costs, or python -m replica up")
        admin = json.loads(file.read_text())["admin"]
        return cls(admin["url"], Path(admin["token"].removeprefix("file:")).read_text().strip())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def take_in(self, folder: Path) -> int:
        """Bill what `usage.parquet` in *folder* says, beside what is billed already: how many sums it has."""
        return self._asked("POST", "/admin/months", {"folder": str(folder)})["taken_in"]

    def dial(self, **rule: object) -> None:
        """From now on something happens there: see docs/providers.md."""
        self._asked("POST", "/admin/dials", rule)

    def grant(self, credit: dict[str, str]) -> None:
        """A credit on an account's month: provider, account, month, description, amount."""
        self._asked("POST", "/admin/credits", credit)

    def invoice(self, account: str, month: str) -> dict[str, Any]:
        """Of a whole month (YYYY-MM), as it would be sent now."""
        return self._asked("GET", f"/admin/invoices/{account}/{month}")

    def attempts(self, after: int = 0) -> list[dict[str, Any]]:
        """What came in since the one with the number *after*."""
        found = list[dict[str, Any]]()
        while True:
            page = self._asked("GET", f"/admin/attempts?after={after}&limit=1000")
            found += page["data"]
            if not page["has_more"]:
                return found
            after = page["last"]

    def _asked(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        return _told(path, lambda: self._client.request(method, path, json=body))


def billed_keys(url: str, admin_key: str, begin: dt.datetime, end: dt.datetime) -> set[str]:
    """The ids of the keys that OpenAI at *url* bills anything of between the two moments."""
    path = "/v1/organization/costs"
    span = {"start_time": int(begin.timestamp()), "end_time": int(end.timestamp())}
    asked = {**span, "group_by": "api_key_id", "limit": 180}
    headers = {"authorization": f"Bearer {admin_key}"}
    told = _told(path, lambda: httpx.get(f"{url}{path}", params=asked, headers=headers, timeout=_SECONDS))
    return {each["api_key_id"] for day in told["data"] for each in day["results"]}


def _told(path: str, ask: Callable[[], httpx.Response]) -> dict[str, Any]:
    hint = "see python -m replica logs providers"
    try:
        answer = ask()
    except httpx.HTTPError as error:
        raise TwinsRefused(f"{path}: {type(error).__name__}", hint=hint) from None
    if answer.is_error:
        raise TwinsRefused(f"{path} answered {answer.status_code}: {answer.text[:200]}", hint=hint)
    return cast("dict[str, Any]", answer.json())
