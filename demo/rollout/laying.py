"""What stands before the first rollout: a release that has the traffic, and flags that nobody is exposed by."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import httpx

from demo.rollout.asked import ENVIRONMENT, ERRING_FLAG, GOOD_FLAG
from steward.clients.application_host import open_application_host
from steward.clients.haproxy import open_balancer
from steward.errors import BadInput, StewardError
from steward.flags.model import Flag, Split
from steward.settings import Settings, read_secret

STEADY, FIRST_COLOUR = "steady", "blue"
_WHO = "operator"
_WHY = "make demo-rollout begins from nothing"
_UP_SECONDS = 30.0
_ANSWER_SECONDS = 10.0


class FlagNotLaid(StewardError):
    """The flag server refused what the demo begins with."""


def lay(settings: Settings) -> str:
    """The colour that has the traffic then: with what the shop has run for long, and no flag of the demo's on."""
    colour = put_steady(settings)
    for key in (GOOD_FLAG, ERRING_FLAG):
        expose_nobody(settings, key)
    return colour


def put_steady(settings: Settings) -> str:
    """On blue; where an earlier demo has left another release there, on the other colour."""
    balancer = open_balancer(settings, ENVIRONMENT)
    serving = [each.name for each in balancer.servers() if each.serves]
    with open_application_host(settings, ENVIRONMENT) as host:
        placed = host.colours()
        live = next((name for name in serving if placed[name].release), None)
        if live and placed[live].release == STEADY:
            return live
        colour = next(name for name in sorted(placed) if name != live)
        host.place(colour, STEADY)
    balancer.wait_up(colour, _UP_SECONDS)
    balancer.direct(colour)
    return colour


def expose_nobody(settings: Settings, key: str) -> None:
    """By the API, as an operator: the flag is there, alive, and at 0 %. Its history says why."""
    flags = settings.flags
    if flags is None or _WHO not in flags.tokens:
        raise BadInput(f"[flags.tokens] knows no {_WHO}", hint="make demo-rollout starts the replica's flag server")
    told = {"Authorization": f"Bearer {read_secret(flags.tokens[_WHO].token)}"}
    with httpx.Client(base_url=flags.url, headers=told, timeout=_ANSWER_SECONDS, trust_env=False) as api:
        there = api.get(f"/flags/{key}")
        version = 0 if there.status_code == HTTPStatus.NOT_FOUND else _body(there)["version"]
        # Killed first: a split that takes some users out is refused, one that takes all of them out is not.
        if version:
            version = _body(api.post(f"/flags/{key}/kill", json={"why": _WHY}))["version"]
        body = {"flag": _definition(key), "expected_version": version, "why": _WHY}
        _body(api.put(f"/flags/{key}", json=body))


def _definition(key: str) -> dict[str, Any]:
    flag = Flag(
        key=key,
        description="of the demo's shop",
        variants={"on": True, "off": False},
        off="off",
        split=Split.percentage("on", 0, "off"),
    )
    return {name: value for name, value in flag.state().items() if name != "lease_until"}


def _body(answer: httpx.Response) -> dict[str, Any]:
    if not answer.is_success:
        raise FlagNotLaid(f"{answer.request.url.path} answered {answer.status_code}: {answer.text[:300]}")
    return answer.json()
