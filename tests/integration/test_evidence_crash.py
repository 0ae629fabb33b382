"""kill -9 while a statement is recorded: a repeat leaves one row, one locked version, the same bytes in both."""

from __future__ import annotations

import random
import secrets
import subprocess
import sys
import time

import pytest
import tomli_w

from steward.clients.postgres import connect
from steward.clients.s3 import open_evidence_bucket
from steward.evidence.store import list_statements, load_locked, object_key, record
from steward.migrations.apply import migrate
from tests.integration.fresh_database import fresh_database
from tests.unit.evidence_samples import statement

pytestmark = pytest.mark.without_search

RECORDER = """
import sys
from pathlib import Path
from steward.evidence.statements import parse_statement
from steward.evidence.store import record
from steward.settings import load
settings, made = load(Path(sys.argv[1])), parse_statement(sys.argv[2].encode())
print("ready", flush=True)
record(settings, made)
print("recorded", flush=True)
"""
KILLS = 8
#: A recording takes 50 to 200 ms here, so kills in this span fall before, between and after the two stores.
LONGEST_SECONDS = 0.25


@pytest.fixture
def stores(settings, tmp_path):
    with fresh_database(settings) as fresh:
        migrate(fresh)
        (tmp_path / "settings.toml").write_text(tomli_w.dumps(fresh.model_dump(mode="json", exclude_none=True)))
        yield fresh


def _kill_while_recording(path, made, delay) -> bool:
    """Whether the kill came before the recording's end."""
    command = [sys.executable, "-c", RECORDER, str(path), made.payload().decode()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(delay)
        process.kill()
        return process.stdout.read() == ""


def test_a_killed_recording_is_completed_once_by_a_repeat(stores, tmp_path):
    rng = random.Random(20250731)  # a seed, so that a failure can be repeated
    interrupted = 0
    for _ in range(KILLS):
        made = statement(subject=f"cluster-{secrets.token_hex(6)}")
        interrupted += _kill_while_recording(tmp_path / "settings.toml", made, rng.uniform(0, LONGEST_SECONDS))
        ref = record(stores, made)
        with connect(stores) as connection:
            (row,) = list_statements(connection, subject=made.subject)
        assert row.id == ref.row_id
        assert load_locked(stores, ref.digest).body == row.envelope.encode()
        assert _versions(stores, ref.digest) == [ref.version_id]
    assert interrupted, "no kill fell into a recording: the span of delays is wrong for this machine"


def _versions(settings, digest):
    with open_evidence_bucket(settings) as bucket:
        found = bucket.client.list_object_versions(Bucket=bucket.name, Prefix=object_key(digest))
    return [version["VersionId"] for version in found["Versions"]]
