"""What leaves for the vault, announced before it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from azure.core.pipeline.transport import RequestsTransport

#: Called with method and URL of a request before it is sent; the request id that it gives is sent along, and the vault's
#: own log shows it (`correlationId`). What it raises keeps the request from leaving.
Announce = Callable[[str, str], str]

_REQUEST_ID = "x-ms-client-request-id"


class AnnouncingTransport(RequestsTransport):
    """Below everything that the SDK does by itself: its retries, its questions for public keys, its pages."""

    def __init__(self, announce: Announce, **options: Any) -> None:
        super().__init__(**options)
        self._announce = announce

    def send(self, request: Any, **options: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]  # two overloads
        """Announce and send. A request without a token asks only where to get one: the vault does nothing for it."""
        if "Authorization" in request.headers:
            request.headers[_REQUEST_ID] = self._announce(request.method, request.url)
        return super().send(request, **options)
