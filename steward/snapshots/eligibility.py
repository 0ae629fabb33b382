"""Which indices can be proved at all. One that cannot is named with its reason, and its verdict is UNKNOWN."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from steward.snapshots.api import SearchApi, in_request_lines
from steward.snapshots.errors import IndexNotFound
from steward.snapshots.shards import NOT_FOUND

#: Elasticsearch's default of index.gc_deletes: a deleted document's version is forgotten after it.
GC_DELETES_SECONDS = 60.0
#: Index modes that rebuild `_source` from other fields unless told otherwise.
REBUILDING_MODES = frozenset({"time_series", "logsdb"})
UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

FACTS = (
    "?filter_path=metadata.indices.*.state,metadata.indices.*.settings.index,"
    "metadata.indices.*.mappings._doc._source,metadata.indices.*.primary_terms"
)


class IndexFacts(BaseModel):
    """What of an index matters to the proof."""

    model_config = ConfigDict(frozen=True)

    uuid: str
    shards: int
    gc_deletes_seconds: float = GC_DELETES_SECONDS
    refused: str | None = None
    """Why it cannot be proved; None: it can."""


def examine_indices(api: SearchApi, indices: Iterable[str]) -> dict[str, IndexFacts]:
    """The facts of each of *indices*. IndexNotFound names one that does not exist."""
    facts: dict[str, IndexFacts] = {}
    for names in in_request_lines(indices):
        answer = api.request("GET", f"/_cluster/state/metadata/{names}{FACTS}", ok=(NOT_FOUND,))
        known = answer.get("metadata", {}).get("indices", {})
        for name in names.split(","):
            if name not in known:
                raise IndexNotFound(f"index {name} does not exist", hint="compare the list with GET _cat/indices")
            facts[name] = _facts(known[name])
    return facts


def _facts(known: Mapping[str, Any]) -> IndexFacts:
    settings: dict[str, Any] = known["settings"]["index"]
    return IndexFacts(
        uuid=settings["uuid"],
        shards=len(known["primary_terms"]),
        gc_deletes_seconds=_seconds(str(settings.get("gc_deletes", "60s"))),
        refused=refusal(known["state"], settings, known.get("mappings", {}).get("_doc", {}).get("_source", {})),
    )


def refusal(state: str, settings: Mapping[str, Any], source: Mapping[str, Any]) -> str | None:
    """Why an index of this state, of these settings and with this `_source` mapping cannot be proved; None: it can.

    *settings* as the cluster state nests them, below `index`; *source*: the mapping's `_source` object.
    """
    mode = str(settings.get("mode", "standard"))
    kind = str(_nested(settings, "mapping.source.mode") or source.get("mode", "")).lower()
    if state != "open":
        return f"the index is {state}: a closed index has no point in time; open it, or prove its snapshot by opening a copy"
    if str(settings.get("disable_sequence_numbers", "false")) == "true":
        return "index.disable_sequence_numbers: its _seq_no cannot order operations; block writes while it is snapshot"
    if kind == "synthetic" or (mode in REBUILDING_MODES and kind != "stored"):
        return "its _source is synthetic: what is read is rebuilt, so equal bytes prove nothing about what was stored"
    if kind == "disabled" or str(source.get("enabled", "true")).lower() == "false":
        return "its _source is disabled: there is no content to compare"
    if source.get("excludes") or source.get("includes"):
        return "its _source is stored in part: fields left out cannot be compared"
    return None


def _nested(settings: Mapping[str, Any], path: str) -> Any:
    found: Any = settings
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _seconds(duration: str) -> float:
    """Of an Elasticsearch duration; 0, so that versions are not relied on, where it is not understood."""
    unit = next((unit for unit in UNITS if duration.endswith(unit) and duration.removesuffix(unit).isdigit()), None)
    return float(duration.removesuffix(unit)) * UNITS[unit] if unit else 0.0
