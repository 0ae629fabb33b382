"""What the inbox holds becomes runs, once each; what cannot be done now waits and blocks nobody, what never can is told."""

import json
import threading
import uuid
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import psycopg
import pytest
from prefect.client.orchestration import get_client

from replica import inventory
from services.watch.runs import PrefectAway, connected
from services.webhooks import deciding, dispatching
from services.webhooks.checking import faults_of
from services.webhooks.starting import pause_after
from services.webhooks.telling import say_to_github
from steward.clients import webhook_starts as inbox
from steward.clients.postgres import connect
from steward.clients.webhook_inbox import keep
from steward.migrations.apply import migrate
from steward.settings import Webhooks, load
from steward.webhooks import github
from steward.webhooks.rules import FORMAT, read_rules, rules_of
from tests.flows.prefect_server import recording_in
from tests.integration.dispatch_ground import Work, events_of, idle_deployment, rules_for, runs_of, sent, starts
from tests.integration.fresh_database import fresh_database
from tests.watching.ground import until

pytestmark = pytest.mark.without_search


@pytest.fixture(scope="module")
def client(replica):
    with recording_in(replica), get_client(sync_client=True) as client:
        yield client


@pytest.fixture(scope="module")
def target(client):
    with idle_deployment(client) as name:
        yield name


@pytest.fixture(scope="module")
def settings(replica, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dispatched")
    (folder / "token").write_text("a token")
    sources = {
        "ci": {"kind": "signed", "secrets": [f"file:{folder / 'ci'}"]},
        "github": {"kind": "github", "secrets": [f"file:{folder / 'github'}"]},
    }
    with fresh_database(load(inventory.settings_file(replica))) as fresh:
        migrate(fresh)
        webhooks = Webhooks.model_validate({"url": "http://127.0.0.1:1", "sources": sources})
        yield fresh.model_copy(update={"webhooks": webhooks})


@pytest.fixture
def work(settings, target):
    return Work(settings, rules_for(target))


def only(settings, delivery):
    (start,) = starts(settings, delivery)
    return start


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
    (told,) = until(lambda: events_of(client, "steward.deploy.requested", start["key"]), 10, "event")
    assert (told["payload"]["run"], told["resource"]["prefect.resource.id"]) == (
        str(run.id),
        "steward.webhook.ci.release",
    )
    assert work.dispatcher.counts.registry.get_sample_value(
        "steward_webhook_starts_total", {"source": "ci", "outcome": "started"}
    )


def test_what_no_rule_names_is_ignored(settings, target):
    delivery = sent(settings)
    Work(settings, rules_for(target, when={"data.release": "another"})).do()
    assert not starts(settings, delivery)
    with connect(settings) as db:
        row = db.execute("SELECT state FROM steward.webhook_deliveries WHERE id = %s", [delivery]).fetchone()
    assert row == ("ignored",)


def test_an_unknown_deployment_is_refused_and_told(settings, client):
    delivery = sent(settings)
    Work(settings, rules_for("webhook-target/nowhere")).do()
    start = only(settings, delivery)
    assert (start["state"], start["why"]) == ("refused", "Prefect has no deployment webhook-target/nowhere")
    (told,) = until(lambda: events_of(client, "steward.deploy.refused", start["key"]), 10, "event")
    assert told["payload"]["why"] == start["why"]
    assert not runs_of(client, start["key"])


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
    work.due_now()
    work.do()
    again = only(settings, delivery)
    assert [run.id for run in runs_of(client, again["key"])] == [again["run_id"]]


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


def test_pauses_grow_to_half_a_minute():
    assert [pause_after(tries) for tries in (0, 1, 2, 5, 6, 1000)] == [0.5, 1, 2, 16, 30, 30]


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


class Asked(BaseHTTPRequestHandler):
    """GitHub, as far as it is told things."""

    def do_POST(self):
        self.server.told.append((self.path, json.loads(self.rfile.read(int(self.headers["content-length"])))))
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(b"{}")

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(self.server.statuses).encode())

    def log_message(self, *_):
        pass


@contextmanager
def told_to_github(settings):
    """A server that takes answers, and settings whose GitHub it is."""
    with HTTPServer(("127.0.0.1", 0), Asked) as server:
        server.told, server.status, server.statuses = [], 201, []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        token = settings.webhooks.sources["ci"].secrets[0].replace("/ci", "/token")
        api = {"url": f"http://127.0.0.1:{server.server_port}", "repository": "octo/shop", "token": token}
        source = {"kind": "github", "secrets": settings.webhooks.sources["github"].secrets, "api": api}
        sources = {"ci": settings.webhooks.sources["ci"], "github": source}
        yield (
            server,
            settings.model_copy(
                update={"webhooks": Webhooks.model_validate({"url": "http://127.0.0.1:1", "sources": sources})}
            ),
        )
        server.shutdown()


def from_github(settings, event, payload):
    body = json.dumps(payload).encode()
    headers = {"x-github-delivery": str(uuid.uuid4()), "x-github-event": event}
    with connect(settings) as db:
        return keep(db, github.read("github", headers, body, now=None), "received").id


def made(target, **changes):
    return rules_of(
        {
            "format": FORMAT,
            "rule": [
                {
                    "name": "deploy",
                    "source": "github",
                    "event": "deployment",
                    "deployment": target,
                    "parameters": {"request": {"release": "{deployment.payload.release}"}},
                    **changes,
                }
            ],
        }
    )


def a_deployment(**payload):
    from tests.integration.webhooks_ground import deployment  # noqa: PLC0415  beside the other ground's names

    return deployment(payload=payload)


def test_a_deployment_at_github_is_told_that_its_run_is_queued_unless_that_has_said_more(settings, target):
    with told_to_github(settings) as (server, own):
        work = Work(own, made(target))
        payload = a_deployment(release="v3")
        delivery = from_github(own, "deployment", payload)
        work.do()
        (word,) = work.words
        say_to_github(word, own)
        run = only(own, delivery)["run_id"]
        (told,) = server.told
        assert told == (
            f"/repos/octo/shop/deployments/{payload['deployment']['id']}/statuses",
            {"state": "queued", "description": f"run {run} of {target}"[:140]},
        )
        server.statuses = [{"state": "in_progress"}]
        say_to_github(word, own)
        assert len(server.told) == 1
        server.statuses = [{"state": "error"}]
        say_to_github(word, own)
        assert len(server.told) == 2, "what was refused, and is tried again, is queued"


def test_a_deployment_that_is_refused_is_told_why(settings, target):
    with told_to_github(settings) as (server, own):
        work = Work(own, made(target))
        delivery = from_github(own, "deployment", a_deployment(environment="production"))
        work.do()
        (word,) = work.words
        say_to_github(word, own)
        assert only(own, delivery)["state"] == "refused"
        assert server.told[0][1] == {
            "state": "error",
            "description": "refused: the payload has no deployment.payload.release",
        }


def test_github_that_is_away_holds_up_no_start(settings, target):
    with told_to_github(settings) as (server, own):
        server.status = 503
        work = Work(own, made(target))
        deliveries = [from_github(own, "deployment", a_deployment(release=f"v{each}")) for each in range(2)]
        thread = threading.Thread(target=work.dispatcher.telling.run, daemon=True)
        thread.start()
        work.do()
        assert [each["state"] for each in starts(own, *deliveries)] == ["started", "started"]
        work.dispatcher.telling.stopped.set()
        thread.join(30)
        assert not thread.is_alive()


DECIDES = {
    "name": "protect",
    "source": "github",
    "event": "deployment_protection_rule",
    "decide": "quality-gates",
    "release": "{deployment.sha:12}",
    "wait_minutes": 60,
}


def asks(server):
    from tests.contract.github.payloads import whole  # noqa: PLC0415  as above

    payload = whole("deployment_protection_rule", 0)
    payload["deployment"]["id"] = uuid.uuid4().int >> 80
    payload["deployment_callback_url"] = (
        f"http://127.0.0.1:{server.server_port}/repos/octo/shop/actions/runs/12/deployment_protection_rule"
    )
    return payload


def test_a_protection_rule_waits_for_evidence_and_is_rejected_when_none_came(settings):
    with told_to_github(settings) as (server, own):
        work = Work(own, rules_of({"format": FORMAT, "rule": [DECIDES]}))
        payload = asks(server)
        delivery = from_github(own, "deployment_protection_rule", payload)
        work.do()
        start = only(own, delivery)
        assert start["state"] == "waiting"
        assert start["why"].startswith(f"waits for proof of release {payload['deployment']['sha'][:12]}: build UNKNOWN")
        assert not server.told
        with connect(own) as db:
            assert inbox.standing(db).waiting_seconds == 0, "it waits as its rule says, for nothing that is late"
            db.execute(
                "UPDATE steward.webhook_starts SET created_at = now() - interval '61 minutes' WHERE id = %s",
                [start["id"]],
            )
        work.due_now()
        work.do()
        assert only(own, delivery)["state"] == "decided"
        ((path, answer),) = server.told
        assert path == "/repos/octo/shop/actions/runs/12/deployment_protection_rule"
        assert (answer["state"], answer["environment_name"]) == ("rejected", payload["environment"])


def test_a_protection_rule_is_approved_by_verified_evidence(settings, monkeypatch):
    with told_to_github(settings) as (server, own):
        monkeypatch.setattr(deciding, "gates_of", proved)
        work = Work(own, rules_of({"format": FORMAT, "rule": [DECIDES]}))
        delivery = from_github(own, "deployment_protection_rule", asks(server))
        work.do()
        assert only(own, delivery)["state"] == "decided"
        assert server.told[0][1]["state"] == "approved"


def proved(_db, _settings, release):
    from tests.unit.webhooks.test_deciding import gates  # noqa: PLC0415  as above

    return gates(release)


def test_a_callback_that_is_not_githubs_is_sent_nothing(settings, monkeypatch):
    with told_to_github(settings) as (server, own):
        monkeypatch.setattr(deciding, "gates_of", proved)
        payload = asks(server) | {
            "deployment_callback_url": "http://127.0.0.1:1/repos/octo/shop/actions/runs/12/deployment_protection_rule"
        }
        delivery = from_github(own, "deployment_protection_rule", payload)
        Work(own, rules_of({"format": FORMAT, "rule": [DECIDES]})).do()
        assert only(own, delivery)["state"] == "refused"
        assert not server.told


def test_a_source_without_an_api_cannot_be_answered(settings):
    delivery = from_github(settings, "deployment_protection_rule", asks(type("Nowhere", (), {"server_port": 1})))
    Work(settings, rules_of({"format": FORMAT, "rule": [DECIDES]})).do()
    assert "[webhooks.sources.github.api]" in only(settings, delivery)["why"]


def test_rules_that_prefect_and_the_settings_can_keep_have_no_fault(settings, target, client):
    with connected() as runs:
        assert not faults_of(rules_for(target), settings.webhooks, runs)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"deployment": "webhook-target/nowhere"}, "Prefect has no deployment webhook-target/nowhere"),
        ({"source": "nobody"}, "the settings have no source nobody; known: ci, github"),
        ({"source": "github"}, "GitHub's release.candidate is not received"),
        ({"parameters": {"request": {"nonce": "x"}}}, "parameters.request.release is missing"),
        ({"parameters": {}}, "parameters.request is missing"),
        ({"parameters": {"request": {"release": "{data.release}"}, "more": 1}}, "parameters.more is not in the form"),
        (
            {"parameters": {"request": {"release": "{data.release}", "relase": "v"}}},
            "parameters.request.relase is not in the form",
        ),
        ({"parameters": {"request": {"release": "NOT ONE"}}}, "parameters.request.release: 'NOT ONE' does not match"),
        (
            {"parameters": {"request": {"release": "v2", "count": "many"}}},
            "parameters.request.count: 'many' is not of type",
        ),
    ],
)
def test_the_check_finds_what_a_start_would_be_refused_for(settings, target, client, changes, fault):
    rules = rules_for(**{"deployment": target, **changes})
    with connected() as runs:
        (found,) = faults_of(rules, settings.webhooks, runs)
    assert found.startswith(f"rule release: {fault}")


def test_the_check_wants_an_api_where_github_is_to_be_answered(settings, client):
    with connected() as runs:
        (found,) = faults_of(rules_of({"format": FORMAT, "rule": [DECIDES]}), settings.webhooks, runs)
    assert found == "rule protect: decide answers at GitHub, and there is no [webhooks.sources.github.api]"


def test_the_check_names_every_fault_and_ends_with_1(settings, client, in_replica, capsys):
    # This server has none of the deployments that the shipped rules start.
    assert dispatching.check(settings) == 1
    faults = capsys.readouterr().err.splitlines()
    assert {line.split(":")[0] for line in faults} == {f"rule {rule.name}" for rule in read_rules(None).rule}
