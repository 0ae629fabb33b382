"""The index template of tenant documents: nested, wordy JSON, searched by its few known parts.

No document can widen the mapping. `dynamic: false` leaves what is unknown in `_source`, where it is kept and returned
but not searched. `strict` would refuse the whole document instead, so an application could not roll out a new field
before the template has it; `true` would let every key of every document become a field, until the cluster state that
each node holds is larger than its heap allows.
"""

from __future__ import annotations

from typing import Any

from steward.search.description import TenantIndices
from steward.search.roles import ALL_TENANTS

TEMPLATE = "tenant"

# A longer value is kept but not searched exactly. Lucene refuses terms over 32,766 bytes, and with them the document.
_LONGEST_TERM = 1024

# A text, since that is what an index answers for it; a template answers what it was given.
_UNKNOWN_KEPT = "false"

_KEYWORD = {"type": "keyword", "ignore_above": _LONGEST_TERM}
_WORDS = {"type": "text", "analyzer": "standard"}


def template_body(indices: TenantIndices) -> dict[str, Any]:
    """The body of `PUT _index_template/tenant`."""
    return {
        "index_patterns": [ALL_TENANTS],
        # Above 100, where the templates that Elasticsearch brings along begin.
        "priority": 200,
        # A write to a tenant that was never onboarded is refused. Else it would make an index with the alias's name.
        "allow_auto_create": False,
        "_meta": {"managed_by": "steward"},
        "template": {"settings": {"index": _settings(indices)}, "mappings": _mappings()},
    }


def _settings(indices: TenantIndices) -> dict[str, Any]:
    return {
        "number_of_shards": str(indices.shards),
        "number_of_replicas": str(indices.replicas),
        # Far above what is mapped here, far below what would hurt: a second fence, should the mapping be opened.
        "mapping": {"total_fields": {"limit": "100"}, "nested_fields": {"limit": "4"}, "depth": {"limit": "8"}},
    }


def _mappings() -> dict[str, Any]:
    return {
        "dynamic": _UNKNOWN_KEPT,
        "properties": {
            "kind": _KEYWORD,
            "name": _KEYWORD,
            "service": _KEYWORD,
            "documentation": _WORDS,
            # Each member is searched as a whole: its name and its own words, not one's name with another's words.
            "members": {
                "type": "nested",
                "dynamic": _UNKNOWN_KEPT,
                "properties": {"name": _KEYWORD, "kind": _KEYWORD, "documentation": _WORDS},
            },
            # Free keys, searched exactly: one field however many keys there are.
            "labels": {"type": "flattened", "ignore_above": _LONGEST_TERM},
            # Free content of any depth and size: kept and returned, never parsed into fields.
            "body": {"type": "object", "enabled": False},
        },
    }
