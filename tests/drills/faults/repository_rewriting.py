"""Rewrites of the repository: whoever does these knows its format, and every checksum is right afterwards."""

import json

from steward.repository import layout
from steward.repository.account import Kind as Blob
from tests.drills.faults.ground import VICTIM, mark_of
from tests.drills.faults.kinds import Where, kind
from tests.drills.faults.repository_damage import drawn
from tests.unit.repository.sample import as_smile, codec_of, document_of, framed, lucene

REPOSITORY = Where.REPOSITORY


def _rewrite(case, path, change):
    blob = (case.folder / path).read_bytes()
    if "/" not in path and path.startswith("index-"):
        document = json.loads(blob)
        change(document)
        made = json.dumps(document).encode()
    else:
        document = document_of(path, blob)
        change(document)
        made = framed(codec_of(path), as_smile(document))
    (case.folder / path).write_bytes(made)
    case.note(path)


@kind("rewritten: the catalogue without last night's snapshot", REPOSITORY)
def forget_snapshot(case):
    uuid = case.ground.yesterday

    def change(catalogue):
        gone = next(each for each in catalogue["snapshots"] if each["uuid"] == uuid)
        catalogue["snapshots"].remove(gone)
        for index in catalogue["indices"].values():
            index["snapshots"].remove(uuid)
        used = {each for other in catalogue["snapshots"] for each in other["index_metadata_lookup"].values()}
        catalogue["index_metadata_identifiers"] = {
            name: meta for name, meta in catalogue["index_metadata_identifiers"].items() if name in used
        }

    _rewrite(case, case.catalogue_path, change)
    return case.catalogue_path, uuid, "yesterday"


@kind("rewritten: the catalogue names last night's snapshot otherwise", REPOSITORY)
def rename_snapshot(case):
    def change(catalogue):
        next(each for each in catalogue["snapshots"] if each["uuid"] == case.ground.yesterday)["name"] = "someday"

    _rewrite(case, case.catalogue_path, change)
    return case.catalogue_path, "yesterday", "someday"


@kind("rewritten: the snapshot and the catalogue without one index", REPOSITORY)
def forget_index(case):
    gone, uuid = case.ground.index("b"), case.night.taken.uuid

    def from_catalogue(catalogue):
        index = catalogue["indices"][gone]
        index["snapshots"].remove(uuid)
        listed = next(each for each in catalogue["snapshots"] if each["uuid"] == uuid)
        del catalogue["index_metadata_identifiers"][listed["index_metadata_lookup"].pop(index["id"])]

    def from_snapshot(document):
        info = document["snapshot"]
        info["indices"].remove(gone)
        info.get("index_details", {}).pop(gone, None)
        info["total_shards"] -= 1
        info["successful_shards"] -= 1

    _rewrite(case, case.catalogue_path, from_catalogue)
    _rewrite(case, layout.snapshot_path(uuid), from_snapshot)
    return gone, case.catalogue_path


@kind("rewritten: an index's metadata without its alias", REPOSITORY)
def forget_alias(case):
    index, alias = case.ground.index("a"), f"{case.ground.name}-a"

    def change(document):
        aliases = document[index]["aliases"]
        assert alias in aliases
        del aliases[alias]

    _rewrite(case, _metadata_of(case, index), change)
    return _metadata_of(case, index), alias


@kind("rewritten: an index's metadata with another analyzer", REPOSITORY)
def other_analyzer(case):
    index = case.ground.index("a")

    def change(document):
        settings = document[index]["settings"]
        assert settings["index.analysis.analyzer.words.max_token_length"] == "40"
        settings["index.analysis.analyzer.words.max_token_length"] = "4"

    _rewrite(case, _metadata_of(case, index), change)
    return _metadata_of(case, index), index


@kind("rewritten: the global metadata with another template", REPOSITORY)
def other_template(case):
    def change(document):
        templates = document["meta-data"]["index_template"]["index_template"]
        settings = templates[case.ground.name]["template"]["settings"]
        (name,) = [name for name in settings if name.endswith("number_of_shards")] or ["index"]
        settings[name] = "7" if name != "index" else {"number_of_shards": "7"}

    path = layout.global_metadata_path(case.night.taken.uuid)
    _rewrite(case, path, change)
    return path, f"template {case.ground.name}"


@kind("rewritten: the global metadata without a template", REPOSITORY)
def forget_template(case):
    path = layout.global_metadata_path(case.night.taken.uuid)
    _rewrite(
        case, path, lambda document: document["meta-data"]["index_template"]["index_template"].pop(case.ground.name)
    )
    return path, f"template {case.ground.name}"


@kind("rewritten: a shard's generation without one file of tonight's", REPOSITORY)
def forget_file(case):
    path = drawn(case, Blob.SHARD_GENERATION)

    def change(document):
        own = document["snapshots"]["tonight"]["files"]
        gone = case.chance.choice([name for name in own if name.startswith("__")])
        own.remove(gone)
        document["files"] = [each for each in document["files"] if each["name"] != gone]
        for other in document["snapshots"].values():
            if gone in other["files"]:
                other["files"].remove(gone)

    _rewrite(case, path, change)
    return (path,)


@kind("rewritten: a shard's generation without last night's snapshot", REPOSITORY)
def forget_shard_snapshot(case):
    """Tonight's account is whole: the next deletion takes files that last night's snapshot needs."""
    path = drawn(case, Blob.SHARD_GENERATION)

    def change(document):
        del document["snapshots"]["yesterday"]
        named = {name for each in document["snapshots"].values() for name in each["files"]}
        document["files"] = [each for each in document["files"] if each["name"] in named]

    _rewrite(case, path, change)
    return (path,)


@kind("rewritten: a shard as it was last night, in both accounts", REPOSITORY)
def older_shard(case):
    folder = layout.shard_folder(case.catalogue.indices[case.ground.index("b")].id, 0)
    generation = layout.shard_generation_path(
        folder, case.catalogue.indices[case.ground.index("b")].shard_generations[0]
    )
    older = document_of(
        "snap-x.dat", (case.folder / layout.shard_snapshot_path(folder, case.ground.yesterday)).read_bytes()
    )

    def in_snapshot(document):
        document["files"] = older["files"]

    def in_generation(document):
        snapshots = document["snapshots"]
        snapshots["tonight"]["files"] = snapshots["yesterday"]["files"]
        named = set(snapshots["yesterday"]["files"])
        document["files"] = [each for each in document["files"] if each["name"] in named]

    _rewrite(case, layout.shard_snapshot_path(folder, case.night.taken.uuid), in_snapshot)
    _rewrite(case, generation, in_generation)
    return (f"{case.ground.index('b')}[0]",)


@kind("rewritten: one document in a data blob, all checksums right", REPOSITORY)
def rewrite_document(case):
    """One byte of a stored document, the file's own checksum, and what both of the shard's accounts say of it."""
    mark = mark_of(11).encode()
    path, at = _holding(case, mark)
    blob = bytearray((case.folder / path).read_bytes())
    blob[at : at + len(mark)] = mark[::-1]
    made = lucene(bytes(blob[:-16]))
    (case.folder / path).write_bytes(made)
    folder, _, name = path.rpartition("/")
    checksum = _base36(int.from_bytes(made[-8:], "big"))

    def change(document):
        (file,) = [each for each in document["files"] if each["name"] == name]
        file["checksum"] = checksum

    index = next(each for each in case.catalogue.indices.values() if f"/{each.id}/" in path)
    shard = int(folder.rpartition("/")[2])
    _rewrite(case, layout.shard_snapshot_path(folder, case.night.taken.uuid), change)
    _rewrite(case, layout.shard_snapshot_path(folder, case.ground.yesterday), change)
    _rewrite(case, layout.shard_generation_path(folder, index.shard_generations[shard]), change)
    case.note(f"{path}: byte {at}")
    return path, f"_id {VICTIM}"


def _holding(case, words):
    """The blob of an index's only shard in which those words are first found, and where."""
    for path in sorted(
        {
            each.path
            for each in case.closure.needed
            if each.kind is Blob.DATA and case.closure.index_of(each.path) == case.ground.index("b")
        }
    ):
        if (at := (case.folder / path).read_bytes().find(words)) >= 0:
            return path, at
    raise AssertionError(words)


def _base36(number):
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits or "0"


@kind("another repository of the same names mounted", REPOSITORY)
def other_repository(case):
    """A copy to which another cluster wrote: all the same but for its own UUIDs."""

    def change(catalogue):
        catalogue["uuid"], catalogue["cluster_id"] = catalogue["uuid"][::-1], catalogue["cluster_id"][::-1]

    _rewrite(case, case.catalogue_path, change)
    return (case.catalogue_path,)


def _metadata_of(case, index):
    listed = case.closure.snapshot
    held = case.catalogue.indices[index]
    return layout.index_metadata_path(
        held.id, case.catalogue.index_metadata_identifiers[listed.index_metadata_lookup[held.id]]
    )
