"""Nights whose snapshot is not what it is taken for, though nobody touched the repository."""

from dataclasses import replace

from steward.snapshots import capture
from steward.snapshots.moments import close_points_in_time
from tests.drills.faults.ground import DOCUMENTS
from tests.drills.faults.kinds import Right, Where, kind

NIGHT = Where.NIGHT


def _own(case):
    """A name for a snapshot of the case's."""
    return f"night-{case.number}"


@kind("PARTIAL: a shard had no primary", NIGHT, right=Right.UNKNOWN)
def partial(case):
    """Taken by a hand that asked for `partial`; the night that finds it under its name takes it for no snapshot."""
    ground, index, name = case.ground, case.ground.index("c"), _own(case)
    settings = {"number_of_replicas": 0, "index.routing.allocation.require._name": "nobody"}
    ground.production.ask("PUT", f"/{index}?wait_for_active_shards=0&timeout=1s", {"settings": settings})
    try:
        body = {"indices": [*ground.indices, index], "partial": True, "metadata": {"by": ground.name}}
        path = f"/_snapshot/{ground.name}/{name}"
        found = ground.production.ask("PUT", f"{path}?wait_for_completion=true", body)["snapshot"]
        assert found["state"] == "PARTIAL", found
        taken = ground.night.taken.model_copy(update={"name": name, "uuid": found["uuid"]})
        case.night = replace(ground.night, taken=taken)
        case.attempt(lambda: ground.take(name, ground.indices))
    finally:
        ground.production.ask("DELETE", f"/{index}")
    return name, f"{index}[0]"


@kind("an index vanished before the snapshot, which is SUCCESS without it", NIGHT)
def vanished(case):
    ground, index = case.ground, case.ground.index("c")
    ground.production.ask("PUT", f"/{index}", {"settings": {"number_of_replicas": 0}})
    before = capture.capture_definitions(ground.source, ground.pattern)
    ground.production.ask("DELETE", f"/{index}")
    case.night = replace(ground.take(_own(case), ground.indices), before=before)
    return (index,)


@kind("an alias was away while the snapshot was taken", NIGHT)
def alias_away(case):
    ground, alias = case.ground, f"{case.ground.name}-a"
    before = capture.capture_definitions(ground.source, ground.pattern)
    ground.production.ask("DELETE", f"/{ground.index('a')}/_alias/{alias}")
    try:
        night = ground.take(_own(case), ground.indices)
    finally:
        ground.production.ask("PUT", f"/{ground.index('a')}/_alias/{alias}", {"is_write_index": True})
    after = capture.capture_definitions(ground.source, ground.pattern)
    case.night = replace(night, before=before, after=after)
    return (f"alias {alias} is lost",)


@kind("a template was another while the snapshot was taken", NIGHT)
def template_away(case):
    ground = case.ground
    before = capture.capture_definitions(ground.source, ground.pattern)
    ground.put_template(5)
    try:
        night = ground.take(_own(case), ground.indices)
    finally:
        ground.put_template(2)
    after = capture.capture_definitions(ground.source, ground.pattern)
    case.night = replace(night, before=before, after=after)
    return (f"template {ground.name}",)


@kind("a point in time was lost", NIGHT, right=Right.UNKNOWN)
def lost_moment(case):
    ground = case.ground
    case.night = ground.take(_own(case), ground.indices)
    close_points_in_time(ground.source, case.night.since.pits[:1])
    return ("PIT0",)


@kind("an older snapshot taken for tonight's", NIGHT, lasting=True)
def older_snapshot(case):
    """All that was written since is not in it."""
    ground = case.ground
    ground.write(2 * DOCUMENTS)
    newer = ground.take(_own(case), ground.indices)
    taken = ground.night.taken
    case.night = replace(newer, taken=taken.model_copy(update={"moments": newer.taken.moments}))
    return tuple(ground.indices)
