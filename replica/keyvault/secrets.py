"""The secrets of the vault: values with versions.

Times bind nobody here: Azure serves a secret before its `nbf` and after its `exp`; only a disabled one is refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from replica.keyvault import contract, errors
from replica.keyvault.collection import Collection
from replica.keyvault.contract import SECRETS_API, require_attributes, require_tags
from replica.keyvault.limits import SECRET_CREATE, SECRET_OTHER, Transaction
from replica.keyvault.operations import Answer, Handler, Operation, Request
from replica.keyvault.records import Content, Kind, Version

_LONGEST_VALUE_BYTES = 25 * 1024
_LONGEST_CONTENT_TYPE = 255


def set_secret(request: Request) -> Answer:
    """PUT /secrets/{name}: a new version, which becomes the newest."""
    content = Content(
        material=_value(request.body).encode(),
        details=_details(request.body, {}),
        tags=require_tags(request.body),
        attributes=require_attributes(request.body),
    )
    with request.vault.store.writing(Kind.SECRET) as secrets:
        version = secrets.add(request.name, content)
    return _with_value(request, version)


def get_secret(request: Request) -> Answer:
    """GET /secrets/{name}/{version}."""
    with request.vault.store.reading(Kind.SECRET) as secrets:
        version = secrets.get(request.name, request.version)
    if not version.attributes.enabled:
        raise errors.forbidden("Operation get is not allowed on a disabled secret.", "SecretDisabled")
    return _with_value(request, version)


def update_secret(request: Request) -> Answer:
    """PATCH /secrets/{name}/{version}: everything but the value."""
    with request.vault.store.writing(Kind.SECRET) as secrets:
        before = secrets.get(request.name, request.version)
        content = dataclasses.replace(
            before.content,
            details=_details(request.body, before.content.details),
            tags=require_tags(request.body, before.content.tags),
            attributes=require_attributes(request.body, before.attributes),
        )
        version = secrets.change(dataclasses.replace(before, content=content))
    return _bundle(request, version)


def _value(body: Mapping[str, Any]) -> str:
    value = body.get("value")
    if not isinstance(value, str):
        raise errors.bad_parameter("Property value is required and must be a string")
    if len(value.encode(errors="surrogatepass")) > _LONGEST_VALUE_BYTES:
        raise errors.bad_parameter(f"Property value is longer than {_LONGEST_VALUE_BYTES} bytes")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise errors.bad_parameter("Property value is not Unicode text") from None
    return value


def _details(body: Mapping[str, Any], before: Mapping[str, Any]) -> Mapping[str, Any]:
    given = body.get("contentType")
    if given is None:
        return before
    if not isinstance(given, str) or len(given) > _LONGEST_CONTENT_TYPE:
        raise errors.bad_parameter(
            f"Property contentType must be a string of at most {_LONGEST_CONTENT_TYPE} characters"
        )
    return {**before, "contentType": given}


def _item(request: Request, version: Version) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": contract.identifier(request.base, version),
        "attributes": contract.show_attributes(version, request.vault.retention_days),
        **version.content.details,
    }
    if version.content.tags is not None:
        shown["tags"] = dict(version.content.tags)
    return shown


_bundle = _item


def _with_value(request: Request, version: Version) -> dict[str, Any]:
    return {"value": version.material.decode(), **_bundle(request, version)}


_ALL = Collection(Kind.SECRET, bundle=_bundle, item=_item, versioned="id")

_READ_METADATA = "secrets/readMetadata/action"


def _operation(route: str, audit: str, data_action: str, handler: Handler, **more: Transaction) -> Operation:
    method, path = route.split()
    return Operation(method, path, audit, data_action, more.get("transaction", SECRET_OTHER), handler, SECRETS_API)


OPERATIONS: tuple[Operation, ...] = (
    _operation("PUT /secrets/{name}", "SecretSet", "secrets/setSecret/action", set_secret, transaction=SECRET_CREATE),
    _operation("GET /secrets/{name}/{version}", "SecretGet", "secrets/getSecret/action", get_secret),
    _operation("PATCH /secrets/{name}/{version}", "SecretUpdate", "secrets/update/action", update_secret),
    _operation("DELETE /secrets/{name}", "SecretDelete", "secrets/delete", _ALL.delete),
    _operation("GET /secrets", "SecretList", _READ_METADATA, _ALL.list_objects),
    _operation("GET /secrets/{name}/versions", "SecretListVersions", _READ_METADATA, _ALL.list_versions),
    _operation("POST /secrets/{name}/backup", "SecretBackup", "secrets/backup/action", _ALL.backup),
    _operation(
        "POST /secrets/restore", "SecretRestore", "secrets/restore/action", _ALL.restore, transaction=SECRET_CREATE
    ),
    _operation("GET /deletedsecrets", "SecretListDeleted", _READ_METADATA, _ALL.list_deleted),
    _operation("GET /deletedsecrets/{name}", "SecretGetDeleted", _READ_METADATA, _ALL.get_deleted),
    _operation("DELETE /deletedsecrets/{name}", "SecretPurge", "secrets/purge/action", _ALL.purge),
    _operation("POST /deletedsecrets/{name}/recover", "SecretRecover", "secrets/recover/action", _ALL.recover),
)
