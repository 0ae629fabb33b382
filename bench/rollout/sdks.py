"""Python SDKs that note when they evaluate a new value: `python -m bench.rollout.sdks FLAG FIRST COUNT`, started by toggles.py.

Each is `steward.flags.application.connect`, as an application has it. Once all have flags it says `ready`, and from then on a line
whenever an SDK first evaluates another value: SDK, moment of CLOCK_MONOTONIC (ns), 1 or 0. It ends with its input.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import grpc
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent

from steward.flags.application import connect, is_ready
from steward.settings import load

_WAIT_SECONDS = 30


class Listening:
    """One SDK. A handler of the SDK's own event is the first that could evaluate what came."""

    def __init__(self, client: OpenFeatureClient, flag: str, name: str) -> None:
        self._client, self._flag, self._context = client, flag, EvaluationContext(name)
        self._last = self._evaluate()
        client.add_handler(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, self._changed)

    def _changed(self, _: EventDetails) -> None:
        value = self._evaluate()
        if value != self._last:
            at, self._last = time.monotonic_ns(), value
            # One write each, so that lines of several threads do not mix.
            os.write(1, f"{self._context.targeting_key} {at} {value:d}\n".encode())

    def _evaluate(self) -> bool:
        return self._client.get_boolean_value(self._flag, default_value=False, evaluation_context=self._context)


def listen(flag: str, numbers: Sequence[int]) -> list[Listening]:
    """SDKs of these *numbers*, all of which have flags."""
    _apart()
    served = load().flags
    assert served is not None
    found = list[Listening]()
    for number in numbers:
        name = f"python-{number}"
        client = connect(served, domain=name, wait_seconds=_WAIT_SECONDS)
        assert is_ready(client), f"{name} has no flags"
        found.append(Listening(client, flag, name))
    return found


def _apart() -> None:
    """Applications have a connection each; gRPC gives all channels of one process the same."""
    shared: Any = grpc.secure_channel

    def own(target: str, credentials: Any, options: Sequence[tuple[str, Any]] = ()) -> Any:
        return shared(target, credentials=credentials, options=[*options, ("grpc.use_local_subchannel_pool", 1)])

    grpc.secure_channel = own


def main(arguments: list[str]) -> None:
    """Until the end of its input."""
    flag, first, count = arguments[0], int(arguments[1]), int(arguments[2])
    kept = listen(flag, range(first, first + count))
    print("ready", flush=True)
    sys.stdin.read()
    # Channels have threads that would wait for each other.
    os._exit(0 if kept else 1)


if __name__ == "__main__":
    main(sys.argv[1:])
