"""A request sees its own tenant and no other's, however many are at work; without its keys it is told so."""

import asyncio
import contextlib
import json
import random

import httpx
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from steward.fieldcrypt import FieldCipher, bound_tenant, install
from steward.fieldcrypt.asgi import TenantMiddleware
from steward.fieldcrypt.errors import (
    KeyringTampered,
    KeysRefused,
    KeysUnavailable,
    TenantErased,
    TenantNotBound,
    TenantUnknown,
)
from steward.fieldcrypt.keyring import State
from tests.unit.fieldcrypt.known_keys import KnownKeys, key_set, one_current

TENANTS = [f"tenant-{number}" for number in range(20)]


def by_header(scope):
    return {name: value.decode() for name, value in scope["headers"]}.get(b"x-tenant")


def bound_or_none():
    try:
        return bound_tenant()
    except TenantNotBound:
        return None


def keys_of(*tenants):
    return KnownKeys(*(key_set(tenant, {number: State.CURRENT}) for number, tenant in enumerate(tenants, 1)))


def who_am_i(request):
    """Not a coroutine function: Starlette runs it in a thread."""
    return PlainTextResponse(bound_or_none() or "nobody")


def application(*routes, **options):
    keys = options.pop("keys", None) or keys_of("acme", "globex", *TENANTS)
    tenant_of = options.pop("tenant_of", by_header)
    middleware = Middleware(TenantMiddleware, tenant_of=tenant_of, keys=keys, **options)
    return Starlette(routes=[Route("/", who_am_i), *routes], middleware=[middleware])


async def asked(app, *requests):
    """The answers to (path, tenant), all at once."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await asyncio.gather(
            *(client.get(path, headers={"x-tenant": tenant} if tenant else {}) for path, tenant in requests)
        )


def ask(app, path="/", tenant="acme"):
    return asyncio.run(asked(app, (path, tenant)))[0]


class Failing(KnownKeys):
    def __init__(self, error) -> None:
        super().__init__()
        self.error = error

    async def ready(self, tenant):  # noqa: ARG002
        raise self.error


def test_a_sync_endpoint_in_its_thread_sees_the_tenant():
    assert ask(application()).text == "acme"


def test_the_tenant_may_be_found_by_a_coroutine():
    async def tenant_of(scope):
        await asyncio.sleep(0)
        return by_header(scope)

    assert ask(application(tenant_of=tenant_of)).text == "acme"


def test_nothing_stays_bound_after_a_request():
    async def run():
        await asked(application(), ("/", "acme"))
        return bound_or_none()

    assert asyncio.run(run()) is None


def test_a_streamed_answer_and_its_background_task_see_the_tenant():
    seen = []

    async def stream():
        for _ in range(3):
            await asyncio.sleep(0)
            yield f"{bound_tenant()} "

    def endpoint(request):
        return StreamingResponse(stream(), background=BackgroundTask(lambda: seen.append(bound_tenant())))

    assert ask(application(Route("/stream", endpoint)), "/stream").text == "acme acme acme "
    assert seen == ["acme"]


def test_requests_of_many_tenants_at_once_never_mix():
    chance = random.Random(7)
    install(keys_of(*TENANTS))

    async def endpoint(request):
        """Tasks, threads and turns of the loop between: each must see the tenant of its own request."""
        asked_for = request.headers["x-tenant"]
        stored = FieldCipher(bound_tenant()).encrypt("t", "f", 1, asked_for)
        for _ in range(chance.randrange(1, 5)):
            await asyncio.sleep(chance.random() / 500)
            in_thread = await asyncio.to_thread(bound_tenant)
            in_task = await asyncio.create_task(task())
            assert {in_thread, in_task, bound_tenant()} == {asked_for}
        return PlainTextResponse(FieldCipher(bound_tenant()).decrypt("t", "f", 1, stored))

    async def task():
        await asyncio.sleep(0)
        return bound_tenant()

    requests = [("/mixed", chance.choice(TENANTS)) for _ in range(400)]
    answers = asyncio.run(asked(application(Route("/mixed", endpoint)), *requests))
    assert [answer.status_code for answer in answers] == [200] * len(requests)
    assert [answer.text for answer in answers] == [tenant for _, tenant in requests]


def test_without_a_tenant_a_request_passes_unbound_unless_one_is_required():
    assert ask(application(), tenant=None).text == "nobody"
    refused = ask(application(required=True), tenant=None)
    assert refused.status_code == 403
    assert refused.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TenantUnknown("no tenant 'acme' in keyring-7.internal", hint="enrol it"), 404),
        (TenantErased("tenant 'acme' was erased on 2026-01-01"), 410),
        (KeysUnavailable("vault.internal does not answer", hint="wait"), 503),
    ],
)
def test_a_tenant_without_keys_is_a_problem_that_tells_nothing_of_the_servers(error, status):
    for app in (application(keys=Failing(error)), application(Route("/late", raising(error))), behind_a_file(error)):
        answer = ask(app, "/late")
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["status"] == status
        assert set(problem) == {"type", "title", "status", "detail"}
        assert not any(word in answer.text for word in ("acme", "internal", "enrol", "2026"))


def raising(error):
    async def endpoint(request):
        raise error

    return endpoint


def behind_a_file(error):
    """Raised in a thread, by the cipher, in the middle of a request."""

    def endpoint(request):
        raise error

    return application(Route("/late", endpoint))


def test_keys_that_cannot_be_had_say_when_to_ask_again():
    error = KeysUnavailable("throttled")
    for seconds, header in ((0.0, "1"), (1.0, "1"), (6.2, "7")):
        error.retry_after_seconds = seconds
        assert ask(application(keys=Failing(error))).headers["retry-after"] == header


@pytest.mark.parametrize("error", [KeyringTampered("moved"), KeysRefused("forbidden")])
def test_what_waiting_does_not_cure_is_the_server_s_own_error(error):
    assert ask(application(keys=Failing(error))).status_code == 500


def test_an_answer_that_has_begun_is_not_begun_again():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise KeysUnavailable("away")

    sent = []
    with pytest.raises(KeysUnavailable):
        asyncio.run(call(app, sent))
    assert [message["type"] for message in sent] == ["http.response.start"]


async def call(app, sent, **scope):
    async def send(message):
        sent.append(message)

    scope = {"type": "http", "headers": [(b"x-tenant", b"acme")], **scope}
    keys = scope.pop("keys", None) or one_current()
    await TenantMiddleware(app, by_header, keys)(scope, None, send)


def test_a_websocket_is_bound_as_long_as_it_lasts():
    seen = []

    async def app(scope, receive, send):
        for _ in range(2):
            await asyncio.sleep(0)
            seen.append(bound_tenant())

    asyncio.run(call(app, [], type="websocket"))
    assert seen == ["acme", "acme"]


@pytest.mark.parametrize(
    ("error", "code"), [(KeysUnavailable("away"), 1013), (TenantUnknown("no"), 1008), (TenantErased("gone"), 1008)]
)
def test_a_websocket_without_keys_is_closed_with_a_code(error, code):
    sent = []
    asyncio.run(call(None, sent, type="websocket", keys=Failing(error)))
    assert [(message["type"], message["code"]) for message in sent] == [("websocket.close", code)]


def test_a_websocket_is_answered_as_http_where_the_server_can():
    sent = []
    extensions = {"websocket.http.response": {}}
    asyncio.run(call(None, sent, type="websocket", keys=Failing(KeysUnavailable("away")), extensions=extensions))
    start, body = sent
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 503)
    assert json.loads(body["body"])["title"] == "Service Unavailable"


def test_lifespan_passes_and_asks_nobody():
    states = []

    @contextlib.asynccontextmanager
    async def lifespan(app):
        states.append(bound_or_none())
        yield

    async def never(scope):
        raise AssertionError

    inner = Starlette(lifespan=lifespan)
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent = []

    async def receive():
        return next(messages)

    async def send(message):
        sent.append(message["type"])

    asyncio.run(TenantMiddleware(inner, never)({"type": "lifespan", "app": inner}, receive, send))
    assert states == [None]
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_installed_keys_are_those_of_the_moment():
    install(keys_of("acme"))
    middleware = Starlette(routes=[Route("/", who_am_i)], middleware=[Middleware(TenantMiddleware, by_header)])
    assert ask(middleware).text == "acme"
    install(keys_of("globex"))
    assert ask(middleware).status_code == 404
