"""From a person's change of a flag to the last SDK that evaluates it: 100 of Python and 100 of Node, each with a connection of its own.

All times are of one clock of one machine (CLOCK_MONOTONIC). A toggle begins before its request is sent to the HTTP API, so its
check, its transaction and the notification are in it; it ends in each SDK when that has evaluated the new value.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from bench.ground import progress
from bench.rollout.bounds import quantile
from bench.rollout.listening import NotToldOf, Told, listening
from steward.clients.flag_store import change_flag
from steward.clients.postgres import connect
from steward.flags.model import Flag, Split
from steward.flags.node import node_program
from steward.settings import Flags, Settings, read_secret

NODE = Path(__file__).parent / "node"
FLAG = "bench-toggle"
#: Flags of the document, all of which goes to every SDK with every change; each has a lease and a split. Node's SDK takes about
#: 0.3 ms of a core for each of them, changed or not: 100 SDKs of one machine take that a hundred times, at once.
FLAGS, MORE_FLAGS = 5, 20
PROCESSES = 4
"""Of each language."""
#: Fill caches, and are not counted.
WARMING = 2
_PAUSE_SECONDS = (0.3, 0.8)
_MS = 1_000_000
Took = Mapping[str, float]
"""By SDK, milliseconds."""


def measure(settings: Settings, *, toggles: int, sdks: int, seed: int) -> dict[str, Any]:
    """*toggles* of one flag, on and off (by the kill switch), with *sdks* of each language; a third as many with more flags."""
    assert settings.flags is not None
    chance = random.Random(seed)  # noqa: S311  pauses, to be had again
    with _api(settings.flags) as api:
        _make_flags(settings, range(1, FLAGS))
        _make_flag(settings)
        with listening(_commands(settings.flags, sdks), 2 * sdks) as told:
            few = _toggle(api, WARMING + toggles, told, chance)[WARMING:]
            _make_flags(settings, range(FLAGS, MORE_FLAGS))
            # An even number, so that it ends as it began.
            more = _toggle(api, max(2, toggles // 6 * 2), told, chance)
    among_more = [each for times in more for each in times.values()]
    return {
        **_figures(few),
        f"toggle_{MORE_FLAGS}_flags_p99_ms": round(quantile(among_more, 0.99), 1),
        "toggles": toggles,
        "toggle_sdks": 2 * sdks,
        "toggle_flags": FLAGS,
    }


def _figures(toggles: Sequence[Took]) -> dict[str, float]:
    every = [each for times in toggles for each in times.values()]
    figures = {
        "toggle_p50_ms": quantile(every, 0.5),
        "toggle_p99_ms": quantile(every, 0.99),
        "toggle_max_ms": max(every),
        "toggle_until_the_last_p50_ms": quantile([max(times.values()) for times in toggles], 0.5),
    }
    for language in ("python", "node"):
        of_language = [each for times in toggles for name, each in times.items() if name.startswith(language)]
        progress(f"  {language:8} p50 {quantile(of_language, 0.5):6.1f} ms  p99 {quantile(of_language, 0.99):6.1f} ms")
        figures[f"toggle_{language}_p99_ms"] = quantile(of_language, 0.99)
    return {name: round(value, 1) for name, value in figures.items()}


def _make_flags(settings: Settings, numbers: Sequence[int]) -> None:
    _make(settings, [_flag(f"{FLAG}-{number}", 25) for number in numbers])


def _make_flag(settings: Settings) -> None:
    _make(settings, [_flag(FLAG, 100).changed(killed=True, lease_until=None)])


def _make(settings: Settings, flags: Sequence[Flag]) -> None:
    with connect(settings) as db:
        for flag in flags:
            change_flag(db, flag, who="bench", why="bench", expected_version=0)


def _flag(key: str, percent: float) -> Flag:
    split = Split.percentage("on", percent, "off")
    until = int(time.time()) + 3000
    return Flag(key=key, variants={"on": True, "off": False}, off="off", split=split, lease_until=until)


@contextmanager
def _api(flags: Flags) -> Generator[httpx.Client]:
    headers = {"authorization": f"Bearer {read_secret(flags.tokens['operator'].token)}"}
    with httpx.Client(base_url=flags.url, headers=headers, timeout=10, trust_env=False) as api:
        yield api


def _toggle(api: httpx.Client, toggles: int, told: Told, chance: random.Random) -> list[Took]:
    """On and off by turns, each when all SDKs have the one before. Pauses are of chance, lest a clock of the server's be in step."""
    found, on = list[Took](), _flag(FLAG, 100).changed(lease_until=None).state()
    del on["key"], on["lease_until"]
    version = _answer(api.get(f"/flags/{FLAG}"))["version"]
    for number in range(toggles):
        time.sleep(chance.uniform(*_PAUSE_SECONDS))
        began = time.monotonic_ns()
        if number % 2:
            answer = api.post(f"/flags/{FLAG}/kill", json={"why": "bench"})
        else:
            answer = api.put(f"/flags/{FLAG}", json={"flag": on, "expected_version": version, "why": "bench"})
        version = _answer(answer)["version"]
        evaluated = told.by_all(value=not number % 2)
        found.append({name: (at - began) / _MS for name, at in evaluated.items()})
    return found


def _answer(answer: httpx.Response) -> dict[str, Any]:
    if not answer.is_success:
        raise NotToldOf(f"the flag server answers a toggle with {answer.status_code}: {answer.text[:300]}")
    return answer.json()


def _commands(flags: Flags, sdks: int) -> Iterator[tuple[list[str], Path | None]]:
    host, _, port = flags.sync.rpartition(":")
    there = [host, port, str(flags.ca_file), *([flags.authority] if flags.authority else [])]
    for part in range(PROCESSES):
        first, end = sdks * part // PROCESSES, sdks * (part + 1) // PROCESSES
        if first < end:
            which = [FLAG, str(first), str(end - first)]
            yield [sys.executable, "-m", "bench.rollout.sdks", *which], None
            yield [node_program(), "--no-deprecation", "sdks.mjs", *which, *there], NODE
