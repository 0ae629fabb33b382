"""What the inbox holds becomes runs, once each; what cannot be done now waits and blocks nobody, what never can is told."""

import psycopg
import pytest

from services.watch.runs import PrefectAway, RunRefused, connected
from services.webhooks.starting import pause_after
from steward.clients import webhook_starts as inbox
from steward.clients.postgres import connect
from tests.integration.dispatch_ground import Work, events_of, rules_for, runs_of, sent, starts
from tests.integration.webhook_dispatcher.ground import only
from tests.watching.ground import until

pytestmark = pytest.mark.without_search


def test_a_delivery_becomes_one_run_with_the_parameters_of_its_rule(settings, work, client):
    delivery = sent(settings, nonce="seven")
    work.do()
    start = only(settings, delivery)
    (run,) = runs_of(client, start["key"])
    assert (start["state"], start["run_id"], start["tries"]) == ("started", run.id, 1)
    assert run.parameters == {"request": {"release": "v2", "nonce": "seven"}}
    assert {"webhook", "ci"} <= set(run.tags)
    assert run.name == f"release {start['key']}"
    assert run.state.is_scheduled()
    assert counted(work, "steward_webhook_starts_total", source="ci", outcome="started") == 1


def test_an_unknown_deployment_is_refused(settings, client):
    delivery = sent(settings)
    Work(settings, rules_for("webhook-target/nowhere")).do()
    start = only(settings, delivery)
    assert (start["state"], start["why"]) == ("refused", "Prefect has no deployment webhook-target/nowhere")
    assert not runs_of(client, start["key"])


def test_prefect_hears_of_each_run_and_of_each_refusal(settings, work, client):
    good, bad = sent(settings), sent(settings, release="NOT A RELEASE")
    work.do()
    begun, refused = only(settings, good), only(settings, bad)
    # Prefect shows events once it has stored a batch of them: after seconds.
    (told,) = until(lambda: events_of(client, "steward.deploy.refused", refused["key"]), 20, "event")
    assert told["payload"]["why"] == refused["why"]
    (told,) = until(lambda: events_of(client, "steward.deploy.requested", begun["key"]), 20, "event")
    assert told["payload"]["run"] == str(begun["run_id"])
    assert told["resource"]["prefect.resource.id"] == "steward.webhook.ci.release"


def test_parameters_that_the_form_refuses_are_refused_with_the_field(settings, work, client):
    delivery = sent(settings, release="NOT A RELEASE")
    work.do()
    start = only(settings, delivery)
    assert start["state"] == "refused"
    assert "request.release" in start["why"]
    assert not runs_of(client, start["key"])


def test_a_payload_that_lacks_what_the_rule_wants_is_refused_with_the_path(settings, work):
    delivery = sent(settings, release=None)
    work.do()
    assert only(settings, delivery)["why"] == "the payload has no data.release"


def test_a_senders_word_is_never_worked_out_by_prefect(settings, work, client):
    delivery = sent(settings, nonce={"__prefect_kind": "jinja", "template": "{{ 7 * 6 }}"})
    work.do()
    start = only(settings, delivery)
    assert start["state"] == "refused"
    assert "__prefect_kind" in start["why"]
    # What looks like a template is text, as it was sent.
    plain = sent(settings, nonce="{{ 7 * 6 }}")
    work.do()
    (run,) = runs_of(client, only(settings, plain)["key"])
    assert run.parameters["request"]["nonce"] == "{{ 7 * 6 }}"


def test_a_server_that_fails_after_it_made_the_run_is_asked_again_and_has_one(settings, work, client):
    delivery = sent(settings)

    def fail_once_done(runs):
        create = runs.create

        def failing(*args, **kwargs):
            create(*args, **kwargs)
            raise PrefectAway("Prefect answers 500")

        runs.create = failing

    work.dispatcher.stopped.set()  # It pauses no test.
    work.do(fail_once_done)
    start = only(settings, delivery)
    assert (start["state"], start["why"], start["tries"]) == ("waiting", "Prefect answers 500", 1)
    assert counted(work, "steward_webhook_prefect_up") == 0
    work.due_now()
    work.do()
    assert counted(work, "steward_webhook_prefect_up") == 1
    again = only(settings, delivery)
    assert [run.id for run in runs_of(client, again["key"])] == [again["run_id"]]


def test_a_run_whose_event_prefect_refuses_is_started_and_that_is_said(settings, work, client, capsys):
    delivery = sent(settings)

    def refusing(runs):
        runs.emit = refuse_event

    work.do(refusing)
    start = only(settings, delivery)
    assert (start["state"], start["why"]) == ("started", None)
    assert [run.id for run in runs_of(client, start["key"])] == [start["run_id"]]
    assert "event refused source=ci" in capsys.readouterr().out
    assert counted(work, "steward_webhook_events_refused_total", source="ci") == 1


def test_a_refusal_whose_event_prefect_refuses_is_on_record_and_that_is_said(settings, capsys):
    work = Work(settings, rules_for("webhook-target/nowhere"))
    delivery = sent(settings)

    def refusing(runs):
        runs.emit = refuse_event

    work.do(refusing)
    start = only(settings, delivery)
    assert (start["state"], start["why"]) == ("refused", "Prefect has no deployment webhook-target/nowhere")
    assert "event refused source=ci" in capsys.readouterr().out


def refuse_event(event):
    raise RunRefused(f"Prefect refuses {event.event}: 422")


def counted(work, name, **labels):
    return work.dispatcher.counts.registry.get_sample_value(name, labels)


def test_a_database_that_goes_after_the_run_was_made_leaves_one_run(settings, work, client):
    delivery = sent(settings)

    def cut_off(runs):
        emit = runs.emit

        def cutting(told):
            with connect(settings) as db:
                db.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'steward-dispatcher'"
                    " AND datname = current_database()"
                )
            emit(told)

        runs.emit = cutting

    with pytest.raises(psycopg.OperationalError):
        work.do(cut_off)
    assert only(settings, delivery)["state"] == "waiting"
    work.do()
    start = only(settings, delivery)
    assert [run.id for run in runs_of(client, start["key"])] == [start["run_id"]]


def test_one_that_a_frozen_dispatcher_holds_keeps_nobody_else_waiting(settings, work):
    held, other = sent(settings), sent(settings)
    with connected() as runs, connect(settings) as frozen:
        with connect(settings) as db:
            work.lane.match(db)
            db.commit()
        taken = inbox.take(frozen)
        assert taken.delivery_id == held
        work.do()
        assert [each["state"] for each in starts(settings, held, other)] == ["waiting", "started"]
        # It wakes.
        inbox.started(
            frozen,
            taken.id,
            runs.create(
                runs.deployment_id(taken.deployment),
                key=taken.idempotency_key,
                name="woken",
                parameters=taken.parameters,
                tags=[],
            ),
        )
    assert only(settings, held)["state"] == "started"


def test_one_that_nobody_foresaw_waits_and_blocks_nobody(settings, work):
    poison, other = sent(settings, nonce="poison"), sent(settings)

    def stumble(runs):
        create = runs.create

        def stumbling(*args, parameters, **kwargs):
            if parameters["request"]["nonce"] == "poison":
                raise ZeroDivisionError("nobody foresaw it")
            return create(*args, parameters=parameters, **kwargs)

        runs.create = stumbling

    work.do(stumble)
    waiting, started = starts(settings, poison, other)
    assert (waiting["state"], waiting["why"]) == ("waiting", "ZeroDivisionError: nobody foresaw it")
    assert started["state"] == "started"
    work.due_now()
    work.do()
    assert only(settings, poison)["state"] == "started"


def test_pauses_grow_to_half_a_minute():
    assert [pause_after(tries) for tries in (0, 1, 2, 5, 6, 1000)] == [0.5, 1, 2, 16, 30, 30]
