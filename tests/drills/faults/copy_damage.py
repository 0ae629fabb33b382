"""Damage to what was restored: a restore that brought back something else, and somebody who wrote to the copy since."""

from urllib.parse import quote

from tests.drills.faults.ground import MAPPINGS, ROUTED, SETTINGS, VICTIM
from tests.drills.faults.kinds import Right, Where, kind

COPY = Where.COPY


def _unlocked(case, index):
    """The copy of *index*, which may be written to from now on."""
    copy = case.copy_of(index)
    case.hand.ask("PUT", f"/{copy}/_settings", {"index.blocks.write": False})
    return copy


def _held(case, copy, document):
    hits = case.hand.ask("GET", f"/{copy}/_search?q=_id:{document}")["hits"]["hits"]
    return hits[0]["_source"], hits[0].get("_routing")


def _send(case, method, copy, document, body=None, *, routing=None):
    suffix = f"?routing={quote(routing)}" if routing else ""
    case.hand.ask(method, f"/{copy}/_doc/{document}{suffix}", body)


@kind("one document changed", COPY)
def change(case):
    copy = _unlocked(case, case.ground.index("a"))
    body, routing = _held(case, copy, VICTIM)
    _send(case, "PUT", copy, VICTIM, {**body, "amount": body["amount"] + 0.01}, routing=routing)
    return (f"_id {VICTIM}",)


@kind("one document dropped", COPY)
def drop(case):
    _send(case, "DELETE", _unlocked(case, case.ground.index("a")), VICTIM)
    return (f"_id {VICTIM}",)


@kind("one document dropped, another one added", COPY)
def exchange(case):
    copy = _unlocked(case, case.ground.index("a"))
    body, _ = _held(case, copy, VICTIM)
    _send(case, "DELETE", copy, VICTIM)
    _send(case, "PUT", copy, "doc-90011", body)
    return (f"_id {VICTIM}",)


@kind("one document re-routed", COPY)
def reroute(case):
    copy = _unlocked(case, case.ground.index("a"))
    body, routing = _held(case, copy, ROUTED)
    _send(case, "DELETE", copy, ROUTED, routing=routing)
    _send(case, "PUT", copy, ROUTED, body, routing="elsewhere")
    return (f"_id {ROUTED}",)


@kind("one document duplicated under another id", COPY)
def duplicate(case):
    copy = _unlocked(case, case.ground.index("a"))
    body, routing = _held(case, copy, VICTIM)
    _send(case, "PUT", copy, f"{VICTIM}-twin", body, routing=routing)
    return (f"_id {VICTIM}-twin",)


@kind("one document duplicated on the other shard", COPY)
def duplicate_on_shard(case):
    copy = _unlocked(case, case.ground.index("a"))
    body, _ = _held(case, copy, VICTIM)
    here = _shard(case, copy, VICTIM)
    routing = next(f"r{n}" for n in range(100) if _shard(case, copy, f"r{n}") != here)
    _send(case, "PUT", copy, VICTIM, body, routing=routing)
    return (f"_id {VICTIM}",)


def _shard(case, copy, routing):
    return case.hand.ask("GET", f"/{copy}/_search_shards?routing={quote(routing)}")["shards"][0][0]["shard"]


@kind("a document changed, and changed back", COPY)
def change_and_back(case):
    """The same bytes again: what was restored is not what was taken, though it reads the same."""
    copy = _unlocked(case, case.ground.index("a"))
    body, routing = _held(case, copy, VICTIM)
    _send(case, "PUT", copy, VICTIM, {"name": "other"}, routing=routing)
    _send(case, "PUT", copy, VICTIM, body, routing=routing)
    return (f"_id {VICTIM}", f"{case.ground.index('a')}[{_shard(case, copy, VICTIM)}]")


def _forged(case, edit, mappings=MAPPINGS, settings=SETTINGS):
    """The copy of the one-shard index made anew, operation by operation: each _seq_no, term and version is the original's.

    *edit* gives a document's source from its hit; None: a delete of something else stands at its number.
    """
    copy = case.copy_of(case.ground.index("b"))
    (shard,) = [each for each in case.restored.shards if each.index == case.ground.index("b")]
    body = {"size": 1000, "sort": ["_seq_no"], "seq_no_primary_term": True, "version": True}
    hits = {hit["_seq_no"]: hit for hit in case.hand.ask("POST", f"/{copy}/_search", body)["hits"]["hits"]}
    aliases = case.hand.ask("GET", f"/{copy}/_alias")[copy]["aliases"]
    case.hand.ask("DELETE", f"/{copy}")
    made = {**settings, "number_of_shards": 1, "refresh_interval": "-1"}
    case.hand.ask("PUT", f"/{copy}", {"settings": made, "mappings": mappings, "aliases": aliases})
    for number in range(shard.top + 1):
        hit = hits.get(number)
        source = edit(hit) if hit else None
        if source is None:
            case.hand.ask("DELETE", f"/{copy}/_doc/filler-{number}", ok=(404,))
            continue
        query = f"version={hit['_version']}&version_type=external"
        query += f"&routing={hit['_routing']}" if "_routing" in hit else ""
        case.hand.ask("PUT", f"/{copy}/_doc/{hit['_id']}?{query}", source)
    case.hand.ask("POST", f"/{copy}/_flush")
    uuid = case.hand.ask("GET", f"/{copy}/_settings")[copy]["settings"]["index"]["uuid"]
    case.restored = case.restored.model_copy(update={"uuids": {**case.restored.uuids, copy: uuid}})


@kind("forged with the same _seq_no: one document changed", COPY)
def forge_change(case):
    _forged(case, lambda hit: {**hit["_source"], "name": "forged"} if hit["_id"] == VICTIM else hit["_source"])
    return (f"_id {VICTIM}",)


@kind("forged with the same _seq_no: one letter of one document", COPY)
def forge_letter(case):
    def edit(hit):
        source = hit["_source"]
        return (
            {**source, "text": source["text"].replace("considerations", "consideration5")}
            if hit["_id"] == VICTIM
            else source
        )

    _forged(case, edit)
    return (f"_id {VICTIM}",)


@kind("forged with the same _seq_no: one document dropped", COPY)
def forge_drop(case):
    _forged(case, lambda hit: None if hit["_id"] == VICTIM else hit["_source"])
    return (f"_id {VICTIM}",)


@kind("forged with the same _seq_no: two documents exchanged", COPY)
def forge_exchange(case):
    other = "doc-00012"
    sources = {each: _held(case, case.copy_of(case.ground.index("b")), each)[0] for each in (VICTIM, other)}
    exchanged = {VICTIM: sources[other], other: sources[VICTIM]}
    _forged(case, lambda hit: exchanged.get(hit["_id"], hit["_source"]))
    return f"_id {VICTIM}", f"_id {other}"


@kind("forged with the same _seq_no: a mapping of another type", COPY)
def forge_mapping(case):
    properties = {**MAPPINGS["properties"], "amount": {"type": "keyword"}}
    _forged(case, lambda hit: hit["_source"], mappings={**MAPPINGS, "properties": properties})
    return (case.ground.index("b"),)


@kind("forged with the same _seq_no: another analyzer from the start", COPY)
def forge_analyzer(case):
    settings = {**SETTINGS, "analysis": {"analyzer": {"words": {"type": "standard", "max_token_length": 4}}}}
    _forged(case, lambda hit: hit["_source"], settings=settings)
    return (case.ground.index("b"),)


@kind("an alias lost", COPY)
def lose_alias(case):
    index = case.ground.index("a")
    case.hand.ask("DELETE", f"/{case.copy_of(index)}/_alias/{case.ground.name}-a")
    return (f"alias {case.ground.name}-a ",)


@kind("an alias that points to one index more", COPY)
def gain_alias(case):
    case.hand.ask("PUT", f"/{case.copy_of(case.ground.index('a'))}/_alias/{case.ground.name}-b")
    return (f"alias {case.ground.name}-b ",)


@kind("an alias that became a filter", COPY)
def filter_alias(case):
    body = {"filter": {"term": {"name": "n1"}}, "is_write_index": True}
    case.hand.ask("PUT", f"/{case.copy_of(case.ground.index('a'))}/_alias/{case.ground.name}-a", body)
    return (f"alias {case.ground.name}-a",)


def _closed(case, settings):
    copy = case.copy_of(case.ground.index("a"))
    case.hand.ask("POST", f"/{copy}/_close")
    case.hand.ask("PUT", f"/{copy}/_settings", settings)
    case.hand.ask("POST", f"/{copy}/_open?wait_for_active_shards=0")
    return (case.ground.index("a"),)


@kind("an analyzer changed", COPY)
def change_analyzer(case):
    return _closed(case, {"index.analysis.analyzer.words.max_token_length": 4})


@kind("a setting changed", COPY)
def change_setting(case):
    case.hand.ask("PUT", f"/{case.copy_of(case.ground.index('a'))}/_settings", {"index.max_result_window": 77})
    return (case.ground.index("a"),)


@kind("a field added to a mapping", COPY)
def change_mapping(case):
    body = {"properties": {"never": {"type": "keyword"}}}
    case.hand.ask("PUT", f"/{case.copy_of(case.ground.index('a'))}/_mapping", body)
    return (case.ground.index("a"),)


@kind("a shard fails after the restore", COPY, right=Right.UNKNOWN, slow=True)
def fail_shard(case):
    """A bit of its commit point flips on the scratch node's disk, and it is opened anew."""
    copy = case.copy_of(case.ground.index("a"))
    case.hand.ask("POST", f"/{copy}/_close")
    shard = case.ground.place.folder("scratch") / "data" / "indices" / case.restored.uuids[copy] / "0" / "index"
    (commit,) = shard.glob("segments_*")
    blob = bytearray(commit.read_bytes())
    blob[case.chance.randrange(len(blob))] ^= 1 << case.chance.randrange(8)
    commit.write_bytes(blob)
    case.hand.ask("POST", f"/{copy}/_open?wait_for_active_shards=0")
    case.hand.ask("GET", f"/_cluster/health/{copy}?wait_for_no_initializing_shards=true&timeout=20s", ok=(408,))
    return (case.ground.index("a"),)


@kind("the copy vanishes", COPY)
def vanish(case):
    case.hand.ask("DELETE", f"/{case.copy_of(case.ground.index('b'))}")
    return (case.ground.index("b"),)


@kind("the copy is replaced by an empty index", COPY)
def replace(case):
    copy = case.copy_of(case.ground.index("b"))
    case.hand.ask("DELETE", f"/{copy}")
    case.hand.ask("PUT", f"/{copy}", {"settings": SETTINGS, "mappings": MAPPINGS})
    return (case.ground.index("b"),)


@kind("all copies vanish", COPY)
def vanish_all(case):
    for index in case.ground.indices:
        case.hand.ask("DELETE", f"/{case.copy_of(index)}")
    return tuple(case.ground.indices)
