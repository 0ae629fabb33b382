"""The snapshot's global state, read the only way there is: by restoring it on the scratch cluster, then put away."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from steward.snapshots.api import SearchApi
from steward.snapshots.capture import NOT_FOUND, capture_templates
from steward.snapshots.definitions import Definitions


class Additions(BaseModel):
    """What restoring a global state adds to a cluster: index templates, component templates, persistent settings."""

    model_config = ConfigDict(frozen=True)

    templates: list[str] = []
    component_templates: list[str] = []
    settings: list[str] = []


def plan_additions(source: SearchApi, scratch: SearchApi) -> Additions:
    """What the source's global state would add to the scratch cluster: what has to be taken away afterwards."""
    theirs, ours = capture_templates(source), capture_templates(scratch)
    return Additions(
        templates=sorted(theirs.templates.keys() - ours.templates.keys()),
        component_templates=sorted(theirs.component_templates.keys() - ours.component_templates.keys()),
        settings=sorted(_persistent(source) - _persistent(scratch)),
    )


def restore_global_state(scratch: SearchApi, repository: str, snapshot: str) -> Definitions:
    """Restore the global state of *snapshot*, without any index; the templates that are there then."""
    scratch.request(
        "POST",
        f"/_snapshot/{repository}/{snapshot}/_restore?wait_for_completion=true",
        {"indices": "-*", "include_global_state": True, "feature_states": ["none"]},
    )
    return capture_templates(scratch)


def take_away(scratch: SearchApi, additions: Additions) -> None:
    """Remove *additions*; what is gone already is as wanted."""
    # Index templates first: a component template that is still used cannot be deleted.
    _delete(scratch, "_index_template", additions.templates)
    _delete(scratch, "_component_template", additions.component_templates)
    if additions.settings:
        scratch.request("PUT", "/_cluster/settings", {"persistent": dict.fromkeys(additions.settings)})


def _delete(scratch: SearchApi, kind: str, names: Iterable[str]) -> None:
    for name in names:
        scratch.request("DELETE", f"/{kind}/{name}", ok=(NOT_FOUND,))


def _persistent(client: SearchApi) -> set[str]:
    return set(client.request("GET", "/_cluster/settings?flat_settings=true")["persistent"])
