"""The flag store: no change is lost, unvalidated or untold; a lease ends for good; and a kill is never kept waiting for long."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from psycopg import errors as pg

from replica import inventory
from steward.clients.flag_errors import (
    FlagChangedMeanwhile,
    LeaseExpired,
    LeaseFenced,
    NoSuchFlag,
    NoSuchVersion,
)
from steward.clients.flag_store import (
    LEASE_AT_MOST_SECONDS,
    change_flag,
    flag_history,
    kill_flag,
    list_flags,
    read_flag,
    renew_lease,
    restore_flag,
)
from steward.clients.postgres import connect, open_connection
from steward.errors import BadInput
from steward.flags.errors import BucketsWouldFlip, FlagDocumentRefused
from steward.settings import load
from tests.integration.flags_ground import WHO, flags_database, new_flag, soon, stored
from tests.integration.fresh_database import superuser

pytestmark = pytest.mark.without_search


@pytest.fixture(scope="module")
def database(replica):
    with flags_database(load(inventory.settings_file(replica))) as fresh:
        yield fresh


@pytest.fixture
def db(database):
    """Each statement is committed at once."""
    with open_connection(database, autocommit=True) as connection:
        yield connection


def _change(db, flag, version, *, epoch=None, why="more of it"):
    with db.transaction():
        return change_flag(db, flag, who=WHO, why=why, expected_version=version, epoch=epoch)


def test_a_change_is_a_version_with_who_and_why(db, database):
    first = stored(database, new_flag())
    second = _change(db, first.flag.exposing(50, "on"), 1)
    assert (second.version, second.flag.split.exposure_percent) == (2, 50)
    assert read_flag(db, second.flag.key) == second
    told = [(each.version, each.who, each.why, each.flag) for each in flag_history(db, first.flag.key)]
    assert told == [(2, WHO, "more of it", second.flag), (1, WHO, "to begin with", first.flag)]


def test_of_two_changes_of_the_same_version_the_second_is_refused(db, database):
    first = stored(database, new_flag())
    _change(db, first.flag.exposing(50, "on"), 1, why="hers")
    with pytest.raises(FlagChangedMeanwhile, match="is at version 2; expected version 1") as refused:
        _change(db, first.flag.exposing(100, "on"), 1, why="his")
    assert (refused.value.found, refused.value.expected) == (2, 1)
    assert read_flag(db, first.flag.key).flag.split.exposure_percent == 50


def test_of_many_who_make_a_flag_at_once_one_makes_it(database):
    flag, start = new_flag(), threading.Barrier(6)

    def make(number):
        with connect(database) as connection:
            start.wait()
            try:
                change_flag(
                    connection, flag.changed(description=f"{number}"), who=WHO, why=f"{number}", expected_version=0
                )
            except FlagChangedMeanwhile:
                return False
            return True

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(make, range(6))) == [False] * 5 + [True]
    with connect(database) as connection:
        assert [each.version for each in flag_history(connection, flag.key)] == [1]


def test_a_change_that_is_made_again_is_made_once(db, database):
    first = stored(database, new_flag())
    once = _change(db, first.flag.exposing(50, "on"), 1)
    assert _change(db, first.flag.exposing(50, "on"), 1) == once
    assert stored(database, first.flag.exposing(50, "on").changed(key=new_flag().key)).version == 1
    assert len(flag_history(db, first.flag.key)) == 2


def test_the_same_change_by_another_hand_is_still_refused(db, database):
    first = stored(database, new_flag())
    _change(db, first.flag.exposing(50, "on"), 1, why="hers")
    with pytest.raises(FlagChangedMeanwhile):
        _change(db, first.flag.exposing(50, "on"), 1, why="his")


@pytest.mark.parametrize(
    ("make", "refusal"),
    [
        (lambda flag: flag.exposing(5, "on"), BucketsWouldFlip),
        # The model itself would not make it.
        (lambda flag: flag.model_copy(update={"off": "neither"}), FlagDocumentRefused),
    ],
)
def test_what_would_flip_users_or_not_evaluate_changes_nothing(db, database, make, refusal):
    first, revision = stored(database, new_flag()), list_flags(db).revision
    with pytest.raises(refusal):
        _change(db, make(first.flag), 1)
    assert read_flag(db, first.flag.key) == first
    assert list_flags(db).revision == revision
    assert len(flag_history(db, first.flag.key)) == 1


@pytest.mark.parametrize(("who", "why"), [("", "a reason"), ("ada", " \n")])
def test_nobody_changes_a_flag_without_a_reason(db, database, who, why):
    first = stored(database, new_flag())
    for change in (
        lambda: change_flag(db, first.flag.exposing(50, "on"), who=who, why=why, expected_version=1),
        lambda: kill_flag(db, first.flag.key, who=who, why=why),
        lambda: restore_flag(db, first.flag.key, 1, who=who, why=why, expected_version=1),
    ):
        with pytest.raises(BadInput, match="is empty"):
            change()


def test_what_the_database_could_not_keep_is_refused_in_words(db, database):
    first = stored(database, new_flag())
    with pytest.raises(BadInput, match="why is longer than 2000 bytes"):
        _change(db, first.flag.exposing(50, "on"), 1, why="ü" * 1001)
    # A kill is not kept from anybody for that.
    assert kill_flag(db, first.flag.key, who=WHO, why="ü" * 1001) == 2
    assert flag_history(db, first.flag.key)[0].why == "ü" * 1000
    with pytest.raises(BadInput, match="expected at most 200,000"):
        stored(database, new_flag().changed(variants={"on": "x" * 200_000, "off": ""}))


def test_what_is_not_there_is_said(db, database):
    first = stored(database, new_flag())
    with pytest.raises(NoSuchFlag, match="there is no flag 'none'"):
        kill_flag(db, "none", who=WHO, why="gone")
    with pytest.raises(NoSuchFlag):
        flag_history(db, "none")
    with pytest.raises(NoSuchFlag):
        restore_flag(db, "none", 1, who=WHO, why="gone", expected_version=0)
    with pytest.raises(NoSuchVersion, match="never had a version 7"):
        restore_flag(db, first.flag.key, 7, who=WHO, why="back", expected_version=1)
    with pytest.raises(FlagChangedMeanwhile, match="there is no flag"):
        _change(db, new_flag(), 3)


def test_a_killed_flag_is_restored_as_it_was(db, database):
    first = stored(database, new_flag())
    assert kill_flag(db, first.flag.key, who=WHO, why="it burns") == 2
    assert kill_flag(db, first.flag.key, who=WHO, why="it burns") == 2
    killed = read_flag(db, first.flag.key)
    assert killed.flag == first.flag.changed(killed=True)
    with db.transaction():
        back = restore_flag(db, first.flag.key, 1, who=WHO, why="it was the match", expected_version=2)
    assert (back.version, back.flag) == (3, first.flag)
    assert [each.why for each in flag_history(db, first.flag.key)] == ["it was the match", "it burns", "to begin with"]


def test_a_renewal_changes_the_lease_alone(db, database):
    first = stored(database, new_flag(lease_until=soon(30)), epoch=7)
    revision = list_flags(db).revision
    until = soon(60)
    renewed = renew_lease(db, first.flag.key, until, 7)
    assert renewed.flag == first.flag.changed(lease_until=until)
    assert renewed.updated_at == first.updated_at
    assert (renewed.version, len(flag_history(db, first.flag.key))) == (1, 1)
    # Its listeners have to be told.
    assert list_flags(db).revision > revision
    assert renew_lease(db, first.flag.key, until - 20, 7).flag.lease_until == until


def test_who_comes_with_a_smaller_epoch_changes_nothing(db, database):
    first = stored(database, new_flag(lease_until=soon()), epoch=7)
    assert renew_lease(db, first.flag.key, soon(90), 9).epoch == 9
    with pytest.raises(LeaseFenced, match="held under epoch 9; asked for under 7"):
        renew_lease(db, first.flag.key, soon(120), 7)
    with pytest.raises(LeaseFenced):
        _change(db, first.flag.exposing(100, "on"), 1, epoch=7)
    assert read_flag(db, first.flag.key).flag.split.exposure_percent == 25


def test_an_expired_lease_is_never_renewed(db, database):
    first = stored(database, new_flag(lease_until=soon(-1)), epoch=7)
    for epoch in (7, 8):
        with pytest.raises(LeaseExpired):
            renew_lease(db, first.flag.key, soon(), epoch)
    with pytest.raises(LeaseExpired, match="begin a new rollout"):
        _change(db, first.flag.changed(lease_until=soon()).exposing(50, "on"), 1, epoch=7)
    with pytest.raises(pg.RestrictViolation, match="only made longer, and only while it lives"):
        db.execute("UPDATE flags.flags SET lease_until = now() + interval '1 minute' WHERE key = %s", [first.flag.key])
    # Taking everybody out is always allowed, and a new rollout begins with an epoch of its own.
    withdrawn = _change(db, first.flag.withdrawn(), 1, epoch=7)
    assert withdrawn.flag.split.exposure_percent == 0
    again = withdrawn.flag.changed(lease_until=soon()).exposing(5, "on")
    assert _change(db, again, 2, epoch=8).epoch == 8


def test_a_flag_without_a_lease_has_none_to_renew(db, database):
    first = stored(database, new_flag())
    with pytest.raises(LeaseExpired, match="is under no lease"):
        renew_lease(db, first.flag.key, soon(), 1)


def test_a_lease_that_nobody_could_wait_for_is_refused(db, database):
    first = stored(database, new_flag(lease_until=soon()), epoch=7)
    with pytest.raises(BadInput, match=f"at most {LEASE_AT_MOST_SECONDS}"):
        renew_lease(db, first.flag.key, soon(2 * LEASE_AT_MOST_SECONDS), 7)
    with pytest.raises(BadInput, match="a lease would last"):
        stored(database, new_flag(lease_until=soon(2 * LEASE_AT_MOST_SECONDS)))


def test_what_was_exposed_under_a_lease_is_not_restored_without_one(db, database):
    first = stored(database, new_flag(lease_until=soon(-1)), epoch=7)
    rolled_back = _change(db, first.flag.withdrawn().changed(lease_until=None), 1)
    with db.transaction():
        restored = restore_flag(db, first.flag.key, 1, who=WHO, why="try", expected_version=rolled_back.version)
    assert restored.flag.lease_until == first.flag.lease_until


def test_every_commit_tells_listeners_the_revision(db, database):
    first = stored(database, new_flag(lease_until=soon()), epoch=7)
    with open_connection(database, autocommit=True) as listener:
        listener.execute("LISTEN flags")
        revision = list_flags(db).revision
        renew_lease(db, first.flag.key, soon(90), 7)
        kill_flag(db, first.flag.key, who=WHO, why="it burns")
        with pytest.raises(FlagChangedMeanwhile):
            _change(db, first.flag, 1)
        heard = [int(each.payload) for each in listener.notifies(timeout=5, stop_after=2)]
        assert revision < heard[0] < heard[1] == list_flags(db).revision


def test_a_process_that_hangs_with_a_flag_keeps_no_other_flag_and_its_own_not_for_long(db, database):
    mine, other = stored(database, new_flag()), stored(database, new_flag())
    with open_connection(database) as hanging:
        change_flag(hanging, mine.flag.exposing(50, "on"), who=WHO, why="and freezes", expected_version=1)
        # Never committed. Not even the revision that all flags share is in the way:
        assert kill_flag(db, other.flag.key, who=WHO, why="it burns") == 2
        assert kill_flag(db, mine.flag.key, who=WHO, why="it burns") == 2
        with pytest.raises(pg.IdleInTransactionSessionTimeout):
            hanging.execute("SELECT 1")


def test_a_row_that_is_no_flag_hides_no_other_and_can_be_killed(db, database):
    first, broken = stored(database, new_flag()), new_flag().key
    with superuser(database, db.info.dbname) as root:
        for table in ("versions", "flags"):
            root.execute(
                f"INSERT INTO flags.{table} (key, version, state{', who, why' if table == 'versions' else ''})"  # noqa: S608
                f" VALUES (%s, 1, '{{\"newer\": 1}}'{', %s, %s' if table == 'versions' else ''})",
                [broken, "someone", "by hand"] if table == "versions" else [broken],
            )
    store = list_flags(db)
    assert first in store.flags
    assert [(each.key, each.is_killed) for each in store.unreadable] == [(broken, False)]
    assert kill_flag(db, broken, who=WHO, why="whatever it is") == 2
    assert [each.is_killed for each in list_flags(db).unreadable] == [True]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM flags.flags WHERE key = %s",
        "DELETE FROM flags.versions WHERE key = %s",
        "UPDATE flags.versions SET why = 'better' WHERE key = %s",
        "UPDATE flags.flags SET state = state || '{\"killed\": true}' WHERE key = %s",
        "UPDATE flags.flags SET version = 3 WHERE key = %s",
        "UPDATE flags.flags SET epoch = -1 WHERE key = %s",
    ],
)
def test_no_client_changes_a_flag_past_its_history(db, database, statement):
    first = stored(database, new_flag())
    with pytest.raises((pg.RestrictViolation, pg.CheckViolation)):
        db.execute(statement, [first.flag.key])
    assert read_flag(db, first.flag.key) == first
