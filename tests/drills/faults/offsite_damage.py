"""Damage to the copy off site: by the store's disk, by its owner, by time."""

import time
from datetime import UTC, datetime, timedelta

from steward.clients.offsite_fetching import read_document
from steward.repository.account import Kind as Blob
from steward.repository.copying import Copied
from tests.drills.faults.kinds import Right, Where, kind

OFFSITE = Where.OFFSITE
#: The store takes no date of the past; it is waited for.
_SOON = timedelta(seconds=2)


def _drawn(case, blob=Blob.DATA):
    return case.chance.choice(sorted({each.path for each in case.closure.needed if each.kind is blob and each.bytes}))


@kind("a bit flipped in the store's own file", OFFSITE, slow=True)
def flip_in_volume(case):
    """In the volume of the object store, where a blob's bytes lie as they came."""
    path = _unlike_others(case)
    blob = (case.folder / path).read_bytes()
    place, bit = case.chance.randrange(len(blob)), case.chance.randrange(8)
    # In each that is found: copies of other cases have the same bytes, and are not asked for any more.
    found = [
        volume
        for volume in sorted(case.ground.place.folder("s3").rglob("*.dat"))
        if _flip_each(volume, blob, place, bit)
    ]
    assert found, f"{path} is in no volume"
    case.note(f"{path}: byte {place}, bit {bit}, in {', '.join(volume.name for volume in found)}")
    return (path,)


def _flip_each(volume, blob, place, bit):
    held, count, at = volume.read_bytes(), 0, -1
    with volume.open("r+b") as file:
        while (at := held.find(blob, at + 1)) >= 0:
            file.seek(at + place)
            file.write(bytes([held[at + place] ^ 1 << bit]))
            count += 1
    return count


def _unlike_others(case):
    found = sorted({each.path for each in case.closure.needed if each.kind is Blob.DATA and each.bytes > 1_000})
    return case.chance.choice(found)


@kind("other bytes put over a blob", OFFSITE, right=Right.WITHSTOOD)
def put_over(case):
    path = _drawn(case)
    case.copy.put(case.copy.key(path), b"x" * len((case.folder / path).read_bytes()))
    return (path,)


@kind("a deletion marker put over a blob", OFFSITE, right=Right.WITHSTOOD)
def hide(case):
    path = _drawn(case)
    case.copy.client.delete_object(Bucket=case.copy.name, Key=case.copy.key(path))
    return (path,)


@kind("a version deleted, in governance", OFFSITE)
def delete_version(case):
    path = _drawn(case)
    case.copy.delete(case.copy.key(path), case.copy.known[path].version)
    return (path,)


@kind("a version of the catalogue deleted, in governance", OFFSITE)
def delete_catalogue(case):
    case.copy.delete(case.copy.key(case.catalogue_path), case.copy.known[case.catalogue_path].version)
    return (case.catalogue_path,)


@kind("a version exchanged for one with other bytes", OFFSITE)
def exchange(case):
    path = _drawn(case)
    case.copy.delete(case.copy.key(path), case.copy.known[path].version)
    case.copy.put(case.copy.key(path), (case.folder / path).read_bytes()[::-1])
    return (path,)


@kind("every version of one index deleted", OFFSITE)
def delete_index(case):
    folder = case.catalogue.indices[case.ground.index("b")].id
    for path in [path for path in case.copy.known if f"/{folder}/" in path]:
        case.copy.delete(case.copy.key(path), case.copy.known[path].version)
    return (case.ground.index("b"),)


@kind("the night's document deleted", OFFSITE)
def delete_document(case):
    case.copy.delete(case.copy.document_key, case.copy.document)
    return (case.copy.document_key,)


@kind("the night's document exchanged for an altered one", OFFSITE)
def alter_document(case):
    """Consistent in itself: it pins another blob's version under one's name."""
    copy = case.copy
    body = b"".join(copy.bucket.chunks(copy.document_key, copy.document))
    copy.delete(copy.document_key, copy.document)
    copy.put(copy.document_key, body[:-20] + bytes(20))
    return (copy.document_key,)


@kind("an altered document put over the night's", OFFSITE, right=Right.WITHSTOOD)
def put_document_over(case):
    copy = case.copy
    document = read_document(copy.bucket, copy.document_key, copy.document)
    copy.put(copy.document_key, document.body()[::-1])
    return (copy.document_key,)


@kind("a lock that lapsed", OFFSITE)
def lapse(case):
    path = _drawn(case)
    _expire(case, path)
    # As it comes about: nobody renewed it in time, so the record says the same.
    known = case.copy.known[path]
    case.copy.known[path] = Copied(known.bytes, known.sha256, known.version, datetime.now(UTC))
    return (path,)


@kind("a lock lifted before its time, in governance", OFFSITE)
def lift(case):
    path = _drawn(case, case.chance.choice([Blob.DATA, Blob.INDEX_METADATA, Blob.SHARD_SNAPSHOT]))
    _expire(case, path)
    return (path,)


def _expire(case, path):
    until = datetime.now(UTC).replace(microsecond=0) + _SOON
    case.copy.lock_until(path, until)
    time.sleep(max(0.0, (until - datetime.now(UTC)).total_seconds()) + 0.1)


@kind("a lock shortened, in governance", OFFSITE)
def shorten(case):
    path = _drawn(case)
    case.copy.lock_until(path, datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1))
    return (path,)


@kind("the primary blob damaged after it was checked, before it was copied", OFFSITE)
def damage_before_copy(case):
    path = _drawn(case)
    blob = bytearray((case.folder / path).read_bytes())
    blob[case.chance.randrange(len(blob))] ^= 1
    (case.folder / path).write_bytes(blob)
    # It was never brought there.
    case.copy.delete(case.copy.key(path), case.copy.known.pop(path).version)
    return (path,)


@kind("a bucket without Object Lock", OFFSITE, right=Right.UNKNOWN)
def no_lock(case):
    case.copy.bucket_to_check = case.ground.settings.objects.backup_bucket
    return (case.ground.settings.objects.backup_bucket,)


@kind("a bucket that is not there", OFFSITE, right=Right.UNKNOWN)
def no_bucket(case):
    case.copy.bucket_to_check = f"{case.ground.name}-nowhere"
    return (f"{case.ground.name}-nowhere",)


@kind("a bucket with another cluster's copy of this repository", OFFSITE, right=Right.UNKNOWN)
def another_clusters(case):
    case.copy.cluster_to_check = "elsewhere"
    return ("elsewhere", case.repository)
