"""The vault's listener: token, address, roles, limits, operation, audit line, answer; in this order, for every request."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
import traceback
import uuid
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any, cast

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from replica.keyvault import addresses, contract
from replica.keyvault.audit import AuditLog, Event
from replica.keyvault.configuration import Configuration
from replica.keyvault.errors import Refusal, bad_parameter
from replica.keyvault.operations import Answer, Caller, Operation, Request
from replica.keyvault.roles import VAULTS, is_allowed
from replica.keyvault.routing import Routes
from replica.keyvault.sealing import Seal
from replica.keyvault.store import Store
from replica.keyvault.throttling import Subscription
from replica.keyvault.tokens import VAULT_RESOURCE, Checker, unauthorized

_SERVICE_VERSION = "1.9.2000.1"
_CLIENT_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
# The largest body is a backup to be restored: some hundreds of versions of a secret.
_LONGEST_BODY_BYTES = 16 * 1024**2
# Two cores sign while others wait for the disk; sixteen connections to the store are little memory.
_THREADS = 16
_UNPROCESSED = Refusal(500, "InternalServerError", "The request could not be processed.")


class Vault:
    """An ASGI application over a store; satisfies `operations.VaultParts`."""

    def __init__(
        self, configuration: Configuration, store: Store, seal: Seal, audit: AuditLog, checker: Checker
    ) -> None:
        self.store, self.seal, self.retention_days = store, seal, configuration.retention_days
        self._configuration, self._audit, self._checker = configuration, audit, checker
        self._routes = Routes(())
        self._callers = {
            (principal.client_id, principal.object_id): principal for principal in configuration.principals
        }
        self._subscription = Subscription(factor=configuration.limits_factor)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="vault")

    def serve(self, operations: Iterable[Operation]) -> None:
        """Answer *operations* from now on."""
        self._routes = Routes(operations)

    def close(self) -> None:
        """Wait for what is being handled, then close store and log."""
        self._threads.shutdown()
        self.store.close()
        self._audit.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; whatever happens, it is answered and has one line in the audit log."""
        if scope["type"] != "http":
            return
        response = await self._answer(HttpRequest(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, http: HttpRequest) -> Response:
        began, event = time.perf_counter(), self._event(http)
        try:
            answer = await self._handle(http, event)
            response = self._response(http, event, HTTPStatus.NO_CONTENT if answer is None else HTTPStatus.OK, answer)
        except Refusal as refusal:
            event.description = refusal.message
            response = self._response(http, event, refusal.status, refusal.body(), refusal.headers)
        except Exception as error:  # noqa: BLE001 -- an unforeseen failure is answered, logged and audited as Azure's own are
            _report(error)
            response = self._response(http, event, _UNPROCESSED.status, _UNPROCESSED.body())
        event.duration_ms = round((time.perf_counter() - began) * 1000)
        return self._logged(http, event, response)

    def _logged(self, http: HttpRequest, event: Event, response: Response) -> Response:
        try:
            self._audit.write(event)
        except OSError as error:
            # What cannot be accounted for is not answered as done.
            _report(error)
            return self._response(http, event, _UNPROCESSED.status, _UNPROCESSED.body())
        return response

    async def _handle(self, http: HttpRequest, event: Event) -> Answer:
        body = await _body(http)
        try:
            match = self._routes.match(http.method, addresses.path(http))
        except Refusal as refusal:
            # Who is a stranger learns nothing of what is here.
            self._authenticate(http, event)
            raise refusal from None
        operation, event.operation = match.operation, match.operation.audit
        caller = self._authenticate(http, event)
        contract.require_api_version(event.api_version, operation.api_versions)
        request = Request(
            caller=caller,
            vault=self,
            base=self._base(http),
            path=addresses.path(http),
            name=contract.require_name(match.name) if "{name}" in operation.path else "",
            version=contract.require_version(match.version),
            query=dict(http.query_params),
            body=_object(body),
        )
        event.identifier = f"{request.base}{request.path}"
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._perform, operation, request, event)

    def _perform(self, operation: Operation, request: Request, event: Event) -> Answer:
        if operation.data_action:
            self._authorize(operation, request)
        event.authorized = True
        transaction = operation.transaction
        self._subscription.admit(
            self._configuration.name, transaction(request) if callable(transaction) else transaction
        )
        return operation.handler(request)

    def _authenticate(self, http: HttpRequest, event: Event) -> Caller:
        scheme, _, token = http.headers.get("authorization", "").partition(" ")
        try:
            if scheme.lower() != "bearer" or not token:
                raise unauthorized("AKV10000: Request is missing a Bearer or PoP token.")
            appid, oid = self._checker.check(token)
        except Refusal as refusal:
            authority = f"{self._configuration.authority}/{self._configuration.tenant}"
            refusal.headers["WWW-Authenticate"] = f'Bearer authorization="{authority}", resource="{VAULT_RESOURCE}"'
            raise
        event.appid, event.oid = appid, oid
        principal = self._callers.get((appid, oid))
        return Caller(principal.name if principal else "", appid, oid)

    def _authorize(self, operation: Operation, request: Request) -> None:
        caller, action = request.caller, f"{VAULTS}/{operation.data_action}"
        principal = self._callers.get((caller.appid, caller.oid))
        if principal is not None and is_allowed(self._configuration.roles_of(principal), action):
            return
        collection = request.path.split("/")[1].removeprefix("deleted").lower()
        where = f"/{collection}/{request.name}" if request.name else ""
        raise Refusal(
            403,
            "Forbidden",
            "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role "
            "definitions were changed recently, please observe propagation time.\r\n"
            f"Caller: appid={caller.appid};oid={caller.oid};iss={self._configuration.issuer}\r\n"
            f"Action: '{action}'\r\nResource: '{self._configuration.resource}{where}'\r\nAssignment: (not found)\r\n"
            "DenyAssignmentId: null\r\nDecisionReason: 'DeniedWithNoValidRBAC' \r\n"
            f"Vault: {self._configuration.name};location={self._configuration.location}\r\n",
            inner="ForbiddenByRbac",
        )

    def _base(self, http: HttpRequest) -> str:
        return addresses.origin(http, self._configuration.vault_url)

    def _event(self, http: HttpRequest) -> Event:
        query = f"?{addresses.query(http)}" if addresses.query(http) else ""
        return Event(
            resource=self._configuration.resource,
            request_uri=f"{self._base(http)}{addresses.path(http)}{query}",
            client_info=http.headers.get("user-agent", ""),
            caller_ip=http.client.host if http.client else "",
            correlation_id=_client_request_id(http) or str(uuid.uuid4()),
            api_version=http.query_params.get("api-version", ""),
        )

    def _response(
        self, http: HttpRequest, event: Event, status: int, answer: Answer, more: Mapping[str, str] | None = None
    ) -> Response:
        event.status = int(status)
        headers = {
            "Cache-Control": "no-cache",
            "Pragma": "no-cache",
            "Expires": "-1",
            "x-ms-client-request-id": _client_request_id(http),
            "x-ms-request-id": str(uuid.uuid4()),
            "x-ms-keyvault-region": self._configuration.location,
            "x-ms-keyvault-service-version": _SERVICE_VERSION,
            "x-ms-keyvault-network-info": f"conn_type=Ipv4;addr={event.caller_ip};act_addr_fam=InterNetwork;",
            "X-Content-Type-Options": "nosniff",
            "Strict-Transport-Security": "max-age=31536000;includeSubDomains",
            **(more or {}),
        }
        headers = {name: value for name, value in headers.items() if value}
        if answer is None:
            return Response(status_code=int(status), headers=headers)
        headers["Content-Type"] = "application/json; charset=utf-8"
        return Response(json.dumps(answer).encode(), int(status), headers)


def _client_request_id(http: HttpRequest) -> str:
    given = http.headers.get("x-ms-client-request-id", "")
    return given if _CLIENT_REQUEST_ID.fullmatch(given) else ""


async def _body(http: HttpRequest) -> bytes:
    """The whole body, read before anything is answered, so that the connection can be used again."""
    parts, size = list[bytes](), 0
    async for part in http.stream():
        size += len(part)
        if size <= _LONGEST_BODY_BYTES:
            parts.append(part)
    if size > _LONGEST_BODY_BYTES:
        raise Refusal(413, "RequestEntityTooLarge", f"The request's body is longer than {_LONGEST_BODY_BYTES} bytes")
    return b"".join(parts)


def _object(body: bytes) -> Mapping[str, Any]:
    if not body:
        return {}
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise bad_parameter("The request's body is not JSON") from None
    if not isinstance(value, dict):
        raise bad_parameter("The request's body must be a JSON object")
    return cast("dict[str, Any]", value)


def _report(error: Exception) -> None:
    # Where, not what: the text of a strange exception may hold the value it stumbled over.
    frames = "".join(traceback.format_tb(error.__traceback__))
    print(f"unforeseen {type(error).__name__}\n{frames}", file=sys.stderr, flush=True)
