"""Onboarding against the replica's own three nodes, as the application and as other tenants see it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor

import pytest

from replica.elasticsearch import api, configuration
from replica.elasticsearch.clusters import HAND, PRODUCTION
from replica.server import Place
from steward.clients.elasticsearch import open_search
from steward.search.errors import TemplateMissing, TenantNameTaken
from steward.search.names import TenantName
from steward.search.onboarding import Proof
from steward.search.searchability import MARKER
from tasks import search as tasks
from tests.provisioning import CLUSTER, bare, provision, written


@pytest.fixture
def hand(in_replica: Place) -> Generator[api.Api]:
    """The replica's own hand on a provisioned cluster; the tenants of a test are gone after it."""
    provision()
    hand = api.connect(in_replica, PRODUCTION, "es-1", HAND)
    yield hand
    for index in hand.call("GET", "/tenant-ob-*/_alias"):
        hand.call("DELETE", f"/{index}", timeout_seconds=30)


def onboard(tenant: str) -> tuple[tuple[str, ...], Proof]:
    plan = bare(tasks.plan_tenant)(CLUSTER, tenant)
    if plan.put_role:
        bare(tasks.put_tenant_role)(CLUSTER, tenant)
    if plan.makes_index:
        bare(tasks.make_tenant_index)(CLUSTER, plan)
    return plan.made, bare(tasks.prove_tenant_searchable)(CLUSTER, tenant)


def test_a_tenant_is_searchable_within_30_seconds_and_nothing_is_left_behind(hand):
    started = time.monotonic()
    made, proof = onboard("ob-new")
    assert time.monotonic() - started < 30
    assert proof.findings == ()
    assert "written, found" in proof.done
    assert "index tenant-ob-new-000001 with alias tenant-ob-new" in made
    assert hand.call("GET", "/tenant-ob-new/_count")["count"] == 0


def test_the_second_time_nothing_is_made(hand, in_replica):
    onboard("ob-twice")
    files = [configuration.folder(in_replica, node) / "roles.yml" for node in PRODUCTION.nodes]
    before = [written(path) for path in files], hand.call("GET", "/tenant-ob-twice")
    made, proof = onboard("ob-twice")
    assert (made, proof.findings) == ((), ())
    assert ([written(path) for path in files], hand.call("GET", "/tenant-ob-twice")) == before


def test_a_tenant_with_documents_gets_none_of_ours(hand):
    onboard("ob-busy")
    hand.call("PUT", "/tenant-ob-busy/_doc/1?refresh=true", {"name": "real"})
    sequence = max_sequence(hand, "tenant-ob-busy")
    _, proof = onboard("ob-busy")
    assert proof.done == "a search of 1 documents through tenant-ob-busy"
    assert max_sequence(hand, "tenant-ob-busy") == sequence


def max_sequence(hand: api.Api, alias: str) -> int:
    (stats,) = hand.call("GET", f"/{alias}/_stats?level=shards")["indices"].values()
    return max(copy["seq_no"]["max_seq_no"] for copies in stats["shards"].values() for copy in copies)


@pytest.mark.parametrize("half", ["role", "index", "second generation", "alias without writes"])
def test_a_half_made_tenant_is_completed(hand, half):
    name = TenantName(f"ob-half-{half.split()[0]}")
    if half == "role":
        bare(tasks.put_tenant_role)(CLUSTER, name.value)
    else:
        hand.call("PUT", f"/{name.first_index}", {}, timeout_seconds=30)
    if half == "second generation":
        hand.call("PUT", f"/{name.alias}-000002", {}, timeout_seconds=30)
    if half == "alias without writes":
        hand.call("PUT", f"/{name.first_index}/_alias/{name.alias}", {"is_write_index": False})
    _, proof = onboard(name.value)
    assert proof.findings == ()
    assert bare(tasks.plan_tenant)(CLUSTER, name.value).made == ()
    newest = f"{name.alias}-000002" if half == "second generation" else name.first_index
    assert hand.call("PUT", f"/{name.alias}/_doc/1", {"name": "x"})["_index"] == newest


def test_a_marker_that_a_killed_run_left_is_removed(hand):
    onboard("ob-killed")
    hand.call("PUT", f"/tenant-ob-killed/_doc/{MARKER}?refresh=true", {"kind": "steward-onboarding"})
    hand.call("PUT", "/tenant-ob-killed/_doc/1?refresh=true", {"name": "real"})
    onboard("ob-killed")
    assert hand.call("GET", "/tenant-ob-killed/_count")["count"] == 1


def test_two_runs_at_once_make_one_tenant(hand):
    plan = bare(tasks.plan_tenant)(CLUSTER, "ob-race")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: bare(tasks.make_tenant_index)(CLUSTER, plan), range(2)))
        list(pool.map(lambda _: bare(tasks.put_tenant_role)(CLUSTER, "ob-race"), range(2)))
    assert list(hand.call("GET", "/_alias/tenant-ob-race")) == ["tenant-ob-race-000001"]
    assert bare(tasks.plan_tenant)(CLUSTER, "ob-race").made == ()


def test_what_carries_the_tenants_name_and_is_not_its_own_is_left_alone(hand):
    hand.call("PUT", "/tenant-ob-taken", {}, timeout_seconds=30)
    with pytest.raises(TenantNameTaken, match="an index is called tenant-ob-taken"):
        bare(tasks.plan_tenant)(CLUSTER, "ob-taken")
    hand.call("PUT", "/tenant-ob-other-000001/", {"aliases": {"tenant-ob-mixed": {}}}, timeout_seconds=30)
    with pytest.raises(TenantNameTaken, match="leads to tenant-ob-other-000001"):
        bare(tasks.plan_tenant)(CLUSTER, "ob-mixed")


def test_without_the_template_no_tenant_is_made(hand):
    hand.call("DELETE", "/_index_template/tenant")
    with pytest.raises(TemplateMissing) as refused:
        bare(tasks.plan_tenant)(CLUSTER, "ob-early")
    assert "provision-search" in refused.value.hint
    bare(tasks.put_template)(CLUSTER, "fs")


def test_an_index_with_another_mapping_is_found_out(hand):
    mapping = {"mappings": {"properties": {"documentation": {"type": "keyword"}}}}
    hand.call("PUT", "/_index_template/tenant", {"index_patterns": ["tenant-*"], "priority": 200, "template": mapping})
    hand.call("PUT", "/tenant-ob-old-000001", {}, timeout_seconds=30)
    bare(tasks.put_template)(CLUSTER, "fs")
    _, proof = onboard("ob-old")
    assert any("found nothing" in finding for finding in proof.findings)
    assert any('properties.documentation.type: saw "keyword", expected "text"' in each for each in proof.findings)


def test_a_tenants_role_opens_its_documents_and_no_other_tenants(hand, in_replica, settings):
    for tenant in ("ob-acme", "ob-acme-corp"):
        onboard(tenant)
    hand.call("PUT", "/tenant-ob-acme-corp/_doc/1?refresh=true", {"name": "theirs"})
    acme = as_tenant(in_replica, "ob-acme")
    assert acme.call("PUT", "/tenant-ob-acme/_doc/1?refresh=true", {"name": "mine"})["result"] == "created"
    # A wildcard finds what the role opens, and no more.
    for names in ("tenant-ob-acme", "tenant-*", "*"):
        hits = acme.call("GET", f"/{names}/_search")["hits"]["hits"]
        assert [hit["_source"]["name"] for hit in hits] == ["mine"]
    assert acme.call("GET", "/tenant-ob-acme-000001/_count")["count"] == 1
    for method, path in (
        ("GET", "/tenant-ob-acme-corp/_search"),
        ("GET", "/tenant-ob-acme-corp-000001/_search"),
        ("PUT", "/tenant-ob-acme-corp/_doc/2"),
        ("PUT", "/tenant-ob-acme-000002"),
        ("DELETE", "/tenant-ob-acme-000001"),
        ("GET", "/_cluster/health"),
    ):
        with pytest.raises(api.Refused) as refused:
            acme.call(method, path, {"name": "x"} if "_doc" in path else None)
        assert refused.value.status == 403, path
    with open_search(settings, CLUSTER, "tenants") as client:
        assert client.request("GET", "/tenant-ob-acme/_count")["count"] == 1


def as_tenant(place: Place, tenant: str) -> api.Api:
    password = secrets.token_urlsafe(16)
    configuration.add_user(place, tenant, password, [TenantName(tenant).role])
    user = api.Api(place.port("es-1", "http"), place.ca_file, tenant, password)
    deadline = time.monotonic() + 30
    while True:
        try:
            user.call("GET", f"/{TenantName(tenant).alias}/_count")
        except api.Refused:
            assert time.monotonic() < deadline, "the nodes did not take up the new user and role"
            time.sleep(0.5)
        else:
            return user
