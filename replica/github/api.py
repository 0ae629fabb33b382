"""Both ports: GitHub's API, and the one by which tests look behind it."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from replica.github.access import Access
from replica.github.bodies import body_of
from replica.github.configuration import Configuration, secret
from replica.github.dials import Dials
from replica.github.errors import Refusal, not_found, unfit
from replica.github.hook import Hook, shown
from replica.github.repository import Repository
from replica.github.store import Document, Store

_PAGE, _LARGEST_PAGE = 30, 100
_HOURLY = 5000
Answering = Callable[[Request, Document], Response]


class GitHub:
    """One repository."""

    def __init__(self, configuration: Configuration, store: Store) -> None:
        self._configuration, self._store, self._dials = configuration, store, Dials()
        self._hook = Hook(configuration, store, self._dials)
        self._repository = Repository(configuration, store, self._hook)
        self._access = Access(configuration)
        self._asked = 0

    def api(self) -> Starlette:
        """ASGI 3: what GitHub answers."""
        hook = f"/repos/{self._configuration.repository}/hooks/{self._configuration.hook}"
        deployments = f"/repos/{self._configuration.repository}/deployments"
        runs = f"/repos/{self._configuration.repository}/actions/runs"
        return self._application(
            {
                ("GET", hook): lambda _r, _b: JSONResponse(self._hook.described()),
                ("PATCH", f"{hook}/config"): self._direct,
                ("POST", f"{hook}/pings"): lambda _r, _b: _nothing(self._repository.ping()),
                ("GET", f"{hook}/deliveries"): self._deliveries,
                ("GET", f"{hook}/deliveries/{{id:int}}"): self._delivery,
                ("POST", f"{hook}/deliveries/{{id:int}}/attempts"): self._redeliver,
                ("GET", deployments): self._deployments,
                ("POST", deployments): lambda _, body: JSONResponse(self._repository.deploy(body), 201),
                ("GET", f"{deployments}/{{id:int}}"): lambda request, _: JSONResponse(
                    self._repository.deployment(request.path_params["id"])
                ),
                ("GET", f"{deployments}/{{id:int}}/statuses"): self._statuses,
                ("POST", f"{deployments}/{{id:int}}/statuses"): lambda request, body: JSONResponse(
                    self._repository.say(request.path_params["id"], body), 201
                ),
                ("POST", f"{runs}/{{id:int}}/deployment_protection_rule"): lambda request, body: _nothing(
                    self._repository.review(request.path_params["id"], body)
                ),
                ("GET", f"{runs}/{{id:int}}/approvals"): lambda request, _: JSONResponse(
                    self._repository.history(request.path_params["id"])
                ),
                ("GET", f"{runs}/{{id:int}}/pending_deployments"): lambda request, _: JSONResponse(
                    self._repository.pending(request.path_params["id"])
                ),
                ("POST", "/app/installations/{id:int}/access_tokens"): self._install,
            },
            self._demand,
        )

    def administration(self) -> Starlette:
        """ASGI 3: dials, events that a person or a runner would cause, and what was answered to them."""
        return self._application(
            {
                ("GET", "/dials"): lambda _r, _b: JSONResponse(asdict(self._dials)),
                ("PUT", "/dials"): self._turn,
                ("POST", "/runs"): lambda _, body: JSONResponse(self._repository.run(body), 201),
                ("DELETE", "/runs/{id:int}"): lambda request, _: _nothing(
                    self._repository.end(request.path_params["id"])
                ),
                ("POST", "/reviews"): lambda _, body: JSONResponse(self._repository.ask_for_review(body), 201),
                ("GET", "/reviews"): lambda _r, _b: JSONResponse(self._repository.reviews()),
                ("GET", "/tokens"): lambda _r, _b: JSONResponse({"made": self._access.made}),
                ("DELETE", "/tokens"): lambda _r, _b: _nothing(self._access.revoke()),
            },
            self._demand_administrator,
        )

    def close(self) -> None:
        """Nothing more is delivered."""
        self._hook.close()

    def _application(
        self, answers: Mapping[tuple[str, str], Answering], demand: Callable[[Request], None]
    ) -> Starlette:
        def route(method: str, path: str, answer: Answering) -> Route:
            async def endpoint(request: Request) -> Response:
                return await body_of(request, lambda body: _said(demand, answer, request, body))

            return Route(path, endpoint, methods=[method])

        routes = [route(method, path, answer) for (method, path), answer in answers.items()]
        return Starlette(routes=routes, exception_handlers={404: _unknown, 405: _unknown})

    def _demand(self, request: Request) -> None:
        time.sleep(self._dials.api_seconds)
        if refusal := self._dials.refusal():
            raise refusal
        self._asked += 1
        if not request.url.path.startswith("/app/"):
            self._access.demand(request.headers.get("authorization", ""))

    def _demand_administrator(self, request: Request) -> None:
        expected = f"Bearer {secret(self._configuration.admin_token_file)}"
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), expected.encode()):
            raise Refusal(401, "Bad credentials")

    def _turn(self, _: Request, body: Document) -> Response:
        self._dials.turn(body)
        if not self._dials.hold:
            self._hook.let_go()
        return JSONResponse(asdict(self._dials))

    def _direct(self, _: Request, body: Document) -> Response:
        if not isinstance(body.get("url"), str):
            raise unfit("Hook", "url")
        self._hook.direct(body["url"])
        return JSONResponse(self._hook.described()["config"])

    def _deliveries(self, request: Request, _: Document) -> Response:
        size, cursor = _size(request), request.query_params.get("cursor", "v1_")
        begin = cursor.removeprefix("v1_")
        if not cursor.startswith("v1_") or (begin and not begin.isdigit()):
            raise Refusal(400, "Invalid cursor")
        page = self._store.page("delivery", size, begin=int(begin) if begin else None)
        headers = self._metered()
        if page.following is not None:
            query = urlencode({"per_page": size, "cursor": f"v1_{page.following}"})
            headers["link"] = f'<{self._configuration.url}{request.url.path}?{query}>; rel="next"'
        return JSONResponse([shown(each, whole=False) for each in page.documents], headers=headers)

    def _delivery(self, request: Request, _: Document) -> Response:
        return JSONResponse(shown(self._found(request), whole=True), headers=self._metered())

    def _redeliver(self, request: Request, _: Document) -> Response:
        self._hook.again(self._found(request))
        return JSONResponse({}, 202)

    def _found(self, request: Request) -> Document:
        found = self._store.get("delivery", request.path_params["id"])
        if found is None:
            raise not_found()
        return found

    def _deployments(self, request: Request, _: Document) -> Response:
        wanted = {n: v for n, v in request.query_params.items() if n in {"sha", "ref", "task", "environment"}}
        return JSONResponse(self._repository.deployments(_size(request), _skipped(request), wanted))

    def _statuses(self, request: Request, _: Document) -> Response:
        found = self._repository.statuses(request.path_params["id"], _size(request), _skipped(request))
        return JSONResponse(found)

    def _install(self, request: Request, _: Document) -> Response:
        made = self._access.install(request.headers.get("authorization", ""), request.path_params["id"])
        return JSONResponse(made, 201)

    def _metered(self) -> dict[str, str]:
        return {
            "x-ratelimit-limit": str(_HOURLY),
            "x-ratelimit-remaining": str(max(0, _HOURLY - self._asked)),
            "x-ratelimit-reset": str(int(time.time() // 3600 + 1) * 3600),
            "x-github-api-version-selected": "2022-11-28",
        }


def _said(demand: Callable[[Request], None], answer: Answering, request: Request, body: Document) -> Response:
    try:
        demand(request)
        return answer(request, body)
    except Refusal as refusal:
        return refusal.answer()


def _unknown(_: Request, __: Exception) -> Response:
    return not_found().answer()


def _nothing(_: Any) -> Response:
    return Response(status_code=204)


def _size(request: Request) -> int:
    told = request.query_params.get("per_page", "")
    return min(int(told) or _PAGE, _LARGEST_PAGE) if told.isdigit() else _PAGE


def _skipped(request: Request) -> int:
    told = request.query_params.get("page", "")
    return (max(int(told), 1) - 1) * _size(request) if told.isdigit() else 0
