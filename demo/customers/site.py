"""The running application, asked as its users ask it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any, TypeVar

import httpx

from demo.customers.deployment import Deployment, token_of

_Answer = TypeVar("_Answer")
#: It is asked without TLS. To read the roots of the whole web for that would take 20 ms of a processor a request.
_NO_ROOTS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Site:
    """At *url*, started as *told*."""

    def __init__(self, url: str, told: Deployment) -> None:
        self.url = url
        self._token = cache(lambda *whose: token_of(told, *whose))

    def session(self, tenant: str, user: str = "ada") -> dict[str, str]:
        """The headers of a logged in user's request."""
        return {"authorization": f"Bearer {self._token(tenant, user)}"}

    def ask(self, method: str, path: str, tenant: str, user: str = "ada", **more: Any) -> httpx.Response:
        """One request."""
        headers = self.session(tenant, user)
        return httpx.request(method, f"{self.url}{path}", headers=headers, timeout=60, verify=_NO_ROOTS, **more)

    def get(self, path: str, tenant: str, user: str = "ada") -> httpx.Response:
        """What is there."""
        return self.ask("GET", path, tenant, user)

    def search(self, tenant: str, email: str, user: str = "ada") -> httpx.Response:
        """Customers who have this address."""
        return self.ask("POST", "/customers/search", tenant, user, json={"email": email})

    def speaking(self, conversation: Callable[[httpx.AsyncClient], Awaitable[_Answer]]) -> _Answer:
        """Many requests at once, on sixteen connections."""

        async def within() -> _Answer:
            limits = httpx.Limits(max_connections=16)
            async with httpx.AsyncClient(base_url=self.url, timeout=60, limits=limits, verify=_NO_ROOTS) as client:
                return await conversation(client)

        return asyncio.run(within())
