"""Everything that exists looked for everywhere: what is found is named by secret, place and form, never by its value."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.integration.exposure.containers import layers
from tests.integration.exposure.needles import Secret
from tests.integration.exposure.search import Search

#: What has the form of a secret is one, whoever made it: tokens of the login, of which nobody keeps a list.
_FORMS = {
    "token": (b"eyJ", re.compile(rb"eyJ[\w-]{15,}\.eyJ[\w-]{15,}\.[\w-]{40,}")),
    "private key": (b"PRIVATE KEY-----", re.compile(rb"PRIVATE KEY-----")),
}


@dataclass(frozen=True)
class Haystack:
    """One place: a table, a file, an object."""

    where: str
    read: Callable[[], bytes] = field(repr=False)
    text: bool = True
    """Whether runs of base64 are decoded: not in binary files, where anything may look like one."""
    kept: Collection[str] = ()
    """Kinds of secrets for which this is where they are kept."""


class Leak(NamedTuple):
    """A secret where it must not be."""

    kind: str
    name: str
    where: str
    form: str
    copies: int

    def __str__(self) -> str:
        return f"{self.kind} {self.name} in {self.where}, as {self.form}, {self.copies} times"


class Exposed(AssertionError):
    """Something leaks."""

    def __init__(self, leaks: list[Leak]) -> None:
        told = "\n".join(f"  {leak}" for leak in leaks[:50])
        super().__init__(f"{len(leaks)} leaks:\n{told}")
        self.leaks = leaks


@dataclass
class Scanned:
    """How much was looked at."""

    places: int = 0
    bytes: int = 0


def require_unexposed(secrets: Iterable[Secret], haystacks: Iterable[Haystack]) -> Scanned:
    """Raises Exposed, with every leak."""
    search, scanned, leaks = Search(secrets), Scanned(), list[Leak]()
    for haystack in haystacks:
        data = haystack.read()
        scanned.places += 1
        scanned.bytes += len(data)
        leaks += leaks_in(search, haystack, data)
    if leaks:
        raise Exposed(leaks)
    return scanned


def leaks_in(search: Search, haystack: Haystack, data: bytes) -> list[Leak]:
    """What *data*, the haystack's content, gives away."""
    found = _found(search, layers(data, text=haystack.text))
    return [leak for leak in _counted(found, haystack.where) if leak.kind not in haystack.kept]


def _counted(found: Iterable[tuple[str, str, str, int]], where: str) -> list[Leak]:
    copies: dict[tuple[str, str, str], Counter[int]] = defaultdict(Counter)
    for form, kind, name, piece in found:
        copies[kind, name, form][piece] += 1
    # Of one copy every piece is found, of a damaged one some.
    return [Leak(kind, name, where, form, max(each.values())) for (kind, name, form), each in copies.items()]


def copies_in(search: Search, memory: bytes) -> Counter[tuple[str, str]]:
    """How many copies of secrets *memory* holds, by kind and form; what is compressed in it is not looked into."""
    copies: Counter[tuple[str, str]] = Counter()
    for leak in _counted(_found(search, [("", memory)]), "memory"):
        copies[leak.kind, leak.form] += leak.copies
    # Programs that read such keys know how they begin.
    del copies["private key", "itself"]
    return copies


def _found(search: Search, inside: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, str, str, int]]:
    for way, layer in inside:
        for each in search.find(layer):
            yield _in(way, each.form), each.secret.kind, each.secret.name, each.piece
        for kind, (start, form) in _FORMS.items():
            at = layer.find(start)
            while at >= 0:
                if form.match(layer, at):
                    yield _in(way, "itself"), kind, "", 0
                at = layer.find(start, at + 1)


def _in(way: str, form: str) -> str:
    return f"{form} in {way}" if way else form
