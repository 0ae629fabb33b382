"""Which release answers users: asked by the way that they come, through the load balancer."""

from __future__ import annotations

from collections import Counter
from http import HTTPStatus
from typing import cast

import httpx
from pydantic import BaseModel, ConfigDict

from steward.clients.authorities import authorities
from steward.settings import Settings

#: Where an application says what it runs, by this header, or as `release` of a JSON object.
PATH, HEADER = "/release", "x-release"
#: By whom the load balancer tells users apart.
_USER = "x-user-id"
_TIMEOUT = httpx.Timeout(5.0, connect=2.0)


class Answers(BaseModel):
    """What came of some requests."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    requests: int
    by: dict[str, int]
    """Answers by the release that gave them."""
    failed: dict[str, int]
    """Requests without an answer that tells its release, by what came instead."""


def ask_who_answers(settings: Settings, environment: str, requests: int) -> Answers:
    """Each as another user, each on a connection of its own. What fails is an answer, too."""
    url = settings.balancer(environment).url
    by, failed = Counter[str](), Counter[str]()
    with httpx.Client(
        timeout=_TIMEOUT,
        verify=authorities(),
        trust_env=False,
        limits=httpx.Limits(max_keepalive_connections=0),
    ) as client:
        for number in range(requests):
            try:
                answer = client.get(f"{url}{PATH}", headers={_USER: f"steward-{number}"})
            except httpx.HTTPError as error:
                failed[type(error).__name__] += 1
                continue
            if release := _release_of(answer):
                by[release] += 1
            else:
                failed[f"{answer.status_code} without a release"] += 1
    return Answers(url=url, requests=requests, by=dict(by), failed=dict(failed))


def _release_of(answer: httpx.Response) -> str | None:
    if told := answer.headers.get(HEADER):
        return told
    if answer.status_code != HTTPStatus.OK:
        return None
    try:
        body: object = answer.json()
    except ValueError:
        return None
    release = cast("dict[str, object]", body).get("release") if isinstance(body, dict) else None
    return release if isinstance(release, str) else None
