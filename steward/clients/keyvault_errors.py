"""What a Key Vault, or the issuer of its tokens, answered instead of what was asked, in words that name the cure.

Answers are quoted by the vault's own code and sentence only: the body of an answer that was no error may be a secret.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

from steward.errors import StewardError, Unavailable

_UNAUTHORIZED, _FORBIDDEN, _MISSING, _TIMEOUT, _BUSY, _SERVER_ERROR = 401, 403, 404, 408, 429, 500
_SUCCESS = range(200, 300)
_MOST_REASON = 400
#: What the vault asks for when it throttles without saying how long.
_RETRY_AFTER_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of which vault by whom, and the role of Azure that permits it: what its errors say."""

    vault: str
    principal: str
    action: str
    role: str


class VaultUnavailable(Unavailable):
    """The vault, or the issuer of its tokens, does not answer."""


class VaultThrottled(VaultUnavailable):
    """The vault answers that it has had too many requests; it will take one again in `retry_after_seconds`."""

    retry_after_seconds: float = _RETRY_AFTER_SECONDS


class VaultRefused(StewardError):
    """The vault answers, and refuses: asking again changes nothing."""


class VaultForbidden(VaultRefused):
    """The principal may not do this."""


class VaultMissing(VaultRefused):
    """The vault has no key or secret of this name and version."""


class VaultKeyDisabled(VaultRefused):
    """The key or secret is there and switched off, not valid yet, or expired."""


def in_words(error: AzureError | ValueError, asked: Asked) -> StewardError:
    """What the Azure SDK raised, as one of the errors above; nothing of the request or the answer's body is in it."""
    if isinstance(error, ValueError):
        return VaultRefused(
            f"vault {asked.vault} asks for a token that the client does not give: {_cut(str(error))}",
            hint="a vault of one's own needs verify_challenge_resource = false in [vault]; Azure's never does",
        )
    if isinstance(error, HttpResponseError) and error.response is not None and _is_of(error, asked.vault):
        return _answered(error, asked)
    if isinstance(error, ClientAuthenticationError):
        return _no_token(error, asked)
    return _unanswered(error, asked)


def _is_of(error: HttpResponseError, vault: str) -> bool:
    request = getattr(error.response, "request", None)
    return str(getattr(request, "url", "")).startswith(f"{vault}/")


def _answered(error: HttpResponseError, asked: Asked) -> StewardError:
    status, reason = error.status_code or 0, _reason(error)
    if status == _BUSY:
        return _throttled(error, asked)
    if status >= _SERVER_ERROR or status == _TIMEOUT:
        return VaultUnavailable(
            f"vault {asked.vault} cannot {asked.action} now: {status} {reason}", hint="see Azure's service health"
        )
    if status == _UNAUTHORIZED:
        return VaultRefused(
            f"vault {asked.vault} does not accept the token of {asked.principal}: {reason}",
            hint="compare [vault] authority and tenant with the vault's own directory, and this machine's clock",
        )
    if status in _SUCCESS:
        # Its body is what was asked for, and stays untold.
        return VaultRefused(f"vault {asked.vault} answers what is no JSON of a Key Vault", hint="is vault.url right?")
    return _refused(status, _code(error), reason, asked)


def _refused(status: int, code: str, reason: str, asked: Asked) -> VaultRefused:
    told = f"vault {asked.vault} refuses to {asked.action}: {reason}"
    if status == _MISSING:
        return VaultMissing(told, hint="compare the name and version with those that the vault lists, deleted ones too")
    if code.endswith(("Disabled", "Expired", "NotYetValid")):
        return VaultKeyDisabled(told, hint="see its attributes enabled, nbf and exp in the vault")
    if status == _FORBIDDEN:
        return _forbidden(code, reason, asked)
    return VaultRefused(f"{told} ({status} {code})", hint="the vault's own sentence names what it does not take")


def _forbidden(code: str, reason: str, asked: Asked) -> VaultForbidden:
    firewall = code in {"ForbiddenByFirewall", "ForbiddenByConnection"}
    return VaultForbidden(
        f"vault {asked.vault} forbids {asked.principal} to {asked.action}: {reason}",
        hint="let the vault's firewall admit this host" if firewall else f"{asked.role} is the role that permits it",
    )


def _throttled(error: HttpResponseError, asked: Asked) -> VaultThrottled:
    headers = getattr(error.response, "headers", {})
    wait = str(headers.get("Retry-After", ""))
    pause = f", and asks for a pause of {wait} s" if wait else ""
    told = VaultThrottled(
        f"vault {asked.vault} throttles: it did not {asked.action}{pause}",
        hint="it passes; if it keeps coming, share the load between vaults or ask for keys less often",
    )
    # Azure sends whole seconds; the header's other form, a date, is not worth a parser.
    told.retry_after_seconds = float(wait) if wait.isdigit() else _RETRY_AFTER_SECONDS
    return told


def _no_token(error: ClientAuthenticationError, asked: Asked) -> StewardError:
    # azure-identity wraps whatever happens on the way to the issuer into this one error.
    status = error.status_code or 0
    network = [cause for cause in _causes(error) if not isinstance(cause, ClientAuthenticationError)]
    if network or status >= _SERVER_ERROR or status == _BUSY:
        return _unanswered(network[0] if network else error, asked, server="the issuer of its tokens")
    return VaultRefused(
        f"no token for vault {asked.vault}: {asked.principal} is not known with what it has: {_cut(error.message)}",
        hint="compare tenant, client_id and the file of client_secret in [vault] with the app registration; without "
        "client_id, give this host a managed or workload identity",
    )


def _unanswered(error: BaseException, asked: Asked, server: str = "it") -> StewardError:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return VaultRefused(
            f"vault {asked.vault}: the certificate of {'the vault' if server == 'it' else server} is not trusted",
            hint="let vault.ca_file name the CA that signed it; Azure's own need none",
        )
    silent = "Timeout" in type(error).__name__
    return VaultUnavailable(
        f"vault {asked.vault} did not {asked.action}: {server} {'was silent' if silent else 'cannot be reached'}",
        hint="see whether it runs and can be reached from here: names, routes, firewall",
    )


def _code(error: HttpResponseError) -> str:
    inner = error.error.innererror if error.error else None
    return str((inner or {}).get("code") or (error.error.code if error.error else "") or "")


def _reason(error: HttpResponseError) -> str:
    said = error.error.message if error.error else None
    return _cut(said or str(error.reason or "no reason given"))


def _cut(text: str) -> str:
    return " ".join(text.split())[:_MOST_REASON]


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause = error.__cause__
    while cause is not None:
        yield cause
        cause = cause.__cause__
