"""What somebody with the database's password does to the log, and what `verify` says of it; and the way back."""

from __future__ import annotations

import pytest

from steward.clients.postgres import connect
from steward.evidence import log
from steward.evidence.errors import LogForked, LogRolledBack
from steward.evidence.recovering import recover
from steward.evidence.store import complete, list_statements, load_statement, record
from steward.migrations.apply import migrate
from tests.integration.evidence_ground import Command, append, new_statement, older_state, tamper
from tests.integration.fresh_database import changed, fresh_database
from tests.unit.evidence_samples import statement

pytestmark = pytest.mark.without_search


ANOTHER_ATTEMPT = """
INSERT INTO steward.evidence (operation, subject, period, attempt, verdict, digest, key_id, envelope)
SELECT operation, subject, period, 7, verdict, digest, key_id, envelope FROM steward.evidence
"""


@pytest.fixture
def stores(settings):
    with fresh_database(settings) as fresh:
        migrate(fresh)
        yield fresh


@pytest.fixture
def command(tmp_path, capsys):
    return Command(tmp_path, capsys)


def _rows(settings):
    with connect(settings) as connection:
        return list_statements(connection)[::-1]


def _seen(command, settings, folder):
    """The newest checkpoint, kept in a file as an auditor does."""
    (folder / "last-seen").write_text(command(settings, "checkpoint"))
    return "--checkpoint", folder / "last-seen"


def test_a_rewritten_statement_is_named_in_the_stores_and_in_an_export(stores, command, tmp_path):
    for _ in range(4):
        record(stores, new_statement())
    victim, other = _rows(stores)[1], append(stores, new_statement(claim="all is well"))[0]
    complete(stores)
    tamper(stores, ("UPDATE steward.evidence SET envelope = %s WHERE id = %s", other.envelope, victim.id))
    assert command.findings(stores, "--no-anchors")[0] == ("damaged", 1)
    told = command(stores, "verify", status=1)
    assert f"damaged: entry 1 (nightly-snapshot of {victim.subject}, period 2025-07-31, attempt 1; statement " in told
    assert victim.digest[:12] in told
    command(stores, "export", "--log", tmp_path / "log")
    keys = "--key", stores.evidence.public_key, "--log-key", stores.evidence.checkpoint_public_keys
    assert ("damaged", 1) in command.findings(stores, tmp_path / "log", *keys)


def test_a_statement_that_was_deleted_is_named_by_the_anchors(stores, command):
    for _ in range(3):
        record(stores, new_statement())
    victim = _rows(stores)[1]
    tamper(stores, ("DELETE FROM steward.evidence WHERE id = %s", victim.id))
    assert command.findings(stores) == [("missing", 1)]
    assert f"missing: entry 1 (nightly-snapshot of {victim.subject}" in command(stores, "verify", status=1)


def test_a_verdict_that_was_changed_in_the_row_alone_is_told(stores, command):
    record(stores, new_statement(verdict="REFUTED"))
    tamper(stores, ("UPDATE steward.evidence SET verdict = 'VERIFIED'",))
    assert command.findings(stores) == [("statement", 0)]
    assert "its row says verdict VERIFIED, what was signed says REFUTED" in command(stores, "verify", status=1)


def test_leaves_whose_hashes_were_swapped_are_told(stores, command):
    for _ in range(2):
        record(stores, new_statement())
    swap = "UPDATE steward.log_nodes AS n SET hash = o.hash FROM steward.log_nodes AS o"
    tamper(stores, (f"{swap} WHERE n.level = 0 AND o.level = 0 AND n.index = 1 - o.index",))
    assert command.findings(stores) == [("kept hash", 0), ("kept hash", 1)]


def test_a_statement_that_was_kept_out_of_the_log_is_told(stores, command):
    record(stores, new_statement())
    tamper(stores, (ANOTHER_ATTEMPT,))
    assert ("outside", None) in command.findings(stores)


def test_a_database_put_back_is_seen_with_a_checkpoint_or_the_anchors_and_not_without(stores, command, tmp_path):
    for _ in range(2):
        record(stores, new_statement())
    with older_state(stores) as back:
        lost = new_statement()
        record(stores, lost)
        assert "compared:   with NOTHING" in command(back, "verify", "--no-anchors")
        seen = _seen(command, stores, tmp_path)
        assert command.findings(back, "--no-anchors", *seen) == [("cut back", None)]
        assert command.findings(back, *seen) == [("cut back", None)]
        told = command(back, "verify", status=1)
        assert "3 entries were signed (anchor checkpoints/000000000003), and 2 are here; gone: entry 2 " in told
        assert lost.subject in told


def test_a_database_put_back_records_nothing_until_it_has_its_statements_again(stores, command, tmp_path):
    record(stores, new_statement())
    with older_state(stores) as back:
        lost = [new_statement() for _ in range(3)]
        for made in lost:
            record(stores, made)
        with pytest.raises(LogRolledBack, match="has 1 entries, and 4 were signed") as raised:
            record(back, new_statement())
        assert "After a restore" in raised.value.hint
        assert len(_rows(back)) == 1
        assert command(back, "recover") == "3 statements that the database had lost are recorded again\n"
        assert [row.subject for row in _rows(back)[1:]] == [made.subject for made in lost]
        assert [row.envelope for row in _rows(back)] == [row.envelope for row in _rows(stores)]
        record(back, new_statement())
        seen = _seen(command, stores, tmp_path)
        assert "entries:    5" in command(back, "verify", *seen)
        assert recover(back) == 0


def test_what_was_recorded_after_a_restore_unseen_is_not_signed_in_another_s_place(stores, command, tmp_path):
    record(stores, new_statement())
    with older_state(stores) as back:
        record(stores, new_statement())
        # With the object store away nothing tells that the database was put back.
        with pytest.raises(Exception, match="object store"):
            record(changed(back, "objects", endpoint="https://127.0.0.1:1"), new_statement())
        with pytest.raises(LogForked):
            complete(back)
        with pytest.raises(LogForked, match="entry 1 was nightly-snapshot"):
            recover(back)
        with connect(back) as connection:
            assert [kept.size for kept in log.checkpoints(connection)] == [1]
        assert ("damaged", 1) in command.findings(back)
        assert command.findings(back, "--no-anchors", *_seen(command, stores, tmp_path))[0] == (
            "not the signed root",
            None,
        )


def test_a_fork_that_somebody_had_signed_is_seen_with_the_other_branch_s_checkpoint(stores, command, tmp_path):
    record(stores, new_statement())
    with older_state(stores) as back:
        record(stores, new_statement())
        record(stores, new_statement())
        append(back, *(new_statement() for _ in range(3)))
        _sign_whatever_it_is(back)
        assert "compared:   with NOTHING" in command(back, "verify", "--no-anchors")
        seen = _seen(command, stores, tmp_path)
        assert command.findings(back, "--no-anchors", *seen) == [("forked", None)]
        assert ("forked", None) in command.findings(back)


def _sign_whatever_it_is(settings):
    """As somebody who may sign in the vault, and does not ask the anchors."""
    from steward.evidence.checkpoint_signing import sign_checkpoint  # noqa: PLC0415 # nobody else here signs

    with connect(settings) as connection:
        log.keep_checkpoint(connection, sign_checkpoint(settings, log.current(connection), last_kid=None))


def test_one_statement_is_exported_with_its_proof_and_verified_offline(stores, command, tmp_path):
    refs = [record(stores, new_statement()) for _ in range(3)]
    keys = "--key", stores.evidence.public_key, "--log-key", stores.evidence.checkpoint_public_keys
    for index, ref in enumerate(refs):
        file = tmp_path / f"{index}.tlog-proof"
        assert "--log-key checkpoints.pub" in command(stores, "export", ref.digest, "--proof", "--to", file)
        assert f"in the log: entry {index} of steward/evidence/" in command(stores, "verify", file, *keys)


def test_a_statement_that_is_not_signed_for_yet_has_no_proof(stores, command, tmp_path):
    (row,) = append(stores, new_statement())
    told = command(stores, "export", row.digest, "--proof", "--to", tmp_path / "one", status=1)
    assert "no checkpoint of the log is signed yet" in told
    record(stores, new_statement())
    (later,) = append(stores, new_statement())
    told = command(stores, "export", later.digest, "--proof", "--to", tmp_path / "one", status=1)
    assert "entry 2 is under no signed checkpoint yet" in told


def test_an_export_is_a_new_folder_and_says_how_to_check_it(stores, command, tmp_path):
    record(stores, new_statement())
    seen = _seen(command, stores, tmp_path)
    record(stores, new_statement())
    told = command(stores, "export", "--log", tmp_path / "log")
    assert told.startswith("wrote 2 entries into ")
    keys = "--key", stores.evidence.public_key, "--log-key", stores.evidence.checkpoint_public_keys
    verified = command(stores, "verify", tmp_path / "log", *keys, *seen)
    assert "of 1 entries\ncompared:   with the anchors under Object Lock: 2 checkpoints" in verified
    assert "File exists" in command(stores, "export", "--log", tmp_path / "log", status=1)
    assert "nothing to export" in command(stores, "export", status=1)


def test_the_same_statement_twice_is_one_entry(stores):
    made = statement(subject=new_statement().subject)
    ref = record(stores, made)
    record(stores, made)
    with connect(stores) as connection:
        assert log.size(connection) == 1
        assert log.index_of(connection, load_statement(connection, ref.digest)) == 0
