from __future__ import annotations

from collections.abc import Generator

import pytest
from prefect.client.orchestration import get_client
from prefect.utilities.callables import parameter_schema

from flows.onboard_tenant import OnboardRequest, onboard_tenant
from replica.elasticsearch import api
from replica.elasticsearch.clusters import HAND, PRODUCTION
from replica.server import Place
from steward.search.errors import BadTenantName, TenantNotSearchable
from steward.verdicts import Verdict
from tests.flows.prefect_server import artifact, recording_in
from tests.provisioning import provision


@pytest.fixture
def hand(in_replica: Place) -> Generator[api.Api]:
    """The replica's own hand on a provisioned cluster; the tenants of a test are gone after it."""
    hand = api.connect(in_replica, PRODUCTION, "es-1", HAND)
    with recording_in(in_replica):
        provision()
        yield hand
    for index in hand.call("GET", "/tenant-fl-*/_alias"):
        hand.call("DELETE", f"/{index}", timeout_seconds=30)


def test_a_tenant_is_onboarded_within_30_seconds_and_a_second_time_without_effect(hand):
    first = onboard_tenant(OnboardRequest(tenant="fl-first"))
    assert (first.verdict, first.alias) == (Verdict.VERIFIED, "tenant-fl-first")
    assert first.seconds < 30
    assert "index tenant-fl-first-000001 with alias tenant-fl-first" in first.made
    shown = artifact("tenant-fl-first")
    assert "verdict: VERIFIED" in shown
    second = onboard_tenant(OnboardRequest(tenant="fl-first"))
    assert (second.verdict, second.made) == (Verdict.VERIFIED, ())


@pytest.mark.parametrize("name", ["Acme", "ac--me", "acme-000001", "x", "tenant_1"])
def test_a_bad_name_is_refused_in_words_before_anything_is_touched(hand, name):
    before = version(hand)
    with pytest.raises(BadTenantName) as refused:
        onboard_tenant({"tenant": name})
    assert repr(name) in refused.value.message
    assert "expected" in refused.value.message
    assert refused.value.hint
    assert version(hand) == before


def version(hand: api.Api) -> int:
    """Of the cluster's state, once it has come to rest: every change of roles apart, a change raises it."""
    hand.call("GET", "/_cluster/health?wait_for_events=languid&timeout=20s", timeout_seconds=25)
    return hand.call("GET", "/_cluster/state/version")["version"]


def test_a_tenant_that_is_not_as_promised_ends_the_run_failed(hand):
    mapping = {"properties": {"documentation": {"type": "keyword"}}}
    hand.call("PUT", "/_index_template/tenant", {"index_patterns": ["tenant-*"], "template": {"mappings": mapping}})
    hand.call("PUT", "/tenant-fl-old-000001", {}, timeout_seconds=30)
    provision()
    with pytest.raises(TenantNotSearchable) as refuted:
        onboard_tenant(OnboardRequest(tenant="fl-old"))
    assert any("properties.documentation.type" in finding for finding in refuted.value.findings)
    assert "verdict: REFUTED" in artifact("tenant-fl-old")
    with get_client(sync_client=True) as client:
        (latest, *_) = client.request("POST", "/flow_runs/filter", json={"sort": "EXPECTED_START_TIME_DESC"}).json()
    assert latest["state"]["type"] == "FAILED"
    assert hand.call("GET", "/tenant-fl-old/_count")["count"] == 0


def test_the_form_says_what_a_name_looks_like():
    schema = parameter_schema(onboard_tenant).model_dump()["definitions"]["OnboardRequest"]
    assert schema["required"] == ["tenant"]
    tenant = schema["properties"]["tenant"]
    assert tenant["pattern"] == "^[a-z][a-z0-9-]{1,38}[a-z0-9]$"
    assert {"title", "description"} <= tenant.keys()
