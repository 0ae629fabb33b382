"""kill -9 while a statement is recorded: a repeat leaves one row, one entry, one locked version, a signed and anchored log."""

from __future__ import annotations

import random
import secrets
import signal
import subprocess
import sys
import time

import pytest
import tomli_w

from steward.clients.postgres import connect
from steward.clients.s3 import open_evidence_bucket
from steward.evidence.checkpoint_signing import published_keys
from steward.evidence.log_stores import log_in_stores
from steward.evidence.log_verification import judge
from steward.evidence.signers import load_public_key
from steward.evidence.store import list_statements, load_locked, object_key, record
from steward.migrations.apply import migrate
from steward.verdicts import Verdict
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
#: Ends itself, as kill -9 would, right after the named function's work.
ENDING_ITSELF = """
import importlib, os, signal, sys
module, _, name = sys.argv[3].rpartition(":")
owner = importlib.import_module(module)
*outer, last = name.split(".")
for each in outer:
    owner = getattr(owner, each)
real = getattr(owner, last)
def dying(*arguments, **named):
    real(*arguments, **named)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(owner, last, dying)
"""
#: Between any two of: row and entry, locked object, signature, kept checkpoint, anchored leaves, anchored checkpoint.
MOMENTS = [
    "steward.evidence.store:_append",
    "steward.evidence.store:_lock",
    "steward.evidence.sealing:sign_checkpoint",
    "steward.evidence.log:keep_checkpoint",
    "steward.evidence.anchors:Anchors.put_leaves",
    "steward.evidence.log:keep_anchored",
    "steward.evidence.anchors:Anchors.put_checkpoint",
]
KILLS = 5
#: A recording takes 100 to 400 ms here, so kills in this span fall before, between and after the stores and the vault.
LONGEST_SECONDS = 0.4


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


@pytest.mark.parametrize("where", MOMENTS)
def test_killed_between_any_two_steps_a_repeat_leaves_a_whole_log(stores, tmp_path, where):
    made = statement(subject=f"cluster-{secrets.token_hex(6)}")
    command = [sys.executable, "-c", ENDING_ITSELF + RECORDER, str(tmp_path / "settings.toml"), made.payload().decode()]
    done = subprocess.run([*command, where], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "ready\n"), done.stderr
    later = record(stores, statement(subject=f"cluster-{secrets.token_hex(6)}"))
    ref = record(stores, made)
    assert _versions(stores, ref.digest) == [ref.version_id]
    report = judge(log_in_stores(stores, [load_public_key(stores.evidence.public_key)]), published_keys(stores))
    assert (report.verdict, list(report.notices)[1:]) == (Verdict.VERIFIED, [])
    assert (report.entries, report.proved.checkpoint.size, report.anchored_leaves) == (2, 2, 2)
    assert later.row_id != ref.row_id


def _versions(settings, digest):
    with open_evidence_bucket(settings) as bucket:
        found = bucket.client.list_object_versions(Bucket=bucket.name, Prefix=object_key(digest))
    return [version["VersionId"] for version in found["Versions"]]
