"""A repository that Elasticsearch 9.5.3 wrote: two indices of a shard each, snapshots `one` and `two`, parts of 2,000 bytes.

`rewritten` puts other words into a blob of it under a right checksum, as only somebody who means it does.
"""

import json
import struct
import zipfile
import zlib
from pathlib import Path

from steward.repository import smile
from steward.repository.errors import BlobMissing

ZIP = Path(__file__).with_name("sample.zip")
GENERATION = 1
CATALOGUE = f"index-{GENERATION}"
CODECS = {"snap": "snapshot", "meta": "metadata", "index": "snapshots"}


class Memory(dict):
    """Blobs in a dict. Whoever puts an exception there meets it."""

    def read(self, path):
        if path not in self:
            raise BlobMissing(path, "memory")
        return self[path]

    def chunks(self, path):
        blob = self.read(path)
        yield from (blob[start : start + 700] for start in range(0, len(blob), 700))

    def sizes(self, prefix=""):
        return {path: len(blob) for path, blob in self.items() if path.startswith(prefix)}


def sample():
    with zipfile.ZipFile(ZIP) as packed:
        return Memory({name: packed.read(name) for name in packed.namelist()})


def uuid_of(blobs, snapshot):
    catalogue = json.loads(blobs[CATALOGUE])
    return next(each["uuid"] for each in catalogue["snapshots"] if each["name"] == snapshot)


def paths(blobs, *, begins="", holds=""):
    """Of the blobs of metadata and data, those whose name begins so and whose path holds that."""
    return sorted(path for path in blobs if path.rpartition("/")[2].startswith(begins) and holds in path)


def flipped(blob, at, bit=0):
    return blob[:at] + bytes([blob[at] ^ 1 << bit]) + blob[at + 1 :]


def codec_of(path):
    kind = path.rpartition("/")[2].partition("-")[0]
    return "index-metadata" if kind == "meta" and "/" in path else CODECS[kind]


def document_of(path, blob):
    """What a blob says, its frame taken off without a look at it."""
    packed = blob[9 + len(codec_of(path)) : -16]
    return smile.decode(zlib.decompress(packed.removeprefix(b"DFL\0"), -15))


def rewritten(blobs, path, change):
    """*blobs* with the document at *path* changed in place by *change*, and a frame that fits."""
    if path == CATALOGUE:
        document = json.loads(blobs[path])
        change(document)
        return Memory({**blobs, path: json.dumps(document).encode()})
    document = document_of(path, blobs[path])
    change(document)
    return Memory({**blobs, path: framed(codec_of(path), as_smile(document))})


def framed(codec, body, *, deflated=True):
    packer = zlib.compressobj(wbits=-15)
    body = b"DFL\0" + packer.compress(body) + packer.flush() if deflated else body
    whole = bytes.fromhex("3fd76c17") + bytes([len(codec)]) + codec.encode() + struct.pack(">I", 1) + body
    return lucene(whole)


def lucene(content):
    """*content* with Lucene's footer."""
    whole = content + bytes.fromhex("c02893e8") + bytes(4)
    return whole + struct.pack(">Q", zlib.crc32(whole))


def as_smile(document):
    """The plainest SMILE: nothing shared, every text a long one."""
    return b":)\n\x04" + _value(document)


def _value(value):
    match value:
        case dict():
            return b"\xfa" + b"".join(b"\x34" + k.encode() + b"\xfc" + _value(v) for k, v in value.items()) + b"\xfb"
        case list():
            return b"\xf8" + b"".join(map(_value, value)) + b"\xf9"
        case bool() | None:
            return {None: b"\x21", False: b"\x22", True: b"\x23"}[value]
        case int():
            # Jackson takes a short number for damage where a long one is announced.
            return (b"\x24" if -1 << 31 <= value < 1 << 31 else b"\x25") + vint(value << 1 ^ value >> 63)
        case bytes():
            return b"\xfd" + vint(len(value)) + value
        case str():
            return b"\xe4" + value.encode() + b"\xfc"


def vint(number):
    last, number, groups = number & 0x3F | 0x80, number >> 6, []
    while number:
        groups.append(number & 0x7F)
        number >>= 7
    return bytes([*reversed(groups), last])


def shard(blobs, holds):
    """Folder of the shard whose index's id is in *holds*."""
    return next(path.rpartition("/")[0] for path in blobs if holds in path and "/0/" in path)


def index_id(blobs, letter):
    """The id of the sample's index `…-a` or `…-b`."""
    catalogue = json.loads(blobs[CATALOGUE])
    return next(index["id"] for name, index in catalogue["indices"].items() if name.endswith(letter))
