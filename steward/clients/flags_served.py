"""Up to which change of the store SDKs are told: what no flag server passes on, a lease say, is not so for any user.

Each server keeps streams of its own, and may fall behind alone: where there are several, the settings name each of them. Of
those behind one address only one answers, which says nothing of the others.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Self

import httpx

from steward.clients.authorities import authorities
from steward.clients.postgres import Connection
from steward.rollout.preconditions import NotReady
from steward.settings import Settings

# Beside a lease of seconds: one that takes longer is asked again at the next look.
_TIMEOUT = httpx.Timeout(0.5)
_REVISION = re.compile(r"ok: revision (\d+) of ")


def stored_revision(db: Connection) -> int:
    """Of the store. It grows with each transaction that changes a flag, be it a lease alone, and only when that is committed."""
    row = db.execute("SELECT number FROM flags.revision").fetchone()
    return int(row[0]) if row else 0


class FlagsServed:
    """Asks every flag server of the settings. Use it in `with`."""

    def __init__(self, settings: Settings) -> None:
        self._urls = settings.flags.each_url if settings.flags else ()
        self._client = httpx.Client(timeout=_TIMEOUT, verify=authorities(), trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def revision(self) -> int | None:
        """That is served to all SDKs now, so the oldest; None: one of the servers does not say, or there is none."""
        found = list[int]()
        for url in self._urls:
            if (one := self._revision_at(url)) is None:
                return None
            found.append(one)
        return min(found, default=None)

    def _revision_at(self, url: str) -> int | None:
        try:
            answer = self._client.get(f"{url}/healthz")
        except httpx.HTTPError:
            return None
        found = _REVISION.match(answer.text) if answer.status_code == HTTPStatus.OK else None
        return int(found[1]) if found else None


def require_served(settings: Settings) -> None:
    """That every flag server answers. Raises NotReady."""
    with FlagsServed(settings) as served:
        if served.revision() is None:
            where = " or ".join(settings.flags.each_url) if settings.flags else "no [flags] of the settings"
            raise NotReady(
                f"no flag server says what it serves: {where}",
                hint="start services/flags, or let [flags] name what runs: users are exposed by what it tells SDKs, and by nothing else",
            )
