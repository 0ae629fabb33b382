"""What an Elasticsearch cluster answered instead of what was asked, in words that name the cure."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from elastic_transport import ConnectionTimeout, TransportError
from elasticsearch import ApiError

from steward.errors import StewardError, Unavailable

UNAUTHENTICATED, FORBIDDEN, BUSY = 401, 403, 429
#: A proxy without a node behind it, a cluster without a master: it passes, or it is an outage.
AWAY = frozenset({502, 503, 504})
MOST_REASON = 400


class SearchAway(Unavailable):
    """No node of the cluster answers."""


class SearchBusy(Unavailable):
    """The cluster answers that it has no room for the request now."""


class CertificateRefused(StewardError):
    """The server's certificate was not issued by the CA that the settings name."""


class LoginRefused(StewardError):
    """The cluster does not know this user with this password."""


class NotPermitted(StewardError):
    """The user lacks a privilege; the cluster's own sentence names it."""


class SearchRefused(StewardError):
    """The cluster understood and refused. `status` is HTTP's, `kind` Elasticsearch's own exception name."""

    status: int = 0
    kind: str = ""


def answered(cluster: str, user: str, request: str, status: int, body: Any) -> StewardError:
    """The error for an answer that is no success. *body*: decoded JSON, or bytes."""
    kind, reason = _reason(body)
    if status == UNAUTHENTICATED:
        return LoginRefused(
            f"cluster {cluster} refused user {user!r}: unknown user or wrong password",
            hint=f"compare the user's password on the cluster with the file that [search.{cluster}.users] names",
        )
    if status == FORBIDDEN:
        return NotPermitted(
            f"cluster {cluster} does not permit {request} to user {user!r}: {reason}",
            hint="grant the privilege it names in the user's role; the flow provision-search writes the roles",
        )
    if status == BUSY:
        return SearchBusy(
            f"cluster {cluster} is too busy for {request}: {reason}",
            hint="it passes as load falls; if not, look at its circuit breakers and heap",
        )
    if status in AWAY:
        return SearchAway(
            f"cluster {cluster} answered {status} to {request}: {reason}",
            hint="look at its health: too few nodes for a master, or a proxy without a node behind it",
        )
    error = SearchRefused(
        f"cluster {cluster} refused {request}: {status} {kind}: {reason}",
        hint="the cluster's own sentence names what it refused; asking again will not change it",
    )
    error.status, error.kind = status, kind
    return error


def unanswered(cluster: str, hosts: Sequence[str], request: str, error: TransportError) -> StewardError:
    """The error for a request that got no answer from any node."""
    causes = list(_causes(error))
    refused = next((cause for cause in causes if isinstance(cause, ssl.SSLCertVerificationError)), None)
    if refused is not None:
        return CertificateRefused(
            f"the certificate of cluster {cluster} was not accepted: {refused.verify_message}",
            hint=f"let ca_file in [search.{cluster}] name the CA that issued the nodes' certificates",
        )
    slow = isinstance(error, ConnectionTimeout)
    return SearchAway(
        f"cluster {cluster} {'did not answer in time' if slow else 'does not answer'}: {request} at {', '.join(hosts)}",
        hint="check that the nodes run and that their hosts and ports are those in the settings",
    )


def translate(cluster: str, user: str, hosts: Sequence[str], error: ApiError | TransportError) -> StewardError:
    """What elasticsearch-py raised, in this project's words."""
    if isinstance(error, ApiError):
        return answered(cluster, user, "the request", error.status_code, error.body)
    return unanswered(cluster, hosts, "the request", error)


def _reason(body: Any) -> tuple[str, str]:
    """Elasticsearch's exception name and sentence, whatever the body is."""
    if isinstance(body, bytes):
        try:
            body = msgspec.json.decode(body)
        except msgspec.DecodeError:
            return "", body[:MOST_REASON].decode(errors="replace")
    error = body.get("error", body) if isinstance(body, dict) else body
    if not isinstance(error, dict):
        return "", str(error)[:MOST_REASON]
    # The root cause says which index or setting; the outer error often only that all shards failed.
    root = next(iter(error.get("root_cause") or ()), error)
    return str(root.get("type") or error.get("type", "")), str(root.get("reason") or error.get("reason"))[:MOST_REASON]


def _causes(error: BaseException) -> Iterator[BaseException]:
    pending: list[BaseException] = [error]
    seen: set[int] = set()
    while pending:
        cause = pending.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        pending += [
            each
            for each in (cause.__cause__, cause.__context__, getattr(cause, "reason", None))
            if isinstance(each, BaseException)
        ]
        pending += [each for each in (*getattr(cause, "errors", ()), *cause.args) if isinstance(each, BaseException)]
