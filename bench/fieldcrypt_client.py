"""Who asks the two applications of bench/fieldcrypt_request.py, checks the answers, and takes the time."""

from __future__ import annotations

import http.client
import json
import time
from abc import ABC, abstractmethod
from typing import Any, cast
from urllib.parse import quote, urlsplit

from bench.fieldcrypt_bare import HEADER
from steward.errors import StewardError

TENANTS = [f"bench-request-{number}" for number in range(10)]
#: So many of each tenant, that indexes are worth their use and the tables stay in memory.
ROWS = 100
KINDS = ("read", "write", "search")


class RequestUnmeasured(StewardError):
    """The application did not answer as it should: its times would be those of something else."""


class Asking(ABC):
    """One connection, kept open. *ids* are the rows of each tenant that are read and searched for."""

    def __init__(self, url: str, ids: dict[str, list[str]]) -> None:
        where = urlsplit(url)
        self._connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
        self.ids = ids

    @abstractmethod
    def whose(self, tenant: str) -> dict[str, str]:
        """The header by which the application knows the tenant."""

    @abstractmethod
    def search(self, tenant: str, which: int) -> tuple[float, Any]:
        """By equality."""

    def read(self, tenant: str, which: int) -> tuple[float, Any]:
        """One customer by its id."""
        return self.ask("GET", f"/customers/{self.ids[tenant][which]}", tenant)

    def write(self, tenant: str, number: int) -> tuple[float, Any]:
        """A new customer."""
        return self.ask("POST", "/customers", tenant, _customer(tenant, number))

    def milliseconds(self, kind: str, tenant: str, which: int) -> float:
        """For one request of *kind*, after a look at its answer. Raises RequestUnmeasured."""
        if kind == "write":
            # Beyond those that are searched for.
            return self.write(tenant, ROWS + which)[0]
        took, answer = self.read(tenant, which) if kind == "read" else self.search(tenant, which)
        found = answer if isinstance(answer, list) else [answer]
        expected = (self.ids[tenant][which], _customer(tenant, which))
        if [_row(each) for each in cast("list[dict[str, Any]]", found)] != [expected]:
            raise RequestUnmeasured(f"a {kind} gave {len(found)} rows, expected the one that was written, as it was")
        return took

    def ask(self, method: str, path: str, tenant: str, body: Any = None) -> tuple[float, Any]:
        """Milliseconds, and the answer. Raises RequestUnmeasured."""
        content = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json", **self.whose(tenant)}
        began = time.perf_counter()
        self._connection.request(method, path, content, headers)
        answer = self._connection.getresponse()
        raw = answer.read()
        took = 1000 * (time.perf_counter() - began)
        if answer.status >= http.client.MULTIPLE_CHOICES:
            raise RequestUnmeasured(f"{method} {path} was answered with {answer.status}: {raw[:200]!r}")
        return took, json.loads(raw)


class SampleClient(Asking):
    """Of the sample application, logged in at each tenant's."""

    def __init__(self, url: str, ids: dict[str, list[str]], tokens: dict[str, str]) -> None:
        super().__init__(url, ids)
        self._tokens = tokens

    def whose(self, tenant: str) -> dict[str, str]:
        """The session."""
        return {"Authorization": f"Bearer {self._tokens[tenant]}"}

    def search(self, tenant: str, which: int) -> tuple[float, Any]:
        """By a body."""
        return self.ask("POST", "/customers/search", tenant, {"email": _customer(tenant, which)["email"]})


class BareClient(Asking):
    """Of the bare one."""

    def whose(self, tenant: str) -> dict[str, str]:
        """Just so."""
        return {HEADER: tenant}

    def search(self, tenant: str, which: int) -> tuple[float, Any]:
        """By the URL."""
        return self.ask("GET", f"/customers?email={quote(_customer(tenant, which)['email'])}", tenant)


def _customer(tenant: str, number: int) -> dict[str, str]:
    return {
        "email": f"customer-{number}@{tenant}.example",
        "born": "1815-12-10",
        "notes": f"customer {number} prefers letters, and to be called in the morning; twice a year is enough",
    }


def _row(answer: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return answer["id"], {name: answer[name] for name in ("email", "born", "notes")}
