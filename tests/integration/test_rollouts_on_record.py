"""A rollout's row, its flag and its operation, in real PostgreSQL: whose word stands, and that every end is stated by somebody."""

from __future__ import annotations

import secrets
import uuid

import psycopg
import pytest

from replica import inventory
from services.watch.guardian import Guardian
from services.watch.situation import Situation
from steward.clients import rollouts
from steward.clients.flag_store import change_flag, flag_history, kill_flag, read_flag
from steward.clients.postgres import connect
from steward.clients.rollouts_exposure import take_flag, take_off
from steward.evidence import sql
from steward.operations import claims
from steward.operations.claims import Identity, Run, claim
from steward.operations.decisions import cancel, reopen
from steward.operations.ledger import Ledger
from steward.rollout.errors import RolloutEnded
from steward.rollout.plan import Plan
from steward.rollout.record import FlagTaken, RolloutUnderWay
from steward.settings import load
from steward.verdicts import Verdict
from tests.integration.flags_ground import flags_database, new_flag, stored

pytestmark = pytest.mark.without_search


@pytest.fixture(scope="module")
def settings(replica):
    with flags_database(load(inventory.settings_file(replica))) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def book(settings):
    return Ledger(settings, patience_seconds=0)


@pytest.fixture
def identity():
    """An environment that nobody else has."""
    environment = f"production-{secrets.token_hex(4)}"
    return Identity("production-rollout", environment, f"good/{uuid.uuid4()}", f"rollout/{environment}")


def claimed(book, identity, deployment_id=None):
    """An attempt, in a run of its own; its flow's deployment."""
    return claim(book, identity, Run(str(uuid.uuid4()), deployment_id or str(uuid.uuid4())))


def begun(settings, held, flag="new-search"):
    with connect(settings) as db:
        return rollouts.begin(
            db,
            operation_id=held.id,
            epoch=held.token,
            environment=held.subject,
            release="good",
            flag=flag,
            variant="on",
            plan=Plan(),
            colours=("green", "blue"),
            previous_release="steady",
        )


def ended(settings, rollout, why="the lease was over"):
    with connect(settings) as db:
        rollouts.begin_withdrawal(db, rollout.id, "guardian", why)
        return rollouts.end_withdrawal(db, rollout.id)


@pytest.fixture
def taking(settings, book, identity):
    """A rollout that is about to take its flag, which exposes nobody."""
    flag = stored(settings, new_flag().withdrawn()).flag
    return begun(settings, claimed(book, identity), flag.key)


def takes(settings, rollout):
    with connect(settings) as db:
        take_flag(db, rollout)


def flag_of(settings, rollout):
    with connect(settings) as db:
        return read_flag(db, rollout.flag)


def test_a_flag_that_a_person_kills_before_it_is_taken_stays_killed_and_who_and_why_is_said(settings, taking):
    with connect(settings) as db:
        kill_flag(db, taking.flag, who="ada", why="it does harm")
    before = flag_of(settings, taking)
    with pytest.raises(FlagTaken, match=r"ada killed flag .*: it does harm") as refused:
        takes(settings, taking)
    assert refused.value.hint
    assert flag_of(settings, taking) == before
    # Taking it off for the withdrawal leaves a person's kill as it is, too.
    with connect(settings) as db:
        take_off(db, taking.id, "production-rollout", refused.value.message)
    assert flag_of(settings, taking) == before
    assert before.flag.killed


def test_a_flag_that_was_taken_is_taken_again_by_the_next_attempt_unless_a_person_killed_it_since(settings, taking):
    for _ in range(2):
        takes(settings, taking)
    taken = flag_of(settings, taking)
    assert (taken.flag.metadata["rollout"], taken.flag.killed) == (str(taking.id), False)
    with connect(settings) as db:
        kill_flag(db, taking.flag, who="ada", why="it does harm")
    killed = flag_of(settings, taking)
    with pytest.raises(FlagTaken, match="ada killed flag"):
        takes(settings, taking)
    assert flag_of(settings, taking) == killed


def test_a_flag_that_a_rollout_left_killed_is_taken(settings, taking):
    with connect(settings) as db:
        kill_flag(db, taking.flag, who="rollout 1", why="withdrawn by guardian: the lease was over")
    takes(settings, taking)
    assert not flag_of(settings, taking).flag.killed


def test_a_flag_that_is_changed_in_the_moment_of_taking_it_is_somebodys_and_not_a_failure(
    settings, taking, monkeypatch
):
    def late(db, key):
        with connect(settings) as other:
            now = read_flag(other, key)
            change_flag(other, now.flag.exposing(10, "on"), who="ada", why="by hand", expected_version=now.version)
        return flag_history(db, key)[1:]

    monkeypatch.setattr("steward.clients.rollouts_exposure.flag_history", late)
    with pytest.raises(FlagTaken, match="is at version 2"):
        takes(settings, taking)


def test_an_operation_that_is_begun_anew_after_its_rollout_ended_is_refused_before_anything_is_touched(
    settings, book, identity
):
    held = claimed(book, identity)
    rollout = begun(settings, held)
    ended(settings, rollout)
    # The attempt after a dead one goes on with what there is, to say how it ended.
    claims.fail(book, held, "killed")
    second = claimed(book, identity)
    assert begun(settings, second).id == rollout.id
    claims.conclude(book, second, Verdict.UNKNOWN, None, "rolled back")

    reopen(book, held.id, anew=True, why="once more")
    third = claimed(book, identity)
    with pytest.raises(
        RolloutEnded, match=rf"rollout {rollout.id} of this operation has ended \(rolled_back, guardian: the lease"
    ) as refused:
        begun(settings, third)
    assert "start a new run" in refused.value.hint
    with connect(settings) as db:
        assert rollouts.read(db, rollout.id).state == "rolled_back"


def test_an_operation_that_is_begun_anew_while_its_rollout_is_under_way_is_refused(settings, book, identity):
    held = claimed(book, identity)
    begun(settings, held)
    claims.fail(book, held, "killed")
    reopen(book, held.id, anew=True, why="once more")
    again = claimed(book, identity)
    with pytest.raises(RolloutUnderWay, match="is under way since"):
        begun(settings, again)


@pytest.fixture
def guardian(settings, book):
    """Rounds that ask each time."""
    made = Guardian(Situation(book, []))
    made._asks = True
    return made


def state_of(book, held):
    (row,) = book.query("SELECT state, round FROM steward.operations WHERE id = %(id)s", id=held.id)
    return row["state"], row["round"]


def stated(settings, held):
    """As a run that got that far has left it: a row, whatever it says."""
    with connect(settings) as db:
        payload = f'{{"payload": "{secrets.token_hex(8)}"}}'
        digest = db.execute("SELECT encode(sha256(decode(%s::json ->> 'payload', 'base64')), 'hex')", [payload])
        row = ("production-rollout", held.subject, held.period, held.attempt, "UNKNOWN")
        db.execute(sql.APPEND, (*row, digest.fetchone()[0], "a key", payload))


@pytest.mark.parametrize("how", ["cancelled", "failed"])
def test_the_end_of_a_rollout_whose_run_was_cancelled_or_given_up_is_asked_for_until_it_is_stated(
    settings, book, identity, guardian, how
):
    held = claimed(book, identity)
    rollout = begun(settings, held)
    if how == "cancelled":
        cancel(book, held.id, why="its run was cancelled")
    else:
        claims.fail(book, held, "5 attempts died")
    guardian.round()
    assert state_of(book, held) == (how, 1), "its rollout has not ended"
    ended(settings, rollout)

    guardian.round()
    assert state_of(book, held) == ("due", 1)
    (asked,) = book.query(
        "SELECT decided_by, because FROM steward.operation_decisions "
        "WHERE operation_id = %(id)s AND decision = 'reopened'",
        id=held.id,
    )
    assert asked["decided_by"] == "guardian"
    assert f"rollout {rollout.id} is rolled_back, and its operation {how}" in asked["because"]

    # That attempt fails, too: the next is asked for after a while, and not before.
    claims.fail(book, claimed(book, identity), "the store of evidence is away")
    guardian.round()
    assert state_of(book, held) == ("failed", 1)
    book.query("UPDATE steward.operation_decisions SET decided_at = decided_at - interval '121 s'")
    guardian.round()
    assert state_of(book, held) == ("due", 1)

    third = claimed(book, identity)
    stated(settings, third)
    claims.fail(book, third, "Prefect is away")
    book.query("UPDATE steward.operation_decisions SET decided_at = decided_at - interval '1 day'")
    guardian.round()
    assert state_of(book, held) == ("failed", 1)


def test_what_a_person_began_anew_is_not_asked_for(settings, book, identity, guardian):
    held = claimed(book, identity)
    ended(settings, begun(settings, held))
    cancel(book, held.id, why="its run was cancelled")
    reopen(book, held.id, anew=True, why="once more")
    again = claimed(book, identity)
    with pytest.raises(RolloutEnded):
        begun(settings, again)
    claims.fail(book, again, "RolloutEnded")
    guardian.round()
    assert state_of(book, held) == ("failed", 2)


def test_users_who_cannot_be_forgotten_keep_the_guardian_from_nothing(settings, book, identity, guardian, monkeypatch):
    held = claimed(book, identity)
    ended(settings, begun(settings, held))
    cancel(book, held.id, why="its run was cancelled")
    seen = []

    def locked(*_):
        seen.append(state_of(book, held))
        raise psycopg.errors.LockNotAvailable

    monkeypatch.setattr("services.watch.guardian.forget_ended", locked)
    guardian.round()
    assert seen == [("due", 1)], "all else comes first"
