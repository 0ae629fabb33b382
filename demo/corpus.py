"""Real documents: every operation, shape, example and endpoint rule of the service models that ship with botocore.

Nothing is generated and nothing is copied: each document is one distinct piece of one published model, taken from
every API version that botocore carries. botocore 1.44.8 holds 430,548: 22,082 operations, 138,887 shapes, 1,670
examples, 3,689 paginators, 654 waiters, 11,510 endpoint rules, and 252,056 documented members of structures. They
are wordy (HTML documentation), nested (a structure's members), and up to 110 kB large, 470 bytes on average.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import botocore
from botocore.exceptions import DataNotFoundError
from botocore.loaders import Loader

MODELS = Path(botocore.__file__).parent / "data"

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Document:
    """One piece of one service model. `routing` is set on a piece that belongs to another one: it names that one."""

    id: str
    routing: str | None
    source: dict[str, Any]


class Piece(NamedTuple):
    """A piece as found in its model: a name unique among its kind there, the piece itself, and what it belongs to."""

    name: str
    body: Json
    owner: str | None = None


def services() -> list[str]:
    """Every service that has a model, by name."""
    return sorted(folder.name for folder in MODELS.iterdir() if any(folder.glob("*/service-2.json*")))


def model_bytes(service: str) -> int:
    """How large *service* is, in bytes of its compressed models: ranks services without reading them."""
    return sum(file.stat().st_size for file in MODELS.glob(f"{service}/*/service-2.json*"))


def documents(service: str, limit: int | None = None, kinds: Sequence[str] | None = None) -> Iterator[Document]:
    """The documents of *service*, in the same order with the same ids every time, at most *limit* of them.

    The *kinds* (all of `KINDS`, or some) take turns, so that any beginning holds every kind; new versions come first.
    """
    # One loader a walk, since it keeps every model it has read; and only the models that ship with botocore, not
    # those that a user may have in ~/.aws/models.
    loader = Loader(extra_search_paths=[str(MODELS)], include_default_search_paths=False)
    return islice(_in_turns([_of_kind(loader, service, kind) for kind in kinds or KINDS]), limit)


def _of_kind(loader: Loader, service: str, kind: str) -> Iterator[Document]:
    data_file, pieces = _SOURCES[kind]
    for version, model in _models(loader, service, data_file):
        for piece in pieces(model):
            yield _document(service, kind, version, piece)


def _in_turns(streams: list[Iterator[Document]]) -> Iterator[Document]:
    while streams:
        found = [(stream, document) for stream in streams if (document := next(stream, None))]
        yield from (document for _, document in found)
        streams = [stream for stream, _ in found]


def _models(loader: Loader, service: str, data_file: str) -> Iterator[tuple[str, Json]]:
    try:
        versions: list[str] = loader.list_api_versions(service, data_file)
    except DataNotFoundError:
        # Not every service has waiters, paginators or examples.
        return
    for version in reversed(versions):
        yield version, loader.load_service_model(service, data_file, version)


def _document(service: str, kind: str, version: str, piece: Piece) -> Document:
    """In the tenants' template: the words apart from the structure, so that each is stored once and indexed aptly."""
    source: dict[str, Any] = {"kind": kind, "name": piece.name, "service": service, "labels": {"version": version}}
    if words := piece.body.get("documentation"):
        source["documentation"] = words
    if members := _members(kind, piece.body):
        source["members"] = members
    source["body"] = _without_words(piece.body)
    return Document(f"{kind}:{version}:{piece.name}", piece.owner, source)


def _members(kind: str, body: Json) -> list[dict[str, Any]]:
    if kind != "shape":
        return []
    found: Mapping[str, Json] = body.get("members", {})
    return [
        {"name": name, "kind": member["shape"], "documentation": member.get("documentation", "")}
        for name, member in found.items()
    ]


def _without_words(body: Json) -> dict[str, Any]:
    kept = {key: value for key, value in body.items() if key != "documentation"}
    if "members" in kept:
        kept["members"] = {name: _without_words(member) for name, member in kept["members"].items()}
    return kept


def _operations(model: Json) -> Iterator[Piece]:
    return (Piece(name, body) for name, body in model["operations"].items())


def _shapes(model: Json) -> Iterator[Piece]:
    return (Piece(name, body) for name, body in model["shapes"].items())


def _documented_members(model: Json) -> Iterator[Piece]:
    for shape, body in model["shapes"].items():
        for name, member in body.get("members", {}).items():
            if "documentation" in member:
                yield Piece(f"{shape}.{name}", member, shape)


def _paginators(model: Json) -> Iterator[Piece]:
    return (Piece(name, body, name) for name, body in model.get("pagination", {}).items())


def _waiters(model: Json) -> Iterator[Piece]:
    return (Piece(name, body, body["operation"]) for name, body in model.get("waiters", {}).items())


def _examples(model: Json) -> Iterator[Piece]:
    for operation, found in model.get("examples", {}).items():
        for number, body in enumerate(found):
            yield Piece(f"{operation}.{number}", body, operation)


def _endpoint_rules(model: Json) -> Iterator[Piece]:
    return _rules(model.get("rules", ()), "")


def _rules(rules: Iterable[Json], path: str) -> Iterator[Piece]:
    for number, rule in enumerate(rules):
        name = f"{path}.{number}" if path else str(number)
        yield Piece(name, {key: value for key, value in rule.items() if key != "rules"}, name.partition(".")[0])
        yield from _rules(rule.get("rules", ()), name)


_SOURCES: dict[str, tuple[str, Callable[[Json], Iterator[Piece]]]] = {
    "operation": ("service-2", _operations),
    "example": ("examples-1", _examples),
    "paginator": ("paginators-1", _paginators),
    "waiter": ("waiters-2", _waiters),
    "shape": ("service-2", _shapes),
    "rule": ("endpoint-rule-set-1", _endpoint_rules),
    "member": ("service-2", _documented_members),
}
KINDS = tuple(_SOURCES)
