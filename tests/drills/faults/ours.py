"""What a night says of a case: its own checks, one after the other, as its flow makes them."""

from steward.errors import StewardError
from steward.snapshots import capture
from steward.snapshots.definitions import compare_index_set, compare_indices, compare_templates
from steward.snapshots.findings import Finding, unknown
from steward.snapshots.global_state import plan_additions, restore_global_state, take_away
from steward.snapshots.moments import keep_open
from steward.snapshots.proof import prove
from steward.snapshots.restoring import drop_restored
from tasks.proofs import _compare_query, _shards
from tests.drills.faults import blobs, offsite


def judge(case) -> dict[str, list[Finding]]:
    """Findings by the check that made them."""
    if case.not_taken:
        # The night ends here.
        return {"snapshot": [unknown(case.night.taken.name, case.not_taken)]}
    if case.copy:
        # As each batch's are, before a copy is proved: their aliases would be in its way.
        drop_restored(case.ground.scratch, case.restored.uuids if case.restored else {})
    checks = OFFSITE if case.copy else NIGHT
    return {name: _made(check, case, name) for name, check in checks.items()}


def _made(check, case, name):
    try:
        return list(check(case))
    except StewardError as error:
        # As the flow has it: a check that could not be made makes the night UNKNOWN, and takes no other's finding back.
        return [unknown(name, f"{type(error).__name__}: {error}")]


def _restored(case):
    if case.restored is None:
        yield unknown("restore", case.said)


def _content(case):
    if case.restored is None:
        return
    report = compared(case.ground, case.night, case.restored)
    yield from report.findings
    for index in report.indices:
        assert index.findings or index.verdict == "VERIFIED", index


def compared(ground, night, restored):
    """Every document of the copies against both points in time."""
    keep_open(ground.source, night.since)
    keep_open(ground.source, night.taken.moments)
    return prove(ground.source, ground.scratch, night.since, restored, night.taken.moments)


def _definitions(case):
    if case.restored is None:
        return []
    copies = capture.capture_definitions(case.ground.scratch, f"{case.prefix}*").indices
    named = {name.removeprefix(case.prefix): copy for name, copy in copies.items()}
    return compare_indices(case.night.before, case.night.after, named, set(case.restored.indices))


def _queries(case):
    if case.restored is None:
        return
    for here, there in _shards(case.ground.scratch, case.night.since, case.restored):
        for query in case.ground.queries:
            _, differing = _compare_query(case.ground.source, case.ground.scratch, here, there, query)
            yield from differing


def _templates(case):
    scratch = case.ground.scratch
    additions = plan_additions(case.ground.source, scratch)
    try:
        restored = restore_global_state(scratch, case.repository, case.night.taken.name)
    finally:
        take_away(scratch, additions)
    return compare_templates(case.night.before, case.night.after, restored)


NIGHT = {
    "blobs": lambda case: blobs.check(case).findings,
    "index set": lambda case: compare_index_set(case.night.before, set(case.night.taken.indices)),
    "restore": _restored,
    "content": _content,
    "definitions": _definitions,
    "queries": _queries,
    "templates": _templates,
}
OFFSITE = {
    "place": lambda case: offsite.check_place(case.copy) or [],
    "copy": lambda case: offsite.look(case.copy),
    "copy's proof": lambda case: offsite.prove(case.copy),
}
