"""What a night says of a case: its own checks, one after the other, as its flow makes them."""

from steward.errors import StewardError
from steward.snapshots import capture
from steward.snapshots.definitions import compare_index_set, compare_indices, compare_templates
from steward.snapshots.findings import Finding, unknown
from steward.snapshots.global_state import plan_additions, restore_global_state, take_away
from steward.snapshots.moments import keep_open
from steward.snapshots.proof import prove
from tasks.proofs import _compare_query, _shards
from tests.drills.faults import blobs
from tests.drills.faults.ground import GOLDEN


def judge(case) -> dict[str, list[Finding]]:
    """Findings by the check that made them."""
    checks = {
        "blobs": lambda case: blobs.check(case).findings,
        "index set": lambda case: compare_index_set(case.night.before, set(case.night.taken.indices)),
        "restore": _restored,
        "content": _content,
        "definitions": _definitions,
        "queries": _queries,
        "templates": _templates,
    }
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
    ground, taken = case.ground, case.night.taken
    keep_open(ground.source, case.night.since)
    keep_open(ground.source, taken.moments)
    report = prove(ground.source, ground.scratch, case.night.since, case.restored, taken.moments)
    yield from report.findings
    for index in report.indices:
        assert index.findings or index.verdict == "VERIFIED", index


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
        for query in GOLDEN:
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
