"""Damage to a restored index is found, and the document named: REFUTED, never UNKNOWN, never VERIFIED."""

import json
from urllib.parse import quote

import pytest

from replica import inventory
from steward.settings import load
from steward.snapshots.digests import digest_by_scan
from steward.verdicts import Verdict
from tests.proving import MAPPINGS, staged, writable_copies

DOCUMENTS = 120
VICTIM = "doc-00010"
ROUTED = "doc-00014"


@pytest.fixture(scope="module", autouse=True)
def let_in(replica):
    with writable_copies(load(inventory.settings_file(replica))):
        yield


@pytest.fixture
def night(settings):
    with staged(settings) as stage:
        stage.create()
        stage.write(DOCUMENTS)
        yield stage.night()


def source_of(night, document):
    hits = night.stage.scratch.request("GET", f"/{night.stage.copy}/_search?q=_id:{document}")["hits"]["hits"]
    return hits[0]["_source"], hits[0].get("_routing")


def send(night, method, document, body=None, routing=None):
    night.stage.unlock()
    suffix = f"?routing={quote(routing)}" if routing else ""
    night.stage.scratch.request(method, f"/{night.stage.copy}/_doc/{document}{suffix}", body)


def change(night):
    body, routing = source_of(night, VICTIM)
    send(night, "PUT", VICTIM, {**body, "amount": body["amount"] + 0.01}, routing)
    return VICTIM


def drop(night):
    send(night, "DELETE", VICTIM)
    return VICTIM


def reroute(night):
    body, routing = source_of(night, ROUTED)
    send(night, "DELETE", ROUTED, routing=routing)
    send(night, "PUT", ROUTED, body, "elsewhere")
    return ROUTED


def add(night):
    send(night, "PUT", "doc-never-written", {"name": "foreign"})
    return "doc-never-written"


@pytest.mark.parametrize("damage", [change, drop, reroute, add])
def test_a_damaged_document_is_refuted_and_named(night, damage):
    named = damage(night)
    content = night.content()
    assert content.verdict is Verdict.REFUTED
    assert any(finding.subject.endswith(f"_id {named}") for finding in content.findings), content.findings


def test_an_undamaged_copy_is_verified_and_its_digest_can_be_recomputed(night):
    content = night.content()
    assert (content.verdict, content.undecided, content.findings) == (Verdict.VERIFIED, 0, [])
    assert content.documents == content.unchanged == DOCUMENTS - len(range(0, DOCUMENTS, 9))
    assert content.digest == digest_by_scan(night.stage.scratch, night.stage.copy)
    assert content.digest == digest_by_scan(night.stage.source, night.stage.index)


def forged(night, edit):
    """The copy rebuilt operation by operation, so that every _seq_no, term and version is the original's, but for
    *edit*: as far as the API lets anyone forge. Gaps are filled with deletes of what never was.
    """
    scratch, copy = night.stage.scratch, night.stage.copy
    found = []
    for shard in night.restored.shards:
        body = {"size": 1000, "sort": ["_seq_no"], "seq_no_primary_term": True, "version": True}
        path = f"/{copy}/_search?preference=_shards:{shard.shard}"
        found.append((shard, scratch.request("POST", path, body)["hits"]["hits"]))
    scratch.request("DELETE", f"/{copy}")
    settings = {"number_of_shards": 2, "number_of_replicas": 0, "refresh_interval": "-1"}
    scratch.request("PUT", f"/{copy}", {"settings": settings, "mappings": MAPPINGS})
    filler = fillers(scratch, copy)
    for shard, hits in found:
        by_number = {hit["_seq_no"]: hit for hit in hits}
        for number in range(shard.top + 1):
            hit = by_number.get(number)
            if hit is None:
                scratch.request("DELETE", f"/{copy}/_doc/{next(filler[shard.shard])}", ok=(404,))
                continue
            query = f"version={hit['_version']}&version_type=external" + (
                f"&routing={hit['_routing']}" if "_routing" in hit else ""
            )
            scratch.request("PUT", f"/{copy}/_doc/{hit['_id']}?{query}", edit(hit))
    scratch.request("POST", f"/{copy}/_flush")
    uuid = scratch.request("GET", f"/{copy}/_settings")[copy]["settings"]["index"]["uuid"]
    night.restored = night.restored.model_copy(update={"uuids": {copy: uuid}})
    return {hit["_id"]: hit for _, hits in found for hit in hits}


def fillers(scratch, copy):
    """Ids without a document, by the shard that they would be on."""

    def on(shard):
        n = 0
        while True:
            n += 1
            found = scratch.request("GET", f"/{copy}/_search_shards?routing=filler-{n}")["shards"]
            if found[0][0]["shard"] == shard:
                yield f"filler-{n}"

    return {0: on(0), 1: on(1)}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("victim", [VICTIM, None])
def test_a_forgery_with_the_same_sequence_numbers_is_refuted_by_its_content(settings, victim):
    with staged(settings) as stage:
        stage.create()
        stage.write(24)
        night = stage.night()

        def edit(hit):
            return {**hit["_source"], "name": "forged"} if hit["_id"] == victim else hit["_source"]

        forged(night, edit)
        content = night.content()
        if victim is None:
            # The forger's copy without a lie in it holds the same documents: the test's own control.
            assert content.verdict is Verdict.VERIFIED, content.findings
            return
        assert content.verdict is Verdict.REFUTED
        assert [finding.subject.rpartition(" ")[2] for finding in content.findings] == [VICTIM]
        assert content.findings[0].fact == "changed: same _seq_no, other content"


def test_a_missing_copy_is_refuted_and_the_index_named(night):
    night.stage.scratch.request("DELETE", f"/{night.stage.copy}")
    content = night.content()
    assert (content.verdict, content.digest) == (Verdict.REFUTED, "")
    assert content.findings[0].subject == night.stage.index


def test_a_copy_that_was_replaced_is_unknown(night):
    night.stage.scratch.request("DELETE", f"/{night.stage.copy}")
    night.stage.scratch.request("PUT", f"/{night.stage.copy}")
    content = night.content()
    assert content.verdict is Verdict.UNKNOWN
    assert "was replaced since the restore" in content.findings[0].fact


def test_an_older_snapshot_is_refuted_though_it_restores(settings):
    with staged(settings) as stage:
        stage.create()
        stage.write(DOCUMENTS)
        old = stage.night()
        stage.write(DOCUMENTS, start=DOCUMENTS)
        m0 = stage.moment()
        night = type(old)(stage, m0, old.taken.model_copy(update={"moments": m0}), old.restored)
        content = night.content()
        assert content.verdict is Verdict.REFUTED
        assert any("older than PIT0" in finding.fact for finding in content.findings)
        assert json.loads(content.model_dump_json())["findings_total"] >= DOCUMENTS // 2


def test_too_many_differences_end_the_comparison_and_refute_by_what_is_certain(settings):
    with staged(settings) as stage:
        stage.create()
        stage.write(DOCUMENTS)
        night = stage.night()

        def edit(hit):
            return {**hit["_source"], "name": "forged"}

        forged(night, edit)
        content = night.content(most_differing=10)
        assert content.verdict is Verdict.REFUTED
        assert any("the comparison stopped" in finding.fact for finding in content.findings)
        assert content.digest == ""
