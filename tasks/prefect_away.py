"""Prefect's own server, asked from inside a step: not answering is weather, as with any other server."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from http import HTTPStatus

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import PrefectHTTPStatusError

from steward.errors import Unavailable


class PrefectAway(Unavailable):
    """Prefect's server does not answer, or has an error of its own."""


@contextmanager
def prefect_client() -> Generator[SyncPrefectClient]:
    """A client of the server that runs this flow. Raises PrefectAway; the server's refusals pass as they are."""
    try:
        with get_client(sync_client=True) as client:
            yield client
    except PrefectHTTPStatusError as error:
        if error.response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        raise PrefectAway(f"Prefect's server answered {error.response.status_code}", hint="see its log") from error
    except httpx.TransportError as error:
        raise PrefectAway(
            f"Prefect's server does not answer: {type(error).__name__}", hint="see whether it runs: PREFECT_API_URL"
        ) from error
