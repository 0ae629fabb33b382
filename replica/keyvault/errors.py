"""Refusals, in the words and shapes that Azure Key Vault uses: clients branch on status, code and inner code.

Texts were taken from recorded answers of the service where such could be found; docs/keyvault.md names those that were not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steward.errors import BadInput


class ConfigurationUnfit(BadInput):
    """The stand-in's configuration file cannot be used."""


class Refusal(Exception):
    """A request is answered with an error. Its text reaches the caller and never holds a secret or key material."""

    def __init__(
        self, status: int, code: str, message: str, *, inner: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.inner = status, code, message, inner
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """`{"error": {"code", "message", "innererror"}}`."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.inner:
            error["innererror"] = {"code": self.inner}
        return {"error": error}


def bad_parameter(message: str) -> Refusal:
    """400: something in the request's address or body is wrong."""
    return Refusal(400, "BadParameter", message)


def forbidden(message: str, inner: str) -> Refusal:
    """403 for a reason other than the caller's roles: a disabled key, an operation that the key does not permit."""
    return Refusal(403, "Forbidden", message, inner=inner)


def not_found(kind: str, name: str, version: str = "") -> Refusal:
    """404 KeyNotFound or SecretNotFound; *kind* is `key` or `secret`."""
    which = f"{name}/{version}" if version else name
    return Refusal(
        404,
        f"{kind.capitalize()}NotFound",
        f"A {kind} with (name/id) {which} was not found in this key vault. If you recently deleted this {kind} you may be "
        "able to recover it using the correct recovery command. For help resolving this issue, please see "
        "https://go.microsoft.com/fwlink/?linkid=2125182",
    )


def deleted_not_found(kind: str, name: str) -> Refusal:
    """404 for a name that is not among the deleted ones."""
    return Refusal(404, f"{kind.capitalize()}NotFound", f"Deleted {kind.capitalize()} not found: {name}")


def name_in_deletion(kind: str, name: str) -> Refusal:
    """409: a deleted name is taken until it is purged or recovered."""
    return Refusal(
        409,
        "Conflict",
        f"{kind.capitalize()} {name} is currently in a deleted but recoverable state, and its name cannot be reused; in "
        f"this state, the {kind} can only be recovered or purged.",
        inner="ObjectIsDeletedButRecoverable",
    )


def being_deleted(kind: str, name: str) -> Refusal:
    """409: the deletion has begun and is not yet through."""
    return Refusal(
        409,
        "Conflict",
        f"{kind.capitalize()} {name} is currently being deleted and cannot be re-created; retry later.",
        inner="ObjectIsBeingDeleted",
    )


def being_recovered(kind: str, name: str) -> Refusal:
    """409: the recovery has begun and is not yet through."""
    return Refusal(
        409,
        "Conflict",
        f"{kind.capitalize()} {name} is currently being recovered and cannot be re-created; retry later.",
        inner="ObjectIsBeingRecovered",
    )


def name_taken(kind: str, name: str) -> Refusal:
    """409: a restore finds its name in use."""
    return Refusal(409, "Conflict", f"A {kind} with name {name} already exists in this key vault.")


def throttled(reason: str, retry_after_seconds: int) -> Refusal:
    """429; *reason* tells the vault's own limit from the subscription's."""
    return Refusal(
        429,
        "Throttled",
        f"Request was not processed because too many requests were received. Reason: {reason}",
        headers={"Retry-After": str(retry_after_seconds)},
    )
