"""A user with a browser: one connection, kept open, a session of each tenant's."""

from __future__ import annotations

import http.client
import json
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from demo.customers.authentication import Caller, session_token
from demo.customers.rows import WRITING_USER
from demo.customers.traffic.asking import Failed, Refused
from demo.customers.values import Values

#: Longer than any request waits for keys: what the application answers by itself is heard.
TIMEOUT_SECONDS = 30
_SESSION = timedelta(hours=24)


class HttpAsking:
    """At the application on *url*; *session_key* signs what a login would hand out."""

    def __init__(self, url: str, session_key: str) -> None:
        where = urlsplit(url)
        self._connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=TIMEOUT_SECONDS)
        self._session_key, self._headers = session_key, dict[str, dict[str, str]]()

    def read(self, tenant: str, row: UUID) -> Values:
        """GET /customers/{id}."""
        return _values(self._ask("GET", f"/customers/{row}", tenant))

    def search(self, tenant: str, email: str) -> set[UUID]:
        """POST /customers/search."""
        return {UUID(found["id"]) for found in self._ask("POST", "/customers/search", tenant, {"email": email})}

    def update(self, tenant: str, row: UUID, values: Values) -> Values:
        """PATCH /customers/{id}."""
        return _values(self._ask("PATCH", f"/customers/{row}", tenant, values.body()))

    def create(self, tenant: str, values: Values) -> tuple[UUID, Values]:
        """POST /customers."""
        made = self._ask("POST", "/customers", tenant, values.body())
        return UUID(made["id"]), _values(made)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _ask(self, method: str, path: str, tenant: str, body: Any = None) -> Any:
        content = None if body is None else json.dumps(body)
        try:
            self._connection.request(method, path, content, self._session(tenant))
            answer = self._connection.getresponse()
            raw = answer.read()
        except (OSError, http.client.HTTPException) as error:
            # The next request opens another.
            self._connection.close()
            raise Failed(f"no answer: {type(error).__name__}") from None
        if answer.status >= http.client.MULTIPLE_CHOICES:
            reason = f"{answer.status} {answer.reason}"
            definite = http.client.BAD_REQUEST <= answer.status < http.client.INTERNAL_SERVER_ERROR
            raise Refused(reason) if definite else Failed(reason)
        return json.loads(raw)

    def _session(self, tenant: str) -> dict[str, str]:
        if tenant not in self._headers:
            token = session_token(self._session_key, Caller(WRITING_USER, tenant), _SESSION)
            self._headers[tenant] = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        return self._headers[tenant]


def _values(answer: Any) -> Values:
    born = answer["born"]
    return Values(answer["email"], born and date.fromisoformat(born), answer["notes"])
