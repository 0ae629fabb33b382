"""The hook and the middleware together: whose request, what became of it, and that neither ever fails one."""

from __future__ import annotations

import asyncio

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider
from openfeature.provider.no_op_provider import NoOpProvider
from prometheus_client import CollectorRegistry

from steward.flags.application import ExposureHook, OutcomeMiddleware, Outcomes, RequestMetrics, UnknownKind
from steward.flags.application.exposures import pseudonym

SALT, DOMAIN = b"salt", "test-requests"
VARIANTS = {"on": True, "off": False}


@pytest.fixture
def outcomes():
    return Outcomes(SALT)


@pytest.fixture
def client(outcomes):
    """Of two flags in rollouts, one that is in none, and one whose metadata nobody can read."""
    metadata = {"rollout": "r-1", "step": 1, "slow_ms": 10_000.0}
    flags = {
        "search": InMemoryFlag("on", VARIANTS, flag_metadata=metadata),
        "basket": InMemoryFlag("off", VARIANTS, flag_metadata={**metadata, "rollout": "r-2"}),
        "plain": InMemoryFlag("on", VARIANTS),
        "garbled": InMemoryFlag("on", VARIANTS, flag_metadata={"rollout": "r-1", "step": "first"}),
    }
    api.set_provider(InMemoryProvider(flags), DOMAIN)
    client = api.get_client(DOMAIN)
    client.add_hooks([ExposureHook(outcomes)])
    yield client
    api.set_provider(NoOpProvider(), DOMAIN)


def answering(status, *flags, client, body=True, more=None):
    async def app(scope, receive, send):
        for flag in flags:
            client.get_boolean_value(flag, default_value=False)
        await send({"type": "http.response.start", "status": status})
        if body:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        if more:
            raise more

    return app


def ask(app, outcomes, send=None, **options):
    async def nowhere(message):
        pass

    options = {"user_of": lambda scope: scope["user"], **options}
    scope = {"type": "http", "path": "/", "user": "ada"}
    asyncio.run(OutcomeMiddleware(app, outcomes, **options)(scope, None, send or nowhere))


def noted(outcomes):
    return [(each.at.flag, str(each.kind), each.variant) for each in outcomes.take(99)]


BOTH_EXPOSED = [("search", "exposed", "on"), ("basket", "exposed", "off")]
BOTH_FAILED = [("search", "error", "on"), ("basket", "error", "off")]


@pytest.mark.parametrize(("status", "failed"), [(200, False), (404, False), (500, True), (503, True)])
def test_a_request_fails_for_all_the_flags_that_it_evaluated_and_for_no_other(client, outcomes, status, failed):
    ask(answering(status, "search", "basket", "search", "plain", "garbled", client=client), outcomes)
    assert noted(outcomes) == BOTH_EXPOSED + (BOTH_FAILED if failed else [])
    ask(answering(500, "plain", client=client), outcomes)
    assert noted(outcomes) == []


@pytest.mark.parametrize("trouble", [ValueError("a fault of the release"), KeyboardInterrupt()])
def test_an_exception_is_a_failure_and_passes_on(client, outcomes, trouble):
    with pytest.raises(type(trouble)):
        ask(answering(200, "search", client=client, more=trouble), outcomes)
    assert noted(outcomes) == [BOTH_EXPOSED[0], BOTH_FAILED[0]]


def test_half_an_answer_is_a_failure(client, outcomes):
    ask(answering(200, "search", client=client, body=False), outcomes)
    assert noted(outcomes) == [BOTH_EXPOSED[0], BOTH_FAILED[0]]


def test_a_client_that_leaves_is_nobodys_fault(client, outcomes):
    async def gone(message):
        raise OSError

    with pytest.raises(OSError):
        ask(answering(200, "search", client=client), outcomes, send=gone)
    with pytest.raises(asyncio.CancelledError):
        ask(answering(200, "search", client=client, more=asyncio.CancelledError()), outcomes)
    assert noted(outcomes) == [BOTH_EXPOSED[0]]


def test_the_user_is_the_requests_unless_the_application_names_another(client, outcomes):
    async def app(scope, receive, send):
        client.get_boolean_value("search", default_value=False)
        await asyncio.to_thread(client.get_boolean_value, "basket", default_value=False)
        client.get_boolean_value("search", False, EvaluationContext("bob"))
        await answering(500, client=client)(scope, receive, send)

    ask(app, outcomes)
    users = {pseudonym(SALT, flag, user): user for flag in ("search", "basket") for user in ("ada", "bob")}
    assert [(users[each.user], each.at.flag, str(each.kind)) for each in outcomes.take(99)] == [
        ("ada", "search", "exposed"),
        ("ada", "basket", "exposed"),
        ("bob", "search", "exposed"),
        ("ada", "search", "error"),
        ("ada", "basket", "error"),
        ("bob", "search", "error"),
    ]
    client.get_boolean_value("search", default_value=False)
    assert noted(outcomes) == [], "outside a request and without a user nobody was exposed"


def test_nothing_that_the_library_is_handed_or_does_fails_a_request(client, outcomes, monkeypatch):
    class Broken:
        def request(self, *_):
            raise RuntimeError

    ask(answering(200, "search", client=client), outcomes, user_of=lambda scope: scope["nobody"], observer=Broken())
    assert outcomes.broken == 2
    monkeypatch.setattr(outcomes, "exposed", lambda *_: 1 / 0)
    with_user = EvaluationContext("ada")
    assert client.get_boolean_value("search", False, with_user) is True, "an error of a hook would give the default"
    assert outcomes.broken == 3


def test_a_handler_says_in_one_word_that_its_user_did_what_he_came_for(client):
    outcomes = Outcomes(SALT, kinds=["ordered"])
    client.add_hooks([ExposureHook(outcomes)])

    async def app(scope, receive, send):
        outcomes.met("ordered")
        client.get_boolean_value("search", default_value=False)
        outcomes.met("ordered")
        await asyncio.to_thread(outcomes.met, "ordered")
        client.get_boolean_value("basket", default_value=False)
        await answering(200, client=client)(scope, receive, send)

    ask(app, outcomes)
    assert noted(outcomes) == [BOTH_EXPOSED[0], ("search", "ordered", "on"), BOTH_EXPOSED[1]]
    outcomes.met("ordered")
    assert noted(outcomes) == [], "outside a request it is nobody's"
    assert outcomes.broken == 0


@pytest.mark.parametrize(("kind", "exposures"), [("orderd", None), ([], None), ("error", 7)])
def test_what_cannot_be_counted_fails_requests_while_it_is_developed_alone(client, kind, exposures, caplog):
    outcomes = Outcomes(SALT, kinds=["ordered"], strict=False)

    async def app(scope, receive, send):
        for _ in range(2):
            outcomes.met(kind, exposures)
        await answering(200, client=client)(scope, receive, send)

    ask(app, outcomes)
    assert outcomes.broken == 2
    with pytest.raises((UnknownKind, TypeError)):
        Outcomes(SALT, kinds=["ordered"], strict=True).met(kind, exposures)
    if kind == "orderd":
        (told,) = caplog.messages
        assert told.splitlines() == [
            "outcomes of kind 'orderd' are not counted; known: exposed, error, slow, ordered",
            "HINT: name it where the application starts: Outcomes(salt, kinds=['orderd'])",
        ]


def test_requests_are_counted_by_release_and_by_how_they_ended(client, outcomes):
    registry = CollectorRegistry()
    metrics = RequestMetrics(registry, colour="green", release="good", path_of=lambda scope: scope["path"])
    for status in (200, 204, 500):
        ask(answering(status, client=client), outcomes, observer=metrics)
    with pytest.raises(asyncio.CancelledError):
        ask(answering(200, client=client, more=asyncio.CancelledError()), outcomes, observer=metrics)

    def requests(status):
        labels = {"colour": "green", "release": "good", "path": "/", "status": status}
        return registry.get_sample_value("http_requests_total", labels)

    assert (requests("2xx"), requests("5xx"), requests("left")) == (2, 1, 1)
