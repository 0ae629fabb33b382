"""What a budget stops is refused before anything is reserved, entered or sent; everything else is served, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import secrets
import time
from decimal import Decimal

import anthropic
import openai
import pytest
from psycopg.conninfo import conninfo_to_dict

from services.gateway.metrics import Metrics
from services.gateway.stops import Stops
from steward.__main__ import main
from steward.clients.cost_book import raise_alert
from steward.clients.cost_stops import lift_stop, stops_in_force
from steward.clients.postgres import connect
from steward.costs.budgets.spending import Scope
from steward.costs.kept import BudgetAlert
from steward.errors import BadInput
from tests.integration.fresh_database import changed, superuser
from tests.integration.gateway.ground import FEW, MANY
from tests.testbed.providers.ground import PROJECT, WORKSPACE

pytestmark = pytest.mark.without_search

CHAT = {"messages": [{"role": "user", "content": "Which way is the sea?"}], "max_tokens": 5}


def metric(gateway, name):
    """The sum of its samples of those labels."""
    return sum(float(line.rpartition(" ")[2]) for line in gateway.metrics() if line.startswith(name))


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def follows(gateway):
    """Once the worker knows what is in force, and nothing else."""
    with connect(gateway.settings) as db:
        stops = stops_in_force(db)
    for scope in Scope:
        count = sum(each.scope is scope for each in stops)
        wait_for(lambda: metric(gateway, f'steward_ai_budget_stops{{scope="{scope}"}}') == count)  # noqa: B023  at once


def entered(gateway, scope, subject, **values):
    with connect(gateway.settings) as db:
        ((month,),) = db.execute("SELECT date_trunc('month', now() AT TIME ZONE 'UTC')::date").fetchall()
        told = {"budget": f"b-{secrets.token_hex(4)}", "month": month, "threshold": "stop", "hard_stop": True, **values}
        sums = {"limit_usd": Decimal(10), "amount_usd": Decimal(11), "operation_id": 1}
        alert = BudgetAlert(scope=scope, subject=subject, **told, **sums)
        raise_alert(db, alert)
    return alert


@pytest.fixture
def stop(gateway):
    """`stop(scope, subject)`: a stop that the worker knows; lifted afterwards."""
    follows(gateway)

    def stopped(scope, subject):
        alert = entered(gateway, scope, subject)
        follows(gateway)
        return alert.budget

    yield stopped
    with connect(gateway.settings) as db:
        for each in stops_in_force(db):
            lift_stop(db, each.budget, "the test is over")
    follows(gateway)


def status(gateway, model="chat", **headers):
    return gateway.post("/v1/chat/completions", json={"model": model, **CHAT}, headers=headers).status_code


def of_tenant(name, key=MANY):
    return {"authorization": f"Bearer {key}", "x-steward-tenant": name}


def untouched(gateway):
    return not gateway.attempts() and not gateway.truths()


def test_a_stopped_tenant_is_refused_and_the_others_are_not(gateway, stop):
    stop("tenant", "acme")
    assert status(gateway) == 402
    assert untouched(gateway)
    assert status(gateway, **of_tenant("globex")) == 200
    assert [each["tenant"] for each in gateway.attempts()] == ["globex"]


def test_official_clients_are_told_in_their_own_words_and_do_not_try_again(gateway, stop):
    stop("tenant", "acme")
    before = metric(gateway, "steward_ai_requests_total")
    with pytest.raises(openai.APIStatusError, match="monthly budget of this tenant") as told:
        gateway.openai(max_retries=2).chat.completions.create(model="chat", stream=True, **CHAT)
    assert (told.value.status_code, told.value.code, told.value.type) == (
        402,
        "insufficient_quota",
        "insufficient_quota",
    )
    with pytest.raises(anthropic.APIStatusError, match="monthly budget of this tenant") as told:
        gateway.anthropic(max_retries=2).messages.create(model="claude", **CHAT)
    assert (told.value.status_code, told.value.body["error"]["type"]) == (402, "billing_error")
    assert metric(gateway, "steward_ai_requests_total") - before == 2


@pytest.mark.parametrize(("scope", "subject"), [("provider", "openai"), ("project", PROJECT)])
def test_a_stopped_provider_or_project_is_spared_where_another_may_serve(gateway, stop, scope, subject):
    stop(scope, subject)
    assert status(gateway, "chat") == 200
    assert status(gateway, "claude") == 200
    assert {each["account"] for each in gateway.attempts()} == {"anthropic"}
    assert status(gateway, "gpt") == 402
    assert len(gateway.attempts()) == len(gateway.truths()) == 2


def test_a_request_that_only_a_stopped_provider_can_be_asked_is_not_called_invalid(gateway, stop):
    """Messages have no words for log probabilities."""
    asked = {"model": "chat", **CHAT, "logprobs": True}
    assert gateway.post("/v1/chat/completions", json=asked).status_code == 200
    stop("project", PROJECT)
    assert gateway.post("/v1/chat/completions", json=asked).status_code == 402


def test_a_stop_of_both_projects_stops_every_model_and_what_it_reaches_is_told(gateway, stop, caplog):
    stop("project", PROJECT)
    stop("project", WORKSPACE)
    stop("project", "proj_of_others")
    assert f"stops project {PROJECT}: openai" in caplog.text
    assert "stops project proj_of_others, which is of no account in the settings" in caplog.text
    assert {status(gateway, model) for model in ("gpt", "claude", "chat")} == {402}
    assert untouched(gateway)


def test_what_is_refused_takes_no_room(gateway, stop):
    tenant = f"t-{secrets.token_hex(4)}"
    budget = stop("tenant", tenant)
    assert [status(gateway, **of_tenant(tenant, FEW)) for _ in range(3)] == [402] * 3
    with connect(gateway.settings) as db:
        lift_stop(db, budget, "raised by the board")
    follows(gateway)
    assert [status(gateway, **of_tenant(tenant, FEW)) for _ in range(3)] == [200, 200, 429]


def test_alerts_and_stops_of_other_months_stop_nothing(gateway, stop):
    entered(gateway, "tenant", "acme", threshold="100")
    entered(gateway, "tenant", "acme", month=dt.date(2026, 1, 1))
    stop("tenant", "somebody else")
    assert status(gateway) == 200


def test_a_person_lifts_a_stop_with_a_reason_and_once(gateway, stop, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("steward.__main__.load", lambda _: gateway.settings)
    budget = stop("tenant", "acme")
    assert main(["costs", "stops"]) == 0
    assert f"{budget}: tenant acme is stopped" in capsys.readouterr().out
    assert main(["costs", "lift-stop", budget, "--because", " "]) == 1
    assert status(gateway) == 402
    assert main(["costs", "lift-stop", budget, "--because", "raised by the board"]) == 0
    follows(gateway)
    assert status(gateway) == 200
    with connect(gateway.settings) as db:
        rows = db.execute("SELECT who, why FROM steward.budget_stops_lifted WHERE budget = %s", [budget]).fetchall()
        assert [why for _, why in rows] == ["raised by the board"]
        with pytest.raises(BadInput, match="stops nothing now"):
            lift_stop(db, budget, "again")
        with pytest.raises(BadInput, match="budgets that stop something: none does"):
            lift_stop(db, "of-nobody", "why not")


@contextlib.contextmanager
def no_stops_can_be_read(gateway):
    """The worker's connection that reads them is cut, and no other can be made; those that it has stay."""
    name = conninfo_to_dict(gateway.settings.postgres.url)["dbname"]
    with superuser(gateway.settings) as server:
        try:
            server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND query LIKE %s",
                [name, "%budget_alerts%"],
            )
            wait_for(lambda: metric(gateway, "steward_ai_budget_stops_read") == 0)
            yield
        finally:
            server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    wait_for(lambda: metric(gateway, "steward_ai_budget_stops_read") == 1)


def test_without_the_database_what_was_known_stays_and_nobody_else_is_stopped(gateway, stop):
    stop("tenant", "acme")
    with no_stops_can_be_read(gateway):
        assert status(gateway) == 402
        assert status(gateway, **of_tenant("globex")) == 200
    assert status(gateway) == 402


def test_a_worker_begins_without_knowing_what_is_stopped(worker):
    async def known(settings):
        async with Stops(settings, Metrics()) as stops:
            return stops.has_tenant("acme"), stops.has_account("openai")

    away = changed(worker.settings, "postgres", url="postgresql://steward@127.0.0.1:1/nowhere")
    assert asyncio.run(known(away)) == (False, False)
