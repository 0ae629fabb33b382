"""A deployment at GitHub hears once what became of its delivery, whatever is killed or away meanwhile."""

import threading

import pytest

from services.webhooks import telling
from steward.clients import webhook_starts as inbox
from steward.clients.postgres import connect, open_connection
from tests.flows.killed_runs import Death
from tests.integration.dispatch_ground import Work, dispatched_until_killed, sent
from tests.integration.webhook_dispatcher.ground import deploys, only, told_of
from tests.watching.ground import until

pytestmark = pytest.mark.without_search


@pytest.fixture
def made(github):
    """A deployment at GitHub."""
    return github.deploy(payload={"release": "v3"})


@pytest.fixture
def deploying(settings, target):
    return Work(settings, deploys(target))


def said(github, made):
    """Its statuses, oldest first."""
    statuses = github.ask("GET", f"/deployments/{made['id']}/statuses")
    return [(each["state"], each["description"]) for each in reversed(statuses)]


def queued(settings, delivery):
    start = only(settings, delivery)
    return ("queued", f"run {start['run_id']} of {start['deployment']}"[:140])


def is_told(settings, delivery):
    return only(settings, delivery)["tell_at"] is None


def test_a_deployment_hears_that_its_run_is_queued(settings, github, made, deploying):
    delivery = told_of(settings, made)
    deploying.do()
    assert not is_told(settings, delivery)
    deploying.tell()
    assert said(github, made) == [queued(settings, delivery)]
    assert is_told(settings, delivery)


def test_a_deployment_that_is_refused_hears_why(settings, github, deploying):
    made = github.deploy()
    delivery = told_of(settings, made)
    deploying.do()
    deploying.tell()
    assert only(settings, delivery)["state"] == "refused"
    assert said(github, made) == [("error", "refused: the payload has no deployment.payload.release")]


@pytest.mark.parametrize("state", ["in_progress", "error"])
def test_whoever_has_said_more_by_then_has_the_last_word(settings, github, made, deploying, state):
    told_of(settings, made)
    deploying.do()
    github.ask("POST", f"/deployments/{made['id']}/statuses", {"state": state}, 201)
    deploying.tell()
    assert said(github, made) == [(state, "")]


def test_what_was_refused_is_told_again_each_time_that_the_rules_are_asked_anew(settings, github, made, target):
    delivery = told_of(settings, made)
    for rules in (deploys("webhook-target/nowhere"), deploys("webhook-target/gone"), deploys(target)):
        work = Work(settings, rules)
        work.do()
        work.tell()
        with connect(settings) as db:
            inbox.match_again(db, delivery)
    assert said(github, made) == [
        ("error", "refused: Prefect has no deployment webhook-target/nowhere"),
        ("error", "refused: Prefect has no deployment webhook-target/gone"),
        queued(settings, delivery),
    ]


@pytest.mark.parametrize("call", ["services.webhooks.telling:say_to_github", "steward.clients.webhook_untold:settled"])
def test_what_a_killed_dispatcher_has_not_said_the_next_one_says_once(replica, github, made, deploying, call):
    settings = deploying.settings
    delivery = told_of(settings, made)
    dispatched_until_killed(replica, settings, deploying.dispatcher.rules, Death("call", call))
    assert only(settings, delivery)["state"] == "started"
    assert not is_told(settings, delivery)
    deploying.tell()
    assert said(github, made) == [queued(settings, delivery)]
    assert is_told(settings, delivery)


def test_two_dispatchers_say_it_once(github, made, deploying, monkeypatch):
    settings = deploying.settings
    delivery = told_of(settings, made)
    deploying.do()
    others = []

    def meanwhile(word, own):
        with open_connection(settings, autocommit=True) as db:
            others.append(Work(settings, deploying.dispatcher.rules).dispatcher.telling.tell(db))
        say_to_github(word, own)

    say_to_github = telling.say_to_github
    monkeypatch.setattr(telling, "say_to_github", meanwhile)
    deploying.tell()
    assert others == [False]
    assert said(github, made) == [queued(settings, delivery)]


def test_github_that_is_away_is_told_once_it_is_back(github, made, deploying, capsys):
    settings = deploying.settings
    delivery = told_of(settings, made)
    github.turn(api_status=503)
    deploying.do()
    deploying.tell()
    assert "not told yet" in capsys.readouterr().out
    assert only(settings, delivery)["state"] == "started"
    assert not is_told(settings, delivery)
    github.turn()
    due_now(settings)
    deploying.tell()
    assert said(github, made) == [queued(settings, delivery)]


@pytest.mark.usefixtures("in_replica")
def test_a_dispatcher_tells_of_what_it_starts(github, made, deploying):
    dispatcher, settings = deploying.dispatcher, deploying.settings
    running = threading.Thread(target=dispatcher.run, args=(1,))
    running.start()
    try:
        delivery = told_of(settings, made)
        until(lambda: said(github, made), 30, "word")
    finally:
        dispatcher.stop()
        running.join()
    assert said(github, made) == [queued(settings, delivery)]


def test_a_day_later_nobody_is_told_any_more_and_that_is_said(settings, github, made, deploying, capsys):
    delivery = told_of(settings, made)
    github.turn(api_status=503)
    deploying.do()
    with connect(settings) as db:
        db.execute("UPDATE steward.webhook_starts SET done_at = done_at - interval '1 day' WHERE tell_at IS NOT NULL")
    deploying.tell()
    assert is_told(settings, delivery)
    assert "not told source=github" in capsys.readouterr().out


def test_what_github_refuses_is_said_in_the_journal_and_tried_no_more(settings, github, made, deploying, capsys):
    delivery = told_of(settings, made | {"id": 999_999_999})
    deploying.do()
    deploying.tell()
    assert is_told(settings, delivery)
    (line,) = [each for each in capsys.readouterr().out.splitlines() if "not told" in each]
    assert "/deployments/999999999/statuses with 404" in line


def test_whom_nobody_can_tell_waits_for_nothing(settings, silent, made, target, work):
    # Of a source without an api; of another sender; of one that had an api when it ended.
    ended = Work(silent, deploys(target))
    delivery = told_of(silent, made)
    ended.do()
    assert is_told(silent, delivery)
    delivery = sent(settings)
    work.do()
    assert is_told(settings, delivery)
    with connect(settings) as db:
        db.execute("UPDATE steward.webhook_starts SET tell_at = now() WHERE delivery_id = %s", [delivery])
    ended.tell()
    assert is_told(settings, delivery)


def due_now(settings):
    with connect(settings) as db:
        db.execute("UPDATE steward.webhook_starts SET tell_at = clock_timestamp() WHERE tell_at IS NOT NULL")
