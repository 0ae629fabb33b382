"""A request's JSON object, handed to a thread that may wait."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from replica.github.errors import Refusal


async def body_of(request: Request, answer: Callable[[dict[str, Any]], Response]) -> Response:
    """What *answer* makes of it; without a body, of an empty object."""
    read = await request.body()
    try:
        body = json.loads(read) if read else {}
    except ValueError:
        return Refusal(400, "Problems parsing JSON").answer()
    if not isinstance(body, dict):
        return Refusal(400, "Body should be a JSON object").answer()
    return await run_in_threadpool(answer, cast("dict[str, Any]", body))
