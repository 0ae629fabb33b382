"""The small print of the contract: versions of the interface, names, identifiers, bytes, times, attributes, tags, pages."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from replica.keyvault.errors import bad_parameter
from replica.keyvault.records import Attributes, Deletion, Version

KEYS_API = ("7.0", "7.1", "7.2", "7.3", "7.4", "7.5", "7.6", "2025-07-01")
SECRETS_API = (*KEYS_API, "2026-04-01")

_NAME = re.compile(r"[0-9a-zA-Z-]{1,127}")
_VERSION = re.compile(r"[0-9a-f]{32}")
_BASE64URL = re.compile(r"[0-9a-zA-Z_-]*")
_MOST_PAGE = 25
_LONGEST_RETENTION_DAYS = 90
_MOST_TAGS = 15
_LONGEST_TAG = 512
_LAST_SECOND = 253_402_300_799  # 9999-12-31: the last time that clients can represent

Item = TypeVar("Item")


def require_api_version(given: str, supported: Sequence[str]) -> None:
    """Refusal 400 unless *given* is one of *supported*, whose last is the newest."""
    if given not in supported:
        raise bad_parameter(
            f"The specified version ({given[:32]}) is not recognized. Consider using the latest supported version "
            f"({supported[-1]})."
        )


def require_name(name: str) -> str:
    """An object's name: letters, digits and dashes, 1 to 127 of them."""
    if not _NAME.fullmatch(name):
        raise bad_parameter(f"The request URI contains an invalid name: {name[:128]}")
    return name


def require_version(version: str) -> str:
    """A version's identifier, or nothing for the newest."""
    if version and not _VERSION.fullmatch(version):
        raise bad_parameter(f"The request URI contains an invalid version: {version[:64]}")
    return version


def encode(value: bytes) -> str:
    """As base64url without padding, as every byte string of the contract travels."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def decode(value: str) -> bytes:
    """The bytes of a base64url text, padded or not; ValueError."""
    digits = value.rstrip("=")
    if not _BASE64URL.fullmatch(digits) or len(digits) % 4 == 1:
        raise ValueError("not base64url")
    return base64.urlsafe_b64decode(digits + "=" * (-len(digits) % 4))


def require_bytes(body: Mapping[str, Any], field: str) -> bytes:
    """The bytes that *field* of a request's body holds; Refusal 400 without the value."""
    value = body.get(field)
    if not isinstance(value, str):
        raise bad_parameter(f"Property {field} is required and must be a base64url string")
    try:
        return decode(value)
    except ValueError:
        raise bad_parameter(f"Property {field} is not a base64url string") from None


def require_attributes(body: Mapping[str, Any], before: Attributes | None = None) -> Attributes:
    """`attributes` of a request's body laid over *before*; what is not given stays."""
    given: Any = body.get("attributes")
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        raise bad_parameter("Property attributes must be an object")
    given = cast("Mapping[str, Any]", given)
    before = before or Attributes()
    enabled = given.get("enabled")
    if enabled is not None and not isinstance(enabled, bool):
        raise bad_parameter("Property attributes.enabled must be a boolean")
    attributes = Attributes(
        before.enabled if enabled is None else enabled,
        _time(given, "nbf", before.not_before),
        _time(given, "exp", before.expires),
    )
    if None not in {attributes.not_before, attributes.expires}:
        _require_order(attributes)
    return attributes


def require_tags(body: Mapping[str, Any], before: Mapping[str, str] | None = None) -> Mapping[str, str] | None:
    """`tags` of a request's body, or *before* where none are given: at most 15, of 512 characters each way."""
    given: Any = body.get("tags")
    if given is None:
        return before
    if not isinstance(given, Mapping):
        raise bad_parameter("Property tags must be an object")
    tags = dict(cast("Mapping[Any, Any]", given))
    if len(tags) > _MOST_TAGS or not all(_is_tag(text) for pair in tags.items() for text in pair):
        raise bad_parameter(
            f"Property tags may have {_MOST_TAGS} texts of {_LONGEST_TAG} characters, each with a name alike"
        )
    return tags


def identifier(base: str, version: Version, *, bare: bool = False) -> str:
    """The address that names a version, or with *bare* its object."""
    address = f"{base}/{version.kind.plural}/{version.name}"
    return address if bare else f"{address}/{version.version}"


def show_attributes(version: Version, retention_days: int) -> dict[str, Any]:
    """Enabled, times in unix seconds, and what deletion would mean."""
    given = version.attributes
    shown: dict[str, Any] = {"enabled": given.enabled}
    if given.not_before is not None:
        shown["nbf"] = given.not_before
    if given.expires is not None:
        shown["exp"] = given.expires
    level = "Recoverable+Purgeable" if retention_days == _LONGEST_RETENTION_DAYS else "CustomizedRecoverable+Purgeable"
    return {
        **shown,
        "created": version.created,
        "updated": version.updated,
        "recoveryLevel": level,
        "recoverableDays": retention_days,
    }


def show_deletion(base: str, version: Version, deletion: Deletion) -> dict[str, Any]:
    """What a deleted object's answer has more than a live one's."""
    return {
        "recoveryId": f"{base}/deleted{version.kind.plural}/{version.name}",
        "deletedDate": deletion.deleted_at,
        "scheduledPurgeDate": deletion.purge_at,
    }


def page(
    base: str,
    path: str,
    query: Mapping[str, str],
    fetch: Callable[[str, int], Sequence[Item]],
    show: Callable[[Item], tuple[str, dict[str, Any]]],
) -> dict[str, Any]:
    """One page of a listing. *fetch* takes (after, how many); *show* gives an item's place in the order, and the item."""
    most = _page_size(query)
    items = [show(item) for item in fetch(_after(query), most + 1)]
    more = len(items) > most
    shown, link = items[:most], None
    if more:
        token = encode(shown[-1][0].encode())
        link = f"{base}{path}?api-version={query['api-version']}&$skiptoken={token}&maxresults={most}"
    return {"value": [item for _, item in shown], "nextLink": link}


def _page_size(query: Mapping[str, str]) -> int:
    given = query.get("maxresults", str(_MOST_PAGE))
    if not re.fullmatch(r"\d{1,3}", given) or not 1 <= int(given) <= _MOST_PAGE:
        raise bad_parameter(f"The maxresults parameter must be a number from 1 to {_MOST_PAGE}")
    return int(given)


def _after(query: Mapping[str, str]) -> str:
    token = query.get("$skiptoken", "")
    try:
        return decode(token).decode("ascii")
    except ValueError:
        raise bad_parameter("The $skiptoken parameter is not one that this vault gave") from None


def _time(given: Mapping[str, Any], field: str, before: int | None) -> int | None:
    value = given.get(field)
    if value is None:
        return before
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LAST_SECOND:
        raise bad_parameter(f"Property attributes.{field} must be a time in unix seconds")
    return value


def _require_order(attributes: Attributes) -> None:
    if (attributes.not_before or 0) >= (attributes.expires or 0):
        raise bad_parameter("Property attributes.exp must be later than attributes.nbf")


def _is_tag(text: object) -> bool:
    return isinstance(text, str) and len(text) <= _LONGEST_TAG
