"""Which backups of the keyring go, and what is erased in all that stay; and that a damaged one is never read as whole."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.keys.backups import (
    AHEAD,
    Backup,
    Pruned,
    StoredVersion,
    completed,
    key_of,
    moment_of,
    oldest,
    overdue,
    plan_pruning,
)
from steward.keys.backups_errors import BackupUnreadable
from steward.keys.backups_format import Header, PartWriter, assemble, read_header, text_of
from steward.keys.backups_report import BackupChecked, BackupFacts, BackupNotVerified, BackupReport, assess_backup
from steward.verdicts import Verdict

NOW = datetime(2025, 7, 31, 0, 40, tzinfo=UTC)
DAYS = 30
TEXT = {"tenants": [b"acme\t2025-01-01\t\\N\n", b"globex\t2025-01-02\t\\N\n"], "wraps": []}


def stored(age_days, version="v1", key=None):
    at = NOW - timedelta(days=age_days)
    return StoredVersion(key=key or key_of(at, 7, 1), version_id=version, stored_at=NOW)


def backup(version, *erased, verdict=None):
    return Backup(
        key=version.key,
        taken_at=version.taken_at,
        epoch=1,
        sha256="0" * 64,
        bytes=1,
        rows={},
        erased=erased,
        verdict=verdict,
    )


def packed(text=TEXT):
    made = []
    for name, blocks in text.items():
        writer = PartWriter(name, ("a", "b", "c"))
        for block in blocks:
            writer.feed(block)
        made.append(writer.done())
    header = Header(taken_at=NOW, epoch=3, revision="0001", tables=tuple(p for p, _ in made), sequences={"key_ids": 9})
    return assemble(header, [member for _, member in made])


def test_what_was_packed_comes_out_as_it_was():
    header = read_header(packed())
    assert [(part.name, part.rows) for part in header.tables] == [("tenants", 2), ("wraps", 0)]
    assert [b"".join(text_of(packed(), header, part)) for part in header.tables] == [b"".join(TEXT["tenants"]), b""]


def test_the_same_rows_are_the_same_bytes():
    split = {"tenants": [b"".join(TEXT["tenants"])[:5], b"".join(TEXT["tenants"])[5:]], "wraps": []}
    assert packed() == packed(split)


@given(st.data())
def test_no_changed_byte_of_the_tables_goes_unnoticed(data):
    body = packed()
    at = data.draw(st.integers(body.index(b"\n") + 1, len(body) - 1))
    damaged = body[:at] + bytes([body[at] ^ data.draw(st.integers(1, 255))]) + body[at + 1 :]
    header = read_header(damaged)
    try:
        texts = [b"".join(text_of(damaged, header, part)) for part in header.tables]
    except BackupUnreadable:
        return
    # A bit of gzip's own header that means nothing: the text is what it was.
    assert texts == [b"".join(TEXT["tenants"]), b""]


@pytest.mark.parametrize(
    "body", [b"", b"\n", b"{}", b"{}\n", b'{"format": "other/1"}\n', packed()[:-1], packed() + b"x", b"\x1f\x8b" * 99]
)
def test_what_is_no_whole_backup_is_refused(body):
    with pytest.raises(BackupUnreadable) as refused:
        read_header(body)
    assert refused.value.hint


def test_a_name_tells_the_moment_that_the_backup_shows():
    assert moment_of(key_of(NOW, 12, 3)) == NOW
    assert moment_of("keyring/20259999T999999.000000Z-1-1.backup") is None
    assert moment_of("keyring/notes.txt") is None


def test_age_counts_from_the_moment_shown_and_not_from_when_it_was_stored():
    late = stored(age_days=40)
    assert late.stored_at == NOW
    assert overdue([late], NOW, DAYS) == [late]
    strange = StoredVersion(key="keyring/notes.txt", version_id="v", stored_at=NOW - timedelta(days=2))
    assert oldest([strange]) == NOW - timedelta(days=2)


def test_what_would_be_too_old_before_a_late_next_run_goes_already():
    young, old = stored(28.4), stored(28.6)
    assert plan_pruning([young, old], NOW, DAYS, keep=()) == [old]
    next_run = NOW + timedelta(days=1) + timedelta(hours=12) - timedelta(minutes=1)
    assert next_run - NOW < AHEAD
    assert overdue([stored(28.4)], next_run, DAYS) == []


def test_every_version_of_an_old_object_goes_delete_markers_too():
    key = key_of(NOW - timedelta(days=40), 7, 1)
    marker = StoredVersion(key=key, version_id="m", stored_at=NOW, is_marker=True)
    versions = [stored(40, "v1"), stored(40, "v2"), marker]
    assert plan_pruning(versions, NOW, DAYS, keep=()) == versions


def test_what_is_kept_stays_however_old():
    old = stored(400)
    assert plan_pruning([old], NOW, DAYS, keep={old.key}) == []


def test_an_erasure_is_complete_once_every_backup_was_taken_after_it():
    before, after = stored(2), stored(1)
    register = {each.key: each for each in (backup(before), backup(after, "acme"))}
    assert completed(["acme", "globex"], [before, after], register) == ()
    del register[before.key]
    assert completed(["acme", "globex"], [after], register) == ("acme",)


def test_a_backup_that_the_register_does_not_know_may_hold_anybody():
    assert completed(["acme"], [stored(1)], {}) == ()


def test_a_registered_backup_that_is_not_stored_may_still_land():
    assert completed(["acme"], [], {"a": backup(stored(1))}) == ()
    assert completed(["acme"], [], {}) == ("acme",)


WELL = BackupFacts(
    backup=backup(stored(0)), checked=BackupChecked(living=5, unwrapped=5), pruned=Pruned(remaining=1, oldest=NOW)
)


def with_checked(**values):
    return WELL.model_copy(update={"checked": BackupChecked(**values)})


@pytest.mark.parametrize(
    ("facts", "verdict", "words"),
    [
        (WELL, Verdict.VERIFIED, ""),
        (BackupFacts(error="the keyring is away"), Verdict.UNKNOWN, ""),
        (with_checked(living=0), Verdict.UNKNOWN, "no living key"),
        (with_checked(living=5, unwrapped=0), Verdict.UNKNOWN, "unwrapped none"),
        (with_checked(living=5, unwrapped=4, findings=("key 3 does not open",)), Verdict.REFUTED, "key 3"),
        (WELL.model_copy(update={"error": "the store is away"}), Verdict.UNKNOWN, ""),
        (WELL.model_copy(update={"pruned": Pruned(overdue=("keyring/x",))}), Verdict.REFUTED, "keyring/x is older"),
    ],
)
def test_only_a_backup_that_opened_and_a_kept_promise_are_verified(facts, verdict, words):
    found, findings = assess_backup(facts, DAYS)
    assert found is verdict
    assert words in " ".join(findings)


def test_the_error_of_a_run_names_its_first_finding():
    facts = with_checked(findings=("key 3 does not open",))
    verdict, findings = assess_backup(facts, DAYS)
    times = {"started_at": NOW, "ended_at": NOW}
    report = BackupReport(
        period="2025-07-31", attempt=1, verdict=verdict, findings=findings, retention_days=DAYS, **times
    )
    assert "2025-07-31 is REFUTED: key 3 does not open" in BackupNotVerified(report).message
