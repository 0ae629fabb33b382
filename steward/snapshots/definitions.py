"""Do the restored definitions equal what was captured before the snapshot?

Definitions are what makes documents findable: mappings, settings, aliases, templates, and the set of indices itself.
They are captured twice, before and after the snapshot. A definition that did not change between the two must be
restored as it was; one that changed in the window may be restored as at either end, or between them where it only grew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from steward.search.names import tenant_of
from steward.snapshots.findings import Finding, refuted, unknown

Json = Any

#: Settings that name the very index, count its life, or that the restore itself overrides: they cannot be compared.
VOLATILE = (
    "index.uuid",
    "index.creation_date",
    "index.provided_name",
    "index.version.",
    "index.history.uuid",
    "index.resize.",
    # Not taken over by the restore: they would move the copy, leave it unassigned, or delete it.
    "index.routing.allocation.",
    "index.lifecycle.",
)
OVERRIDDEN = ("index.number_of_replicas", "index.auto_expand_replicas", "index.blocks.write", "index.refresh_interval")


#: Elasticsearch puts it on an index when it is closed.
CLOSED = "index.verified_before_close"


class IndexDefinition(BaseModel):
    """One index: its identity, and what makes its documents findable. Settings are flat."""

    model_config = ConfigDict(frozen=True)

    uuid: str
    mappings: dict[str, Json]
    settings: dict[str, Json]
    aliases: dict[str, Json]


class Definitions(BaseModel):
    """The definitions of a cluster's tenant indices at one moment."""

    model_config = ConfigDict(frozen=True)

    indices: dict[str, IndexDefinition]
    templates: dict[str, Json]
    component_templates: dict[str, Json] = {}


def compare_indices(
    before: Definitions, after: Definitions, restored: Mapping[str, IndexDefinition], expected: set[str]
) -> list[Finding]:
    """Findings about the *expected* indices; *restored* is keyed by the source's names."""
    missing = [refuted(name, "expected in the snapshot, not restored") for name in sorted(expected - restored.keys())]
    return missing + [
        finding
        for name in sorted(expected & restored.keys())
        for finding in _compare_index(name, before.indices[name], after.indices.get(name), restored[name])
    ]


def compare_index_set(before: Definitions, snapshot_indices: set[str]) -> list[Finding]:
    """An index that was there before the snapshot and is not in it has vanished, whatever the snapshot's state says."""
    return [
        refuted(name, "held by the cluster before the snapshot, absent from it")
        for name in sorted(before.indices.keys() - snapshot_indices)
    ]


def find_closed(held: Definitions, tenants: Collection[str]) -> list[Finding]:
    """Closed indices of *tenants* (of all, where it is empty): no search reads them, so they cannot be compared."""
    return [
        unknown(name, "is closed, so it cannot be compared: open it, or delete what is no longer wanted")
        for name, index in sorted(held.indices.items())
        if index.settings.get(CLOSED) == "true" and (not tenants or tenant_of(name) in tenants)
    ]


def compare_templates(before: Definitions, after: Definitions, restored: Definitions) -> list[Finding]:
    """Findings about index templates and component templates, from the restored global state."""
    return [
        finding
        for kind in ("templates", "component_templates")
        for finding in _compare_named(
            kind.replace("_", " ").removesuffix("s"),
            getattr(before, kind),
            getattr(after, kind),
            getattr(restored, kind),
        )
    ]


def _compare_named(
    kind: str, before: Mapping[str, Json], after: Mapping[str, Json], restored: Mapping[str, Json]
) -> Iterator[Finding]:
    for name in sorted(before):
        subject = f"{kind} {name}"
        if name not in restored:
            if name in after:
                yield refuted(subject, "expected in the snapshot, not restored")
        elif restored[name] not in (before[name], after.get(name)):
            yield refuted(subject, _difference(before[name], restored[name]))


def _compare_index(
    name: str, before: IndexDefinition, after: IndexDefinition | None, restored: IndexDefinition
) -> Iterator[Finding]:
    after = after or before
    lost = before.aliases.keys() & after.aliases.keys() - restored.aliases.keys()
    yield from (refuted(name, f"alias {alias} is lost") for alias in sorted(lost))
    gained = restored.aliases.keys() - before.aliases.keys() - after.aliases.keys()
    yield from (refuted(name, f"alias {alias} was never there") for alias in sorted(gained))
    for alias in sorted(restored.aliases.keys() & before.aliases.keys() & after.aliases.keys()):
        if restored.aliases[alias] not in (before.aliases[alias], after.aliases[alias]):
            yield refuted(name, f"alias {alias}: {_difference(before.aliases[alias], restored.aliases[alias])}")
    for what, old, new, copy in (
        ("mapping", before.mappings, after.mappings, restored.mappings),
        ("settings", _lasting(before.settings), _lasting(after.settings), _lasting(restored.settings)),
    ):
        if copy not in (old, new) and not (_grew(old, copy) and _grew(copy, new)):
            yield refuted(name, f"{what} changed: {_difference(old, copy)}")


def _lasting(settings: Mapping[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in settings.items() if not key.startswith(VOLATILE) and key not in OVERRIDDEN}


def _grew(small: Json, large: Json) -> bool:
    """Whether *large* holds everything of *small*, unchanged: what a dynamic mapping does in the window."""
    if isinstance(small, dict) and isinstance(large, dict):
        return all(key in large and _grew(value, large[key]) for key, value in small.items())
    return bool(small == large)


def _difference(expected: Json, seen: Json) -> str:
    """The first path at which two definitions differ, with both values."""
    path, old, new = next(_differences(expected, seen, ""))
    return f"{path or 'value'} is {_brief(new)}, expected {_brief(old)}"


def _differences(expected: Json, seen: Json, path: str) -> Iterator[tuple[str, Json, Json]]:
    if isinstance(expected, dict) and isinstance(seen, dict):
        for key in sorted({*expected, *seen}, key=str):
            if expected.get(key) != seen.get(key):
                yield from _differences(expected.get(key), seen.get(key), f"{path}.{key}".lstrip("."))
    else:
        yield path, expected, seen


def _brief(value: Json, most: int = 80) -> str:
    text = "absent" if value is None else repr(value)
    return text if len(text) <= most else f"{text[:most]}…"
