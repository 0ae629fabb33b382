"""The inbox as a dispatcher works it off: oldest first, matched once, anew where somebody mended something, forgotten in time."""

import pytest

from steward.clients import webhook_starts as inbox
from steward.clients.postgres import connect
from tests.integration.dispatch_ground import Work, rules_for, runs_of, sent, starts
from tests.integration.webhook_dispatcher.ground import only

pytestmark = pytest.mark.without_search


def test_what_no_rule_names_is_ignored(settings, target):
    delivery = sent(settings)
    Work(settings, rules_for(target, when={"data.release": "another"})).do()
    assert not starts(settings, delivery)
    with connect(settings) as db:
        row = db.execute("SELECT state FROM steward.webhook_deliveries WHERE id = %s", [delivery]).fetchone()
    assert row == ("ignored",)


def test_the_oldest_due_goes_first(settings, work):
    first, second = sent(settings), sent(settings)
    with connect(settings) as db:
        work.lane.match(db)
        assert inbox.take(db).delivery_id == first
        inbox.postponed(db, only_id(db, first), "later", 60)
        assert inbox.take(db).delivery_id == second
        db.execute(
            "UPDATE steward.webhook_starts SET state = 'refused', why = 'over', done_at = now() WHERE state = 'waiting'"
        )


def only_id(db, delivery):
    return db.execute("SELECT id FROM steward.webhook_starts WHERE delivery_id = %s", [delivery]).fetchone()[0]


def test_bodies_are_forgotten_once_nothing_waits_for_them(settings, work):
    done, waiting = sent(settings), sent(settings)
    work.do()
    with connect(settings) as db:
        db.execute(
            "UPDATE steward.webhook_deliveries SET received_at = now() - interval '31 days' WHERE id = ANY(%s)",
            [[done, waiting]],
        )
        db.execute(
            "UPDATE steward.webhook_starts SET state = 'waiting', run_id = NULL, done_at = NULL WHERE delivery_id = %s",
            [waiting],
        )
        assert inbox.forget_bodies(db) == 1
        left = db.execute(
            "SELECT id FROM steward.webhook_deliveries WHERE id = ANY(%s) AND body IS NOT NULL", [[done, waiting]]
        ).fetchall()
        assert left == [(waiting,)]
        db.rollback()


def test_what_was_refused_is_matched_with_mended_rules_and_starts_once(settings, work, client):
    delivery = sent(settings)
    Work(settings, rules_for("webhook-target/nowhere")).do()
    assert again(settings, delivery)
    work.do()
    start = only(settings, delivery)
    assert [run.id for run in runs_of(client, start["key"])] == [start["run_id"]]
    # What was started is nobody's to start again.
    assert not again(settings, delivery)


def test_what_was_ignored_is_matched_with_a_rule_that_came_later(settings, work, target):
    delivery = sent(settings)
    Work(settings, rules_for(target, when={"data.release": "another"})).do()
    assert again(settings, delivery)
    work.do()
    assert only(settings, delivery)["state"] == "started"


def test_what_waits_or_has_no_body_any_more_is_not_matched_again(settings, target):
    waiting = sent(settings)
    assert not again(settings, waiting)
    Work(settings, rules_for("webhook-target/nowhere")).do()
    with connect(settings) as db:
        db.execute("UPDATE steward.webhook_deliveries SET body = NULL WHERE id = %s", [waiting])
    assert not again(settings, waiting)
    assert only(settings, waiting)["state"] == "refused"


def again(settings, delivery):
    with connect(settings) as db:
        return inbox.match_again(db, delivery)


def test_the_inbox_is_counted_by_what_became_of_deliveries(settings, work):
    before = counted(settings)
    sent(settings)
    assert counted(settings).get(("ci", "received"), 0) == before.get(("ci", "received"), 0) + 1
    with connect(settings) as db:
        assert inbox.standing(db).waiting_seconds > 0
    work.do()
    assert counted(settings)["ci", "started"] == before.get(("ci", "started"), 0) + 1
    with connect(settings) as db:
        assert inbox.standing(db).waiting_seconds == 0


def counted(settings):
    with connect(settings) as db:
        return dict(inbox.standing(db).counts)
