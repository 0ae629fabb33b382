"""What the users themselves saw, counted exactly: what others say of the same requests is held against it."""

from __future__ import annotations

import math
import threading
import time
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any

from demo.shop.visits import Answer

_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True)
class Arm:
    """Searches, and what was put by, with one variant of one release."""

    users: int
    failed_users: int
    answers: int
    first_at: float
    last_at: float
    """Unix seconds, as the answers came."""


@dataclass(frozen=True)
class Report:
    """All of it, at one moment."""

    sessions: int
    turned_away: int
    """Sessions that did not begin, because too many were under way."""
    requests: int
    failures: Mapping[str, int]
    """By kind: refused, reset, closed, timeout, garbled, or a status of 500 and above."""
    retried: int
    users: int
    users_by_variant: Mapping[str, int]
    failed_users_by_variant: Mapping[str, int]
    """Users for whom a search with the variant, or what they put by with it, failed, be it once or often."""
    arms: Mapping[str, Arm]
    """By `release variant`."""
    requests_by_release: Mapping[str, int]
    """By `colour release`."""
    milliseconds: Mapping[str, Mapping[str, float]]
    """By path: quantiles over all answers."""
    late_seconds: float
    """How far the users fell behind their own plan: where this is not small, the machine was too slow for the load."""

    @property
    def failed(self) -> int:
        """Requests that had no answer, or one that tells of a fault of the server's."""
        return sum(self.failures.values())

    def as_json(self) -> dict[str, Any]:
        """For a line of output."""
        return {**asdict(self), "failed": self.failed}


class _Arm:
    def __init__(self) -> None:
        self._users, self._failed = set[str](), set[str]()
        self._answers, self._first_at, self._last_at = 0, time.time(), 0.0

    def add(self, user: str, *, failed: bool) -> None:
        self._users.add(user)
        if failed:
            self._failed.add(user)
        self._answers += 1
        self._last_at = time.time()

    def told(self) -> Arm:
        return Arm(len(self._users), len(self._failed), self._answers, self._first_at, self._last_at)


class Counts:
    """One thread counts; any may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions = self._turned_away = self._requests = self._retried = 0
        self._failures: Counter[str] = Counter()
        self._releases: Counter[str] = Counter()
        self._users: set[str] = set()
        self._exposed: dict[str, set[str]] = {}
        self._failed: dict[str, set[str]] = {}
        self._arms: dict[str, _Arm] = {}
        self._times: dict[str, array[float]] = {}
        self._seen_at: dict[str, array[float]] = {}
        self._late = 0.0

    def session(self, user: str, *, turned_away: bool, late_seconds: float) -> None:
        """One is due."""
        with self._lock:
            self._late = max(self._late, late_seconds)
            if turned_away:
                self._turned_away += 1
            else:
                self._sessions += 1
                self._users.add(user)

    def answered(self, user: str, path: str, answer: Answer) -> None:
        """By a server, be it with a failure."""
        variant = answer.headers.get("x-variant")
        failed = answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        with self._lock:
            self._requests += 1
            self._times.setdefault(path, array("d")).append(answer.seconds)
            self._releases[f"{answer.headers.get('x-colour', '-')} {answer.headers.get('x-release', '-')}"] += 1
            if failed:
                self._failures[str(answer.status)] += 1
            if variant:
                self._exposed.setdefault(variant, set()).add(user)
                self._seen_at.setdefault(variant, array("d")).append(time.time())
                if failed:
                    self._failed.setdefault(variant, set()).add(user)
                arm = f"{answer.headers.get('x-release', '-')} {variant}"
                self._arms.setdefault(arm, _Arm()).add(user, failed=failed)

    def failed(self, kind: str) -> None:
        """No answer came."""
        with self._lock:
            self._requests += 1
            self._failures[kind] += 1

    def retried(self, count: int) -> None:
        """As many requests were sent a second time."""
        with self._lock:
            self._retried += count

    def exposed(self, variant: str) -> frozenset[str]:
        """Users who got *variant* at least once."""
        with self._lock:
            return frozenset(self._exposed.get(variant, ()))

    def failed_users(self, variant: str) -> frozenset[str]:
        """Those of them for whom a search failed then, or what they put by."""
        with self._lock:
            return frozenset(self._failed.get(variant, ()))

    def answers_since(self, variant: str, moment: float) -> int:
        """How many answers with *variant* came at or after *moment* (Unix seconds)."""
        with self._lock:
            seen = self._seen_at.get(variant, array("d"))
            return len(seen) - bisect_left(seen, moment)

    def last_seen(self, variant: str) -> float | None:
        """When the last answer with *variant* came (Unix seconds)."""
        with self._lock:
            seen = self._seen_at.get(variant)
            return seen[-1] if seen else None

    def report(self) -> Report:
        """All of it."""
        with self._lock:
            return Report(
                sessions=self._sessions,
                turned_away=self._turned_away,
                requests=self._requests,
                failures=dict(self._failures),
                retried=self._retried,
                users=len(self._users),
                users_by_variant={name: len(users) for name, users in sorted(self._exposed.items())},
                failed_users_by_variant={name: len(self._failed.get(name, ())) for name in sorted(self._exposed)},
                arms={name: arm.told() for name, arm in sorted(self._arms.items())},
                requests_by_release=dict(self._releases),
                milliseconds={path: _quantiles(times) for path, times in sorted(self._times.items())},
                late_seconds=round(self._late, 3),
            )


def _quantiles(times: array[float]) -> dict[str, float]:
    """The smallest time that so many of them do not exceed."""
    ordered = sorted(times)
    return {name: round(1000 * ordered[math.ceil(share * len(ordered)) - 1], 2) for name, share in _QUANTILES.items()}
