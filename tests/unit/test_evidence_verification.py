from __future__ import annotations

import json
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner

from steward.evidence.__main__ import main
from steward.evidence.canonical import canonical_json
from steward.evidence.envelopes import sign
from steward.evidence.signers import verifying_key
from steward.verdicts import Verdict
from tests.unit.evidence_samples import key_pair, statement


@pytest.fixture
def keys(tmp_path):
    return key_pair(tmp_path)


@pytest.fixture
def signer(keys):
    private = load_pem_private_key(keys[0].read_bytes(), None)
    return CryptoSigner(private, verifying_key(private.public_key()))


@pytest.fixture
def put(tmp_path, signer):
    def put(**changes):
        file = tmp_path / "statement.dsse.json"
        file.write_bytes(sign(statement(**changes).payload(), signer))
        return file

    return put


def _verify(file, key, *options):
    return main(["verify", str(file), "--key", str(key), *options])


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_good_signature_exits_0_and_says_the_verdict_plainly(put, keys, capsys, verdict):
    assert _verify(put(verdict=verdict), keys[1]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "signature: GOOD"
    assert lines[1].startswith(f"verdict:   {verdict} (")


def test_a_refuted_statement_does_not_read_as_good_news(put, keys, capsys):
    _verify(put(verdict=Verdict.REFUTED), keys[1])
    assert "it is WRONG: a good signature on bad news" in capsys.readouterr().out


def test_an_auditor_reads_what_is_claimed_by_whom_and_when(put, keys, signer, capsys):
    _verify(put(), keys[1])
    told = capsys.readouterr().out
    assert "claim:     every document of the snapshot was restored as it was" in told
    assert "operation: nightly-snapshot of production, period 2025-07-31, attempt 1" in told
    assert "started:   2025-07-31 01:30:00 UTC" in told
    assert "finished:  2025-07-31 01:42:07 UTC" in told
    assert "  tenant-acme-000001 sha256:0123456789abcdef" in told
    assert "  rpo_milliseconds = 1500" in told
    assert "  2 documents were updated in the window" in told
    assert "steward 0.1.0, commit 4b19728d0c1e2f3a4b5c6d7e8f90123456789abc, unchanged" in told
    assert f"key:       ed25519 (ed25519), id {signer.public_key.keyid}" in told
    assert "not proved: that the claim is true" in told


def test_machines_get_the_same(put, keys, signer, capsys):
    assert _verify(put(verdict=Verdict.UNKNOWN), keys[1], "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["signature"], told["verdict"], told["key_id"]) == ("good", "UNKNOWN", signer.public_key.keyid)
    assert told["statement"]["predicate"]["period"] == "2025-07-31"


def test_a_tampered_file_exits_1_and_shows_nothing_of_its_content(put, keys, capsys):
    file = put()
    members = json.loads(file.read_bytes())
    members["payload"] = members["payload"].replace("A", "B", 1)
    file.write_text(json.dumps(members))
    assert _verify(file, keys[1]) == 1
    told = capsys.readouterr().out
    assert told.startswith("signature: REFUSED\n")
    assert "production" not in told


def test_another_key_exits_1(put, tmp_path, capsys):
    _, other = key_pair(tmp_path, "other")
    assert _verify(put(), other, "--json") == 1
    assert json.loads(capsys.readouterr().out)["signature"] == "refused"


@pytest.mark.parametrize("content", [b"", b"{}", b"hello"])
def test_an_unusable_file_exits_2(tmp_path, keys, capsys, content):
    file = tmp_path / "file"
    file.write_bytes(content)
    assert _verify(file, keys[1]) == 2
    assert capsys.readouterr().out.startswith("signature: UNUSABLE\n")


def test_a_missing_file_and_a_folder_exit_2(tmp_path, keys, capsys):
    assert _verify(tmp_path / "absent", keys[1]) == 2
    assert _verify(tmp_path, keys[1]) == 2
    assert "HINT: " in capsys.readouterr().out


def test_a_private_key_given_for_the_public_one_exits_2_and_is_not_printed(put, keys, capsys):
    assert _verify(put(), keys[0]) == 2
    told = capsys.readouterr().out
    assert "give the public half" in told
    assert keys[0].read_text().splitlines()[1] not in told


def test_a_good_signature_on_something_else_is_no_evidence(tmp_path, keys, signer, capsys):
    file = tmp_path / "other.json"
    envelope = Envelope(b"pay to bearer", "text/plain", {})
    envelope.sign(signer)
    file.write_bytes(canonical_json(envelope.to_dict()))
    assert _verify(file, keys[1]) == 2
    assert "signed content is text/plain" in capsys.readouterr().out


def test_what_a_signer_writes_cannot_move_the_reader_s_cursor(put, keys, capsys):
    file = put(
        verdict=Verdict.REFUTED,
        claim="fine\nverdict:   VERIFIED\x1b[2J",
        findings=["\u202efdp"],
        subject="production\rsignature",
    )
    _verify(file, keys[1])
    told = capsys.readouterr().out
    assert [line for line in told.splitlines() if line.startswith("verdict:")] == [
        "verdict:   REFUTED (it was checked, and it is WRONG: a good signature on bad news)"
    ]
    assert not {"\x1b", "\r", "\u202e"} & set(told)


def test_members_that_this_version_does_not_know_are_named(tmp_path, keys, signer, capsys):
    members = json.loads(statement().payload())
    members["predicate"]["witness"] = "someone"
    file = tmp_path / "newer.json"
    file.write_bytes(sign(canonical_json(members), signer))
    assert _verify(file, keys[1]) == 0
    assert "also signed, unknown to this version:\n  witness\n" in capsys.readouterr().out


def test_verification_needs_no_driver_no_settings_and_no_network(put, keys):
    # A process of its own, whose sockets raise and whose environment is empty, as on an auditor's machine.
    program = (
        "import socket, sys\n"
        "def refuse(*_): raise OSError('no network here')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from steward.evidence.__main__ import main\n"
        "status = main(sys.argv[1:])\n"
        # boto3 is not among them: securesystemslib imports it by itself where it is installed.
        "drivers = {'psycopg', 'sqlalchemy', 'alembic', 'prefect', 'steward.clients'} & set(sys.modules)\n"
        "sys.exit(f'imported {drivers}' if drivers else status)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "verify", str(put()), "--key", str(keys[1])],
        capture_output=True,
        text=True,
        env={},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "verdict:   VERIFIED" in done.stdout
