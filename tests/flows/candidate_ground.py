"""Ground for release candidates: repositories of a test's own, a host of releases, and a receiver that checks signatures itself."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import threading
import tomllib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import tomli_w
from prefect import tags

from demo.shop.host import Host
from demo.shop.repository import git, make
from flows.release_candidate import release_candidate
from replica import inventory
from replica.server import Place
from steward.clients import rollouts
from steward.clients.application_host import open_application_host
from steward.clients.postgres import connect
from steward.clients.rollouts_releases import note_certified, note_placed
from steward.evidence.envelopes import open_envelope
from steward.evidence.statements import Statement, parse_statement
from steward.evidence.store import list_statements
from steward.migrations.apply import migrate
from steward.pipeline.report import CandidateNotVerified, CandidateReport
from steward.pipeline.request import CandidateRequest
from steward.rollout.plan import Plan
from steward.settings import Settings, load
from tests.flows.killed_runs import Death, run_killed
from tests.flows.prefect_server import recording_in
from tests.integration.fresh_database import fresh_database
from tests.integration.github_ground import StandIn, standing_in
from tests.keyring_ground import query
from tests.shop_host import served

FLOW = "flows.release_candidate.release_candidate"
PASSED = '<testsuite><testcase classname="{0}" name="one"/><testcase classname="{0}" name="two"/></testsuite>'
FAILED = '<testsuite><testcase classname="a" name="one"/><testcase classname="a" name="two"><failure/></testcase></testsuite>'
#: Each command says that it ran where COUNTED is; `$COMMIT` tells the runs of two commits apart.
_MANIFEST = """
format = "steward-pipeline-v1"

[build]
command = ["sh", "-c", "echo build >> $COUNTED/$COMMIT; mkdir -p build; cp release.toml build/; sh build.sh"]
artifact = "build/*.toml"
seconds = 20

[unit_tests]
command = ["sh", "-c", "echo unit >> $COUNTED/$COMMIT; cp unit.xml build/; sh unit.sh"]
junit = "build/unit.xml"
seconds = 2

[contract_tests]
command = ["sh", "-c", "echo contract >> $COUNTED/$COMMIT; cp contract.xml build/"]
junit = "build/contract.xml"
seconds = 20
"""
_DIALS = (
    'description = "tiny"\n[off]\nerring_percent = 1.0\nmedian_ms = 1.0\n[on]\nerring_percent = 1.0\nmedian_ms = 1.0\n'
)
_TINY = {
    "pipeline.toml": _MANIFEST,
    "release.toml": _DIALS,
    "build.sh": "",
    "unit.sh": "",
    "unit.xml": PASSED.format("unit"),
    "contract.xml": PASSED.format("contract"),
}
_EXPIRE = (
    "UPDATE steward.operations SET lease_until = now() - interval '1 hour' WHERE subject = %s AND state = 'running'"
)


class Told(NamedTuple):
    """A delivery whose signature was checked, not by the library that made it."""

    id: str
    body: bytes

    @property
    def data(self) -> dict[str, Any]:
        return json.loads(self.body)["data"]


class Receiver(ThreadingHTTPServer):
    """Of webhooks, and of questions for known vulnerabilities, of which it knows none."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.key = secrets.token_bytes(32)
        self.told: list[Told] = []
        self.answers: list[int] = []
        """Statuses that the next deliveries are answered with; then 202."""

    @property
    def secret(self) -> str:
        return f"whsec_{base64.b64encode(self.key).decode()}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path != "/webhooks/pipeline":
            self._answer(200, b"{}")
            return
        identity, at = self.headers["webhook-id"], self.headers["webhook-timestamp"]
        digest = hmac.new(self.server.key, b".".join([identity.encode(), at.encode(), body]), hashlib.sha256).digest()
        if self.headers["webhook-signature"] != f"v1,{base64.b64encode(digest).decode()}":
            self._answer(401, b"{}")
            return
        self.server.told.append(Told(identity, body))
        self._answer(self.server.answers.pop(0) if self.server.answers else 202, b"{}")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@dataclass
class Ground:
    """Settings with repositories of a test's own."""

    place: Place
    settings: Settings
    file: Path
    folder: Path
    receiver: Receiver
    shop: dict[str, str]
    """Commits of the demo's repository, by name."""
    github: StandIn
    """Where its proved releases become deployments; tiny's do not."""

    @property
    def counted(self) -> Path:
        return self.folder / "counted"

    @property
    def workspace(self) -> Path:
        return self.settings.proving.folder

    def tiny(self, **files: str) -> str:
        """A commit with some of the tiny repository's files changed: `unit_xml` is unit.xml; empty: it is not there."""
        repository = self.folder / "tiny"
        changed = _TINY | {name.replace("_", ".", 1): text for name, text in files.items()}
        if not repository.exists():
            repository.mkdir()
            git(repository, "init", "--quiet", "--initial-branch=main")
        for name, text in changed.items():
            (repository / name).write_text(text)
            if not text and name.endswith(".toml"):
                (repository / name).unlink()
        (repository / "unique").write_text(secrets.token_hex(8))
        git(repository, "add", "--all")
        git(repository, "commit", "--quiet", "--message", "tiny")
        return git(repository, "rev-parse", "HEAD")

    def request(self, commit: str, repository: str = "tiny", **more: Any) -> CandidateRequest:
        return CandidateRequest(**{"repository": repository, "commit": commit, "first": True, **more})

    def run(self, request: CandidateRequest, period: str = "") -> CandidateReport:
        with tags(f"period:{period or secrets.token_hex(4)}"):
            return release_candidate(request)

    def refused(self, request: CandidateRequest, period: str = "") -> CandidateReport:
        """One that is not VERIFIED."""
        with pytest.raises(CandidateNotVerified) as refused:
            self.run(request, period)
        return refused.value.report

    def killed(self, request: CandidateRequest, period: str, death: Death) -> None:
        run_killed(self.place, self.file, FLOW, request.model_dump(mode="json"), death, period=period)
        # It is dead: its lease is not waited for.
        query(self.settings, _EXPIRE, request.name)

    def ran(self, commit: str) -> list[str]:
        """What was run of a tiny commit, in its order."""
        path = self.counted / commit
        return path.read_text().split() if path.exists() else []

    def certify(self, release: str) -> None:
        """A rollout of it has ended well."""
        with connect(self.settings) as db:
            rollout = rollouts.begin(
                db,
                operation_id=secrets.randbelow(1 << 30),
                epoch=7,
                environment="production",
                release=release,
                flag="new-search",
                variant="on",
                plan=Plan(),
                colours=("green", "blue"),
                previous_release=None,
            )
            note_placed(db, rollout)
            db.execute(
                "UPDATE steward.rollouts SET state = 'certified', exposure = 100, ended_at = clock_timestamp() WHERE id = %s",
                [rollout.id],
            )
            note_certified(db, rollout, None)

    def uncertify(self) -> None:
        with connect(self.settings) as db:
            db.execute("UPDATE steward.releases SET revoked_at = clock_timestamp(), revoked_why = 'a test'")

    def statements(self, operation: str, subject: str) -> list[Statement]:
        with connect(self.settings) as db:
            rows = list_statements(db, operation, subject=subject)
        return [parse_statement(open_envelope(row.envelope.encode()).payload) for row in rows]

    def handed_over(self) -> dict[str, str]:
        with open_application_host(self.settings, "production") as host:
            return host.releases()

    def deployed(self, commit: str) -> list[dict[str, Any]]:
        """Its deployments at GitHub."""
        return self.github.ask("GET", f"/deployments?sha={commit}")

    def told_of(self, commit: str) -> list[Told]:
        return [each for each in self.receiver.told if each.data["commit"] == commit]


@contextmanager
def _received() -> Generator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.shutdown()
        receiver.server_close()
        thread.join(20)


def _described(fresh: Settings, folder: Path, receiver: Receiver, host: str, github: StandIn) -> dict[str, Any]:
    """The tables of the settings that a candidate needs."""
    for name, secret in {"announce": receiver.secret, "host": "the host's own word"}.items():
        (folder / name).write_text(secret)
    password = Path(fresh.postgres.password.removeprefix("file:")).with_name("postgres.pipeline")
    repository = {"flag": "new-search", "variables": {"COUNTED": str(folder / "counted")}}
    api = github.api().model_dump(mode="json", exclude_none=True)
    return {
        "webhooks": {
            "url": receiver.url,
            "sources": {"github": {"kind": "github", "secrets": [f"file:{folder}/host"], "api": api}},
        },
        "application_hosts": {"production": {"url": host, "token": f"file:{folder}/host"}},
        "pipeline": {
            "folder": str(folder / "work"),
            "database": {
                "url": fresh.postgres.url.replace("steward@", "pipeline@").rpartition("/")[0] + "/pipeline",
                "password": f"file:{password}",
            },
            "announce": {"url": f"{receiver.url}/webhooks/pipeline", "secret": f"file:{folder}/announce"},
            "osv_url": f"{receiver.url}/v1/query",
            "artifact_days": 1,
            "repositories": {
                "tiny": {"url": str(folder / "tiny"), "contract_tests": {"most_skipped": 1}, **repository},
                "shop": {"url": str(folder / "shop"), "github": "github", **repository},
            },
        },
    }


@pytest.fixture(scope="module")
def laid(replica, tmp_path_factory) -> Generator[Ground]:
    folder, file = tmp_path_factory.mktemp("candidates"), inventory.settings_file(replica)
    (folder / "counted").mkdir()
    commits = make(folder / "shop")
    host = Host({}, lambda: "the host's own word", folder / "taken")
    with (
        fresh_database(load(file)) as fresh,
        _received() as receiver,
        served(host) as url,
        standing_in(folder) as github,
    ):
        migrate(fresh)
        written = tomllib.loads(file.read_text()) | _described(fresh, folder, receiver, url, github)
        written["postgres"]["url"] = fresh.postgres.url
        written["operations"] = {"lease_seconds": 2, "heartbeat_seconds": 0.5}
        for checkpoint in ("checkpoint_key", "checkpoint_public_keys"):
            written["evidence"].pop(checkpoint, None)
        path = folder / "settings.toml"
        path.touch(mode=0o600)
        path.write_text(tomli_w.dumps(written))
        yield Ground(replica, load(path), path, folder, receiver, commits, github)


@pytest.fixture
def ground(laid, replica, monkeypatch) -> Generator[Ground]:
    monkeypatch.setenv("STEWARD_SETTINGS", str(laid.file))
    with recording_in(replica):
        yield laid
    assert not laid.workspace.exists() or os.listdir(laid.workspace) == []  # noqa: PTH208  names are told
