from __future__ import annotations

from dataclasses import replace

import pytest

from steward.search.actual import Actual, ClusterSettings, Repository
from steward.search.desired import desired_state
from steward.search.provisioning import (
    NODE_ROLES,
    Part,
    assess_comparison,
    assess_provisioning,
    plan_provisioning,
)
from steward.search.roles import production_roles
from steward.search.rolestores import canonical
from steward.search.summaries import plan_summary, provision_summary
from steward.verdicts import Verdict
from tests.unit.test_search_description import described

DESIRED = desired_state(described(), "fs", production_roles())
ROLES = {name: canonical(role.body()) for name, role in DESIRED.roles.items()}
NODES = dict.fromkeys(DESIRED.nodes, NODE_ROLES)
RIGHT = Actual(
    roles={"es-1": ROLES, "es-2": ROLES | {"auditor": {}}},
    template=DESIRED.template,
    repository=Repository(DESIRED.repository, corrupted=False),
    settings=ClusterSettings(DESIRED.settings | {"cluster.max_shards_per_node": "2000"}, {}),
    nodes=NODES,
)
FLOOD = "cluster.routing.allocation.disk.watermark.flood_stage"


def plan(**changes):
    return plan_provisioning("production", DESIRED, replace(RIGHT, **changes))


def registered(settings=None, *, corrupted=False, kind="fs"):
    return Repository({"type": kind, "settings": {"location": "."} | (settings or {})}, corrupted=corrupted)


def test_nothing_is_planned_where_all_is_as_described():
    assert plan().as_described
    assert "Nothing differs" in plan_summary(plan())


def test_roles_settings_and_templates_of_other_hands_are_not_differences():
    assert plan(roles={"es-1": ROLES | {"auditor": {"cluster": ["all"]}}}).as_described


def test_an_empty_cluster_lacks_every_part():
    empty = plan(roles={"es-1": {}}, template=None, repository=None, settings=ClusterSettings({}, {}), nodes={})
    assert {each.part for each in empty.differences} == set(Part)
    assert not empty.refusals


def test_a_role_that_lacks_or_exceeds_is_named_with_its_place():
    wider = ROLES | {"steward_snapshot": ROLES["steward_snapshot"] | {"cluster": ["all"]}}
    (difference,) = plan(roles={"es-1": ROLES, "es-2": wider}).differences
    assert (difference.part, difference.name, difference.place) == (Part.ROLE, "steward_snapshot", "es-2")
    assert "cluster: also has all" in difference.details


def test_a_changed_mapping_is_named_by_its_field():
    template = {**DESIRED.template, "template": {**DESIRED.template["template"], "mappings": {"dynamic": "true"}}}
    (difference,) = plan(template=template).differences
    assert 'template.mappings.dynamic: saw "true", expected "false"' in difference.details


def test_a_transient_setting_that_hides_ours_is_a_difference():
    (difference,) = plan(settings=ClusterSettings(DESIRED.settings, {FLOOD: "99%"})).differences
    assert difference.details == ("hidden by the transient value 99%",)


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ({name: roles for name, roles in NODES.items() if name != "es-2"}, "not in the cluster"),
        (NODES | {"es-3": ("data", "ingest")}, "lacks the roles master"),
        (NODES | {"es-4": NODE_ROLES}, "not described"),
    ],
)
def test_a_node_that_differs_is_shown_but_not_in_the_flows_power(nodes, said):
    found = plan(nodes=nodes)
    assert said in str(found.differences[0])
    assert found.changes == ()
    assert not found.as_described


def test_a_corrupted_repository_is_never_registered_again():
    assert "marked corrupted" in plan(repository=registered(corrupted=True)).refusals[0]


@pytest.mark.parametrize(
    ("repository", "said"),
    [
        (registered({"location": "elsewhere"}), "location is 'elsewhere', described as '.'"),
        (registered(kind="s3"), "registered as type s3"),
        (registered({"readonly": "true"}), "read-only"),
    ],
)
def test_a_repository_that_would_leave_its_snapshots_or_its_hold_is_refused(repository, said):
    assert said in " ".join(plan(repository=repository).refusals)


def test_a_setting_of_the_repository_may_change_in_place():
    found = plan(repository=registered({"max_snapshot_bytes_per_sec": "1mb"}))
    assert not found.refusals
    assert [each.part for each in found.changes] == [Part.REPOSITORY]


def test_a_bucket_with_object_lock_is_refused():
    found = plan(locked_bucket="snapshots")
    assert "has Object Lock" in found.refusals[0]
    assert not found.as_described


def test_looking_at_a_difference_refutes_and_claims_no_change():
    report = assess_comparison(plan(template=None))
    assert (report.verdict, report.applied, report.changed) == (Verdict.REFUTED, False, ())
    assert "nothing was changed" in provision_summary(report)


def test_what_was_put_and_read_back_verifies():
    report = assess_provisioning(plan(template=None), plan(), ("es-1", "es-2", "es-3"))
    assert (report.verdict, [each.part for each in report.changed]) == (Verdict.VERIFIED, [Part.TEMPLATE])


def test_what_was_put_and_did_not_stay_refutes():
    report = assess_provisioning(plan(template=None), plan(template=None), ("es-1",))
    assert (report.verdict, report.changed) == (Verdict.REFUTED, ())
    assert "Still differs" in provision_summary(report)


def test_a_second_run_says_that_nothing_was_changed():
    report = assess_provisioning(plan(), plan(), ("es-1",))
    assert report.changed == ()
    assert "Nothing was changed" in provision_summary(report)


def test_a_refusal_is_shown_first_of_all():
    shown = plan_summary(plan(repository=registered(corrupted=True), template=None))
    assert shown.index("Refused") < shown.index("Would be changed")
