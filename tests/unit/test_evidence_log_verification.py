"""What `verify` says of a log in a folder: no server, no settings; what is wrong is named, what cannot be seen is said."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from steward.evidence.__main__ import main
from steward.evidence.proofs import Proof
from steward.verdicts import Verdict
from tests.unit.evidence_logs import Log, NotesSigner

ENTRIES = 7


@pytest.fixture(scope="module")
def made():
    return Log(ENTRIES)


@pytest.fixture
def keys(made, tmp_path):
    (tmp_path / "log.pub").write_text(made.signer.key.pem)
    (tmp_path / "statements.pub").write_bytes(made.statements_pem)
    return ["--key", str(tmp_path / "statements.pub"), "--log-key", str(tmp_path / "log.pub")]


@pytest.fixture
def seen(made, tmp_path):
    """A checkpoint of so many entries that the auditor kept."""

    def seen(size, log=made):
        (tmp_path / "last-seen").write_bytes(log.note(size))
        return ["--checkpoint", str(tmp_path / "last-seen")]

    return seen


@pytest.fixture
def verify(keys, capsys):
    def verify(path, *options, status=0):
        assert main(["verify", str(path), *keys, *options]) == status
        return capsys.readouterr().out

    return verify


@pytest.fixture
def findings(keys, capsys):
    def findings(path, *options, status=1):
        assert main(["verify", str(path), *keys, *options, "--json"]) == status
        return [(one["kind"], one["index"]) for one in json.loads(capsys.readouterr().out)["findings"]]

    return findings


def _statement(folder, index):
    return folder / "statements" / f"{index}.tlog-proof"


def _rewritten(file, **changes):
    proof = Proof.read(file.read_bytes())
    file.write_bytes(Proof(**{**vars(proof), **changes}).written())


def test_a_whole_log_is_proved_and_nothing_to_compare_with_is_said(made, verify, tmp_path):
    told = verify(made.write(tmp_path / "log"))
    assert told.startswith("log:        VERIFIED (every entry is in its place")
    assert f"checkpoint: {ENTRIES} entries" in told
    assert "compared:   with NOTHING: no checkpoint that was seen before, no anchors." in told


def test_a_log_that_grew_is_compared_with_the_checkpoint_that_was_seen(made, verify, seen, tmp_path):
    folder = made.write(tmp_path / "log")
    for size in range(ENTRIES + 1):
        told = verify(folder, *seen(size))
        assert f"compared:   with the checkpoint that was seen before, of {size} entries" in told
        assert "NOTHING" not in told


def test_a_log_cut_back_to_an_older_signed_state_looks_whole_to_whoever_saw_no_later_one(
    made, verify, findings, seen, tmp_path
):
    folder = made.write(tmp_path / "log", 4)
    assert "An older signed state" in verify(folder)
    assert verify(folder, *seen(4))
    assert findings(folder, *seen(6)) == [("cut back", None)]


def test_anchors_show_that_a_log_was_cut_back_and_name_what_is_gone(made, verify, findings, tmp_path):
    folder = made.write(tmp_path / "log", 4, anchored=6)
    assert findings(folder) == [("cut back", None)]
    told = verify(folder, status=1)
    assert "6 entries were signed (anchor checkpoints/000000000006), and 4 are here" in told
    assert "entry 4 (nightly-snapshot of production, period 2025-08-05, attempt 1; statement " in told
    assert "An older signed state" in verify(folder, "--no-anchors")


def test_a_changed_statement_is_named(made, verify, findings, tmp_path):
    folder = made.write(tmp_path / "log")
    _rewritten(_statement(folder, 3), envelope=made.envelope(3, verdict=Verdict.REFUTED))
    assert findings(folder) == [("damaged", 3)]
    told = verify(folder, status=1)
    assert told.startswith("log:        REFUTED (it is NOT the log that was signed")
    assert "damaged: entry 3 (nightly-snapshot of production, period 2025-08-04, attempt 1) is not what it was" in told


def test_a_statement_that_is_gone_is_named(made, findings, tmp_path):
    folder = made.write(tmp_path / "log")
    _statement(folder, 5).unlink()
    assert findings(folder) == [("missing", 5)]


def test_a_statement_that_nobody_signed_is_named_beside_the_place_it_does_not_fit(made, findings, tmp_path):
    folder = made.write(tmp_path / "log")
    members = json.loads(made.entries[2])
    members["signatures"][0]["sig"] = json.loads(made.entries[1])["signatures"][0]["sig"]
    _rewritten(_statement(folder, 2), envelope=json.dumps(members).encode())
    assert findings(folder) == [("damaged", 2), ("statement", 2)]


def test_two_statements_that_changed_places_are_both_named(made, findings, tmp_path):
    folder = made.write(tmp_path / "log")
    for index, other in ((1, 2), (2, 1)):
        _rewritten(_statement(folder, index), envelope=made.entries[other])
    assert findings(folder) == [("damaged", 1), ("damaged", 2)]


def test_with_its_kept_hash_changed_too_the_anchors_name_it(made, findings, tmp_path):
    forged = Log(ENTRIES, made.signer)
    forged.statements, forged.statements_pem = made.statements, made.statements_pem
    forged.entries = [*made.entries[:3], made.envelope(3, verdict=Verdict.REFUTED), *made.entries[4:]]
    folder = made.write(tmp_path / "log", anchored=ENTRIES)
    _rewritten(_statement(folder, 3), envelope=forged.entries[3])
    (folder / "leaves").write_text("".join(f"{leaf.hex()}\n" for leaf in forged.leaves))
    assert ("damaged", 3) in findings(folder)
    assert ("kept hash", 3) in findings(folder)
    assert findings(folder, "--no-anchors") == [("not the signed root", None), ("statement", 3)]


def test_swapped_hashes_of_leaves_are_told_and_the_entries_are_still_proved(made, findings, verify, tmp_path):
    folder = made.write(tmp_path / "log")
    lines = (folder / "leaves").read_text().splitlines()
    (folder / "leaves").write_text("\n".join([lines[1], lines[0], *lines[2:]]))
    assert findings(folder) == [("kept hash", 0), ("kept hash", 1)]
    assert f"checkpoint: {ENTRIES} entries" in verify(folder, status=1)


def test_a_wrong_anchor_is_told_from_a_wrong_entry(made, findings, tmp_path):
    folder = made.write(tmp_path / "log", anchored=ENTRIES)
    (anchor,) = (folder / "anchors" / "leaves").iterdir()
    anchor.write_bytes(anchor.read_bytes().replace(made.leaves[2].hex().encode(), bytes(32).hex().encode()))
    assert findings(folder) == [("anchor", 2)]
    anchor.write_bytes(b"[]")
    assert findings(folder) == [("anchor", None)]


def test_a_forked_log_is_seen_with_the_checkpoint_of_the_other_branch(made, findings, seen, tmp_path):
    other = Log(ENTRIES + 2, made.signer)
    other.statements, other.statements_pem = made.statements, made.statements_pem
    other.entries = [*made.entries[:4], *(made.envelope(index, attempt=2) for index in range(4, ENTRIES + 2))]
    folder = other.write(tmp_path / "log")
    assert findings(folder, *seen(4), status=0) == []
    assert findings(folder, *seen(6)) == [("forked", None)]


def test_a_tampered_checkpoint_is_refused(made, findings, tmp_path):
    folder = made.write(tmp_path / "log")
    for file in (folder / "checkpoint", folder / "checkpoints" / str(ENTRIES)):
        file.write_text(file.read_text().replace(f"\n{ENTRIES}\n", f"\n{ENTRIES - 1}\n"))
    kinds = {kind for kind, _ in findings(folder)}
    assert "checkpoint refused" in kinds


def test_a_log_signed_by_another_key_is_refused(made, findings, tmp_path):
    other = Log(ENTRIES, NotesSigner())
    other.statements, other.entries = made.statements, made.entries
    assert ("checkpoint refused", None) in findings(other.write(tmp_path / "log"))


def test_a_checkpoint_of_another_log_is_no_comparison(made, findings, seen, tmp_path):
    other = Log(0, made.signer, origin="steward/evidence/another")
    other.entries = made.entries
    assert findings(made.write(tmp_path / "log"), *seen(3, other)) == [("another log", None)]


def test_a_seen_checkpoint_that_nobody_signed_is_not_compared_with(made, seen, verify, tmp_path):
    told = verify(made.write(tmp_path / "log"), *seen(3, Log(ENTRIES)), status=1)
    assert told.startswith("signature: REFUSED\nthe checkpoint that was seen before: ")


def test_a_signer_s_key_that_was_not_given_leaves_it_unknown(made, keys, tmp_path, capsys):
    (tmp_path / "statements.pub").write_bytes(Log(1).statements_pem)
    assert main(["verify", str(made.write(tmp_path / "log")), *keys]) == 2
    told = capsys.readouterr().out
    assert told.startswith("log:        UNKNOWN")
    assert "statements from entry 0 on are signed by key" in told


def test_without_the_statements_key_their_place_is_proved_and_their_signatures_are_said_to_be_unchecked(
    made, keys, tmp_path, capsys
):
    assert main(["verify", str(made.write(tmp_path / "log")), *keys[2:]]) == 0
    assert "the statements' own signatures were not checked" in capsys.readouterr().out


def test_one_statement_is_proved_with_one_file_and_two_keys(made, verify, tmp_path):
    file = tmp_path / "one.tlog-proof"
    for size in (4, ENTRIES):
        file.write_bytes(made.proof(3, size).written())
        told = verify(file)
        assert told.startswith("signature: GOOD\nverdict:   VERIFIED")
        assert f"in the log: entry 3 of {made.origin}, checkpoint of {size} entries" in told


def test_one_statement_s_proof_for_machines(made, verify, tmp_path):
    (tmp_path / "one").write_bytes(made.proof(3).written())
    told = json.loads(verify(tmp_path / "one", "--json"))
    assert (told["signature"], told["log"]["index"], told["log"]["size"]) == ("good", 3, ENTRIES)


@pytest.mark.parametrize(
    "changes",
    [
        {"index": 2},
        {"index": 99},
        {"path": ()},
        {"path": (bytes(32), bytes(32), bytes(32))},
        {"path": (b"short",)},
    ],
)
def test_a_proof_that_leads_elsewhere_is_refused(made, verify, tmp_path, changes):
    file = tmp_path / "one"
    file.write_bytes(made.proof(3).written())
    _rewritten(file, **changes)
    told = verify(file, status=1)
    assert told.startswith("signature: REFUSED\nthe statement is not entry")
    assert "production" not in told


def test_a_statement_with_another_s_proof_is_refused(made, verify, tmp_path):
    file = tmp_path / "one"
    file.write_bytes(made.proof(3).written())
    _rewritten(file, envelope=made.entries[4])
    assert "is not entry 3" in verify(file, status=1)


def test_a_proof_whose_checkpoint_was_signed_by_another_key_is_refused(made, verify, tmp_path):
    file = tmp_path / "one"
    file.write_bytes(made.proof(3).written())
    _rewritten(file, checkpoint=Log(ENTRIES).note().decode())
    assert "no signature by a key that was given" in verify(file, status=1)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.split("\n\n")[0],
        lambda text: text.replace("extra ", "Extra "),
        lambda text: text.replace("index 3", "index 03"),
        lambda text: text.replace("index 3\n", "index 3\nnot base64\n"),
        lambda text: text.replace("extra ", "extra ="),
    ],
)
def test_a_file_that_is_no_proof_is_unusable(made, verify, tmp_path, damage):
    (tmp_path / "one").write_text(damage(made.proof(3).written().decode()))
    assert verify(tmp_path / "one", status=2).startswith("signature: UNUSABLE\n")


def test_one_file_is_not_compared_with_an_earlier_checkpoint(made, verify, seen, tmp_path):
    (tmp_path / "one").write_bytes(made.proof(3).written())
    assert "cannot be compared" in verify(tmp_path / "one", *seen(3), status=2)


def test_keys_that_are_not_given_are_asked_for(made, tmp_path, keys, capsys):
    (tmp_path / "one").write_bytes(made.proof(3).written())
    assert main(["verify", str(tmp_path / "one"), *keys[:2]]) == 2
    assert "--log-key" in capsys.readouterr().out
    assert main(["verify", str(tmp_path / "one"), *keys[2:]]) == 2
    assert "--key" in capsys.readouterr().out


@pytest.mark.parametrize("part", ["checkpoint", "leaves", "statements"])
def test_a_folder_that_is_no_export_is_unusable(made, verify, tmp_path, part):
    folder = made.write(tmp_path / "log")
    target = folder / part
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    assert "is no export of a log" in verify(folder, status=2)


def test_an_export_is_verified_without_driver_settings_or_network(made, keys, seen, tmp_path):
    # A process of its own, whose sockets raise and whose environment is empty, as on an auditor's machine.
    program = (
        "import socket, sys\n"
        "def refuse(*_): raise OSError('no network here')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from steward.evidence.__main__ import main\n"
        "status = main(sys.argv[1:])\n"
        "drivers = {'psycopg', 'sqlalchemy', 'alembic', 'prefect', 'steward.clients'} & set(sys.modules)\n"
        "sys.exit(f'imported {drivers}' if drivers else status)\n"
    )
    folder = made.write(tmp_path / "log", anchored=ENTRIES)
    done = subprocess.run(
        [sys.executable, "-c", program, "verify", str(folder), *keys, *seen(3)],
        capture_output=True,
        text=True,
        env={},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "log:        VERIFIED" in done.stdout
