import pytest

from steward.errors import BadInput
from steward.snapshots.preconditions import DiskTooSmall
from steward.snapshots.recovery import restore_body
from steward.snapshots.recovery_page import render_plan
from steward.snapshots.recovery_plan import (
    ClusterTooOld,
    IndexInTheWay,
    about,
    check_free,
    check_names,
    check_room,
    check_version,
    question,
    size,
)
from steward.snapshots.recovery_request import Names
from tests.unit.recovery_samples import document, index, plan, request

PREFIX = "recovered-20261126-41-"


def test_indices_keep_their_names_or_get_a_prefix_of_this_recovery_alone():
    assert [each.target for each in plan().indices] == ["tenant-acme-000001", "tenant-bolt-000001"]
    beside = plan(request(names=Names.UNDER_PREFIX))
    assert [each.target for each in beside.indices] == [f"{PREFIX}tenant-acme-000001", f"{PREFIX}tenant-bolt-000001"]
    assert beside.place == "recovery-41"


def test_one_tenant_brings_its_indices_only():
    asked = plan(request(tenants=["bolt"]))
    assert ([each.name for each in asked.indices], asked.bytes) == (["tenant-bolt-000001"], 1000)


def test_a_tenant_that_the_copy_does_not_hold_is_refused_with_those_it_does():
    with pytest.raises(BadInput, match="holds 2 tenants, and not 'zeta'") as refusal:
        plan(request(tenants=["acme", "zeta"]))
    assert "acme, bolt" in refusal.value.hint


def test_more_than_the_ledger_keeps_is_refused_before_anything_is_fetched():
    many = [index(f"t{number}") for number in range(5_001)]
    assert len(plan(held=document(indices=many[:-1])).model_dump_json()) < 4 << 20
    with pytest.raises(BadInput, match="5,001 indices were asked for; at most 5,000"):
        plan(held=document(indices=many))


def test_a_copy_of_nothing_is_refused():
    with pytest.raises(BadInput, match="holds no index"):
        plan(held=document(indices=[]))


@pytest.mark.parametrize(
    ("there", "aliases", "named"),
    [
        (["tenant-acme-000001"], {}, "index tenant-acme-000001"),
        ([], {"tenant-acme-000001": ["other"]}, "alias tenant-acme-000001"),
        (["tenant-acme-000002"], {"tenant-acme": ["tenant-acme-000002"]}, "alias tenant-acme (of tenant-acme-000002)"),
        (["tenant-acme"], {}, "index tenant-acme"),
    ],
)
def test_nothing_is_restored_over_what_is_there(there, aliases, named):
    with pytest.raises(IndexInTheWay) as refusal:
        check_free(plan().indices, Names.AS_THEY_WERE, there, aliases)
    assert refusal.value.message.startswith(f"{named}: there already")


def test_what_others_have_is_in_nobodys_way():
    check_free(plan().indices, Names.AS_THEY_WERE, ["tenant-zeta-000001"], {"tenant-zeta": ["tenant-zeta-000001"]})
    beside = plan(request(names=Names.UNDER_PREFIX))
    check_free(beside.indices, beside.names, ["tenant-acme-000001"], {"tenant-acme": ["tenant-acme-000001"]})


def test_where_nights_are_proved_nothing_is_restored_with_its_aliases():
    check_names("scratch", Names.UNDER_PREFIX, proves_nights=True)
    check_names("production", Names.AS_THEY_WERE, proves_nights=False)
    with pytest.raises(BadInput, match="scratch is where nights are proved"):
        check_names("scratch", Names.AS_THEY_WERE, proves_nights=True)


def test_all_nodes_together_must_have_the_room_below_their_flood_stage():
    disks = {"es-1": (1000, 500), "es-2": (1000, 20)}
    check_room("the cluster", disks, 450)
    with pytest.raises(DiskTooSmall, match=r"the cluster has room for 450 bytes .* 451 are needed"):
        check_room("the cluster", disks, 451)


def test_an_older_cluster_is_refused_and_a_newer_one_or_an_unknown_version_is_not():
    check_version("nightly", "9.5.3", {"es-1": "9.5.3", "es-2": "9.10.0"})
    check_version("nightly", "", {"es-1": "8.1.0"})
    with pytest.raises(ClusterTooOld, match=r"node es-2 is Elasticsearch 9.5.2; nightly was taken by 9.5.3"):
        check_version("nightly", "9.5.3", {"es-1": "9.5.3", "es-2": "9.5.2"})


def test_what_is_restored_is_closed_to_writers_and_brings_aliases_under_its_own_names_only():
    own, beside = plan(), plan(request(names=Names.UNDER_PREFIX))
    body = restore_body(own.indices, own.names)
    assert body["indices"] == "tenant-acme-000001,tenant-bolt-000001"
    assert (body["include_aliases"], body["include_global_state"]) == (True, False)
    assert body["index_settings"] == {"index.blocks.read_only": True}
    assert "rename_pattern" not in body
    renamed = restore_body(beside.indices, beside.names)
    assert (renamed["include_aliases"], renamed["rename_replacement"]) == (False, f"{PREFIX}$1")


def test_the_question_says_what_is_restored_where_to_and_what_cannot_be_proved():
    asked = request(tenants=["acme", "new"])
    made = plan(asked, document(indices=[index("acme"), index("new", documents=None)]), leftovers={"x": "uuid"})
    told = question(made, asked)
    for words in (
        "2 indices of 2 tenants (10 documents, 2.0 KiB) into production, as they were",
        "nightly-2026-11-26-7, taken 2026-11-26 01:30 UTC, whose night is VERIFIED?",
        "1 of them can only be restored, not compared",
        "1 indices of a recovery that ended unproved are deleted first",
        "because: the cluster is gone",
    ):
        assert words in told


def test_the_plan_is_shown_before_anything_is_touched():
    shown = render_plan(plan(leftovers={"tenant-acme-000001": "uuid"}), "the cluster is gone")
    assert "Nothing has been touched" in shown
    assert "| to fetch | 2.0 KiB |" in shown
    assert "deleted first, left closed by a recovery before: `tenant-acme-000001`" in shown


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 B"), (1536, "1.5 KiB"), (3 << 40, "3.0 TiB"), (5000 << 40, "5000.0 TiB")]
)
def test_sizes_are_said_as_people_say_them(count, said):
    assert size(count) == said


@pytest.mark.parametrize(("seconds", "said"), [(0.2, "1 s"), (89, "89 s"), (90, "2 min"), (7260, "2 h")])
def test_times_are_said_no_more_exactly_than_they_are_known(seconds, said):
    assert about(seconds) == said
