"""Faster starts: classes of a node loaded, linked and profiled once, kept in a Java AOT cache beside the home.

Recorded by running a real one-node cluster once. The virtual machine checks an archive against its own version, options
and class path and does without one that does not fit, so a stale archive costs time and never correctness.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from replica.elasticsearch import api, configuration, java
from replica.elasticsearch.clusters import HAND, SCRATCH
from replica.ports import choose
from replica.server import Place

_READY_SECONDS = 300
_WRITE_SECONDS = 300
_CALL_SECONDS = 60  # each call is the first of its kind, on a cold virtual machine that records


def path(home: Path) -> Path:
    """Beside the home, named for the Java that reads it."""
    return home.with_name(f"{home.name}-java-{java.FLAVOUR}.aot")


def options(home: Path) -> list[str]:
    """The virtual machine's options to use the archive of *home*; none where there is none."""
    return [f"-XX:AOTCache={path(home)}"] if path(home).exists() else []


def recording(output: Path) -> list[str]:
    """The virtual machine's options to write an archive to *output* when it ends."""
    return [f"-XX:AOTCacheOutput={output}"]


def ensure(home: Path) -> Path | None:
    """The archive of *home*, recorded now (about half a minute) unless it is there.

    None, and one line that says why, where it cannot be recorded: nodes then start slower, and nothing else changes.
    """
    if not path(home).exists():
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=".recording-") as beside:
            try:
                _record(home, Path(beside)).replace(path(home))
            except (_NotRecorded, OSError, subprocess.SubprocessError) as error:
                print(f"Elasticsearch will start slower, without its archive: {error}")
                return None
    return path(home)


class _NotRecorded(Exception):
    """Why, in words."""


def _record(home: Path, folder: Path) -> Path:
    """Run `scratch` by itself in *folder* until it answers, then stop it: the new archive."""
    ports = choose(("scratch.http", "scratch.transport"), {})
    place = Place(state=folder, cache=home.parent, ports=ports)
    configuration.write(place, SCRATCH, "scratch")
    output = folder / "node.aot"
    command = [sys.executable, "-m", "replica.elasticsearch.node", str(home)]
    command += [str(configuration.folder(place, "scratch")), "--record", str(output)]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            _exercise(place, process)
            process.send_signal(signal.SIGTERM)
            process.wait(_WRITE_SECONDS)
        finally:
            process.kill()
    if not output.exists():
        raise _NotRecorded((folder / "log").read_text()[-400:].strip() or "the node said nothing")
    return output


def _exercise(place: Place, process: subprocess.Popen[bytes]) -> None:
    """What every start does, and the paths a cluster's first minute takes: a document, a search, a snapshot."""
    hand = api.connect(place, SCRATCH, "scratch", HAND)
    _await(hand, process)
    location = str(configuration.repository(place))
    for method, target, body in (
        ("PUT", "/tenant-recorded/_doc/1?refresh=true", {"text": "one real document", "number": 1.5}),
        ("POST", "/tenant-recorded/_search", {"query": {"match": {"text": "document"}}}),
        ("PUT", "/_snapshot/recorded", {"type": "fs", "settings": {"location": location}}),
        ("PUT", "/_snapshot/recorded/one?wait_for_completion=true", {"indices": "tenant-*"}),
    ):
        hand.call(method, target, body, timeout_seconds=_CALL_SECONDS)


def _await(hand: api.Api, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            hand.call("GET", "/_cluster/health?wait_for_status=green&timeout=1s")
        except (OSError, api.Refused):
            time.sleep(0.2)
        else:
            return
    raise _NotRecorded(f"the recorded node did not answer within {_READY_SECONDS} s")
