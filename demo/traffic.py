"""What tenants do next: creates, updates, replacements, deletes, under their own ids or given ones, routed or not."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Action = Literal["create", "index", "update", "delete"]

#: Shares of each kind of step. A recreation is two writes; creations and deletions balance, so that a tenant's
#: documents neither run out nor pile up.
SHARES = {"own id": 10, "given id": 4, "routed": 4, "update": 38, "replace": 16, "delete": 18, "recreate": 10}


@dataclass(frozen=True, slots=True)
class Write:
    """One operation to send. Without an id the cluster gives one."""

    action: Action
    id: str | None
    routing: str | None = None
    body: dict[str, Any] | None = None


@dataclass
class Traffic:
    """One tenant's stream of writes. The same seed, documents and words give the same stream.

    `known` holds routing by id of what the tenant has; `words` are real sources from which bodies are taken.
    """

    tenant: str
    seed: int
    words: Sequence[dict[str, Any]]
    known: dict[str, str | None] = field(default_factory=dict[str, str | None])

    def __post_init__(self) -> None:
        self._random = random.Random(f"{self.seed}/{self.tenant}")
        self._ids = list(self.known)
        self._made = 0

    def batch(self, size: int) -> list[Write]:
        """At least *size* writes, one more if the last is a recreation."""
        writes: list[Write] = []
        while len(writes) < size:
            writes += self._step()
        return writes

    def learn(self, id: str, routing: str | None) -> None:  # noqa: A002  Elasticsearch's own word
        """The tenant has this document now."""
        if id not in self.known:
            self._ids.append(id)
        self.known[id] = routing

    def forget(self, ids: Iterable[str]) -> None:
        """Of these the tenant no longer knows whether they exist."""
        gone = set(ids) & self.known.keys()
        for each in gone:
            del self.known[each]
        self._ids = [each for each in self._ids if each not in gone]

    def _step(self) -> list[Write]:
        # Without a document to act on, only a creation is possible.
        kind = self._random.choices(list(SHARES), list(SHARES.values()))[0] if self._ids else "own id"
        if kind == "given id":
            return [Write("index", None, None, self._body())]
        if kind in ("own id", "routed"):
            return [self._creation(routed=kind == "routed")]
        found = self._random.choice(self._ids)
        return self._on(kind, found, self.known[found])

    def _on(self, kind: str, found: str, routing: str | None) -> list[Write]:
        if kind == "update":
            return [Write("update", found, routing, {"documentation": self._body()["documentation"]})]
        if kind == "replace":
            return [Write("index", found, routing, self._body())]
        deletion = Write("delete", found, routing)
        if kind == "recreate":
            return [deletion, Write("create", found, routing, self._body())]
        self.forget([found])
        return [deletion]

    def _creation(self, *, routed: bool) -> Write:
        self._made += 1
        own = f"own:{self.seed}:{self._made}"
        routing = f"customer-{self._random.randrange(100)}" if routed else None
        self.learn(own, routing)
        return Write("create", own, routing, self._body())

    def _body(self) -> dict[str, Any]:
        """A real document with an edit of its own, so that no update is a no-op that the cluster would skip."""
        self._made += 1
        words = self._random.choice(self.words)
        return {**words, "documentation": f"{words.get('documentation', '')}<p>Revision {self._made}.</p>"}
