"""The login: as much of Entra ID as a client-credentials client meets. Discovery, keys, tokens."""

from __future__ import annotations

import hashlib
import hmac
import urllib.parse
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from replica.keyvault.addresses import origin
from replica.keyvault.configuration import Configuration, Principal
from replica.keyvault.tokens import VAULT_RESOURCE, Issuer

# Azure's resource manager beside the vault: tokens for another resource are to be had, and the vault refuses them.
_RESOURCES = frozenset({VAULT_RESOURCE, "https://management.azure.com"})
_LONGEST_FORM_BYTES = 16_384
_DEFAULT_SCOPE = "/.default"


class _LoginRefused(Exception):
    def __init__(self, status: int, error: str, code: int, description: str) -> None:
        super().__init__(description)
        self.status, self.error, self.code, self.description = status, error, code, description


class Login:
    """One tenant's token endpoint."""

    def __init__(self, configuration: Configuration, issuer: Issuer) -> None:
        self._configuration, self._issuer = configuration, issuer
        self._principals = {principal.client_id: principal for principal in configuration.principals}
        self._secrets = {
            principal.client_id: _digest(Path(principal.secret_file).read_text().strip())
            for principal in configuration.principals
        }

    def application(self) -> Starlette:
        """The ASGI application."""
        discovery = ".well-known/openid-configuration"
        return Starlette(
            routes=[
                Route(f"/{{tenant}}/{discovery}", self._discover),
                Route(f"/{{tenant}}/v2.0/{discovery}", self._discover),
                Route("/{tenant}/discovery/v2.0/keys", self._keys),
                Route("/{tenant}/oauth2/v2.0/token", self._token, methods=["POST"]),
            ]
        )

    async def _discover(self, request: Request) -> Response:
        if refused := self._foreign(request):
            return _refusal(refused)
        base = f"{origin(request, self._configuration.authority)}/{self._configuration.tenant}"
        return JSONResponse(
            {
                "issuer": self._issuer.name,
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
                "grant_types_supported": ["client_credentials"],
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "scopes_supported": ["openid"],
            }
        )

    async def _keys(self, request: Request) -> Response:
        refused = self._foreign(request)
        return _refusal(refused) if refused else JSONResponse(self._issuer.jwks())

    async def _token(self, request: Request) -> Response:
        try:
            form = await _form(request)
            principal, audience = self._accept(request, form)
        except _LoginRefused as refused:
            return _refusal(refused)
        answer = {
            "token_type": "Bearer",
            "expires_in": principal.token_seconds,
            "ext_expires_in": principal.token_seconds,
            "access_token": self._issuer.issue(principal, audience),
        }
        return JSONResponse(answer, headers=_UNCACHED)

    def _accept(self, request: Request, form: Mapping[str, str]) -> tuple[Principal, str]:
        if refused := self._foreign(request):
            raise refused
        if form.get("grant_type") != "client_credentials":
            raise _LoginRefused(
                400,
                "unsupported_grant_type",
                70003,
                "The app requested an unsupported grant type; expected client_credentials.",
            )
        principal = self._authenticated(form.get("client_id", ""), form.get("client_secret", ""))
        return principal, _audience(form.get("scope", ""))

    def _authenticated(self, client: str, secret: str) -> Principal:
        principal = self._principals.get(client)
        # Compared for an unknown client too: how long it takes says nothing.
        right = hmac.compare_digest(_digest(secret), self._secrets.get(client, b"\0" * 32))
        if principal is None:
            raise _LoginRefused(
                400, "unauthorized_client", 700016, "Application with that identifier was not found in the directory."
            )
        if not right:
            raise _LoginRefused(
                401, "invalid_client", 7000215, f"Invalid client secret provided for app '{principal.client_id}'."
            )
        return principal

    def _foreign(self, request: Request) -> _LoginRefused | None:
        if request.path_params["tenant"] == self._configuration.tenant:
            return None
        return _LoginRefused(400, "invalid_tenant", 90002, "Tenant not found. Check that it is the right tenant.")


_UNCACHED = {"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"}


async def _form(request: Request) -> dict[str, str]:
    length = request.headers.get("content-length", "")
    if not length.isdigit() or int(length) > _LONGEST_FORM_BYTES:
        raise _LoginRefused(
            400, "invalid_request", 900144, "The request body must be a form of a stated, moderate length."
        )
    try:
        pairs = urllib.parse.parse_qsl((await request.body()).decode(), strict_parsing=True, keep_blank_values=True)
    except ValueError:
        raise _LoginRefused(400, "invalid_request", 900144, "The request body must be a form.") from None
    return dict(pairs)


def _audience(scope: str) -> str:
    resource = scope.removesuffix(_DEFAULT_SCOPE)
    if not scope.endswith(_DEFAULT_SCOPE):
        raise _LoginRefused(400, "invalid_scope", 1002012, "The scope must be a resource's identifier with /.default.")
    if resource not in _RESOURCES:
        raise _LoginRefused(400, "invalid_resource", 500011, "The resource principal was not found in the tenant.")
    return resource


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


def _refusal(refused: _LoginRefused) -> JSONResponse:
    trace, now = str(uuid.uuid4()), datetime.now(UTC)
    answer: dict[str, Any] = {
        "error": refused.error,
        "error_description": f"AADSTS{refused.code}: {refused.description} Trace ID: {trace} Timestamp: {now:%Y-%m-%d %H:%M:%SZ}",
        "error_codes": [refused.code],
        "timestamp": f"{now:%Y-%m-%d %H:%M:%SZ}",
        "trace_id": trace,
        "correlation_id": trace,
    }
    return JSONResponse(answer, status_code=refused.status, headers=_UNCACHED)
