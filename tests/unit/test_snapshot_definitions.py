import pytest

from steward.snapshots.definitions import (
    Definitions,
    IndexDefinition,
    compare_index_set,
    compare_indices,
    compare_templates,
    find_closed,
)
from steward.verdicts import Verdict

NAME = "tenant-acme-000001"


def definition(**changes):
    parts = {
        "uuid": "u1",
        "mappings": {"properties": {"name": {"type": "keyword"}}},
        "settings": {"index.number_of_shards": "1", "index.uuid": "u1", "index.analysis.analyzer.a.type": "standard"},
        "aliases": {"tenant-acme": {"is_write_index": True}},
    }
    return IndexDefinition.model_validate(parts | changes)


def compare(restored, before=None, after=None):
    before = before or definition()
    held = {NAME: restored} if restored else {}
    return compare_indices(
        Definitions(indices={NAME: before}, templates={}),
        Definitions(indices={NAME: after or before}, templates={}),
        held,
        {NAME},
    )


def test_a_true_copy_has_no_findings_though_its_identity_and_overrides_differ():
    settings = definition().settings | {
        "index.uuid": "u2",
        "index.number_of_replicas": "0",
        "index.blocks.write": "true",
        "index.creation_date": "7",
    }
    assert compare(definition(uuid="u2", settings=settings)) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"aliases": {}}, "alias tenant-acme is lost"),
        ({"aliases": {"tenant-acme": {"is_write_index": False}}}, "alias tenant-acme: is_write_index is False"),
        ({"aliases": {"tenant-acme": {"is_write_index": True}, "x": {}}}, "alias x was never there"),
        (
            {"mappings": {"properties": {"name": {"type": "text"}}}},
            "properties.name.type is 'text', expected 'keyword'",
        ),
        ({"mappings": {"properties": {}}}, "properties.name is absent"),
        (
            {"settings": {"index.number_of_shards": "1", "index.analysis.analyzer.a.type": "simple"}},
            "index.analysis.analyzer.a.type is 'simple', expected 'standard'",
        ),
    ],
)
def test_what_was_lost_or_changed_is_named(change, said):
    [finding] = compare(definition(**change))
    assert finding.verdict is Verdict.REFUTED
    assert finding.subject == NAME
    assert said in finding.fact


def test_an_index_that_was_not_restored_is_named():
    [finding] = compare(None)
    assert (finding.subject, finding.fact) == (NAME, "expected in the snapshot, not restored")


def test_an_index_that_vanished_before_the_snapshot_is_found():
    before = Definitions(indices={NAME: definition(), "tenant-b-000001": definition()}, templates={})
    [finding] = compare_index_set(before, {NAME})
    assert finding.subject == "tenant-b-000001"


def test_a_closed_index_is_unknown_since_nothing_can_read_it():
    closed = definition(settings=definition().settings | {"index.verified_before_close": "true"})
    held = Definitions(indices={NAME: closed, "tenant-bolt-000001": definition()}, templates={})
    [finding] = find_closed(held, [])
    assert (finding.verdict, finding.subject) == (Verdict.UNKNOWN, NAME)
    assert find_closed(held, ["bolt"]) == []


def test_a_mapping_that_grew_in_the_window_may_be_restored_as_at_either_end_or_between():
    def mapped(*fields):
        return definition(mappings={"properties": {field: {"type": "keyword"} for field in fields}})

    old, between, new = mapped("a"), mapped("a", "b"), mapped("a", "b", "c")
    for restored in (old, between, new):
        assert compare(restored, before=old, after=new) == []
    assert compare(mapped("a", "z"), before=old, after=new)
    assert compare(mapped(), before=old, after=new)


def test_a_lost_or_changed_template_is_named():
    before = Definitions(indices={}, templates={"tenant": {"priority": 1}}, component_templates={"base": {"v": 1}})
    assert compare_templates(before, before, before) == []
    empty = Definitions(indices={}, templates={}, component_templates={"base": {"v": 2}})
    lost, changed = compare_templates(before, before, empty)
    assert lost.subject == "template tenant"
    assert changed.fact == "v is 2, expected 1"
