"""The keys of the vault: made or imported, changed, listed, rotated, backed up; the table of their operations.

Answers hold public parts only. Keys of kind `-HSM` are software like the others; limits count them as Azure would.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, cast

from replica.keyvault import jwk, key_bundles, key_costs, key_operations
from replica.keyvault.collection import Collection
from replica.keyvault.contract import KEYS_API, require_attributes, require_tags
from replica.keyvault.errors import Refusal, bad_parameter
from replica.keyvault.key_bundles import bundle, item, refuse_export, require_key_ops
from replica.keyvault.key_rotation import get_policy, rotate_if_due, rotate_key, set_policy
from replica.keyvault.limits import KEY_LISTING, Transaction, key_create
from replica.keyvault.operations import Answer, Handler, Operation, Request
from replica.keyvault.records import Content, Kind


def create_key(request: Request) -> Answer:
    """POST /keys/{name}/create: a new version with new material, which becomes the newest."""
    body = request.body
    refuse_export(body)
    operations, tags, attributes = require_key_ops(body.get("key_ops")), require_tags(body), require_attributes(body)
    crv: Any = body.get("crv")
    material = jwk.generate(
        jwk.kind_of(body.get("kty")),
        _number(body, "key_size"),
        None if crv is None else str(crv),
        _number(body, "public_exponent"),
    )
    return _added(request, key_bundles.content(material, operations, tags, attributes))


def import_key(request: Request) -> Answer:
    """PUT /keys/{name}: a new version of the caller's material."""
    refuse_export(request.body)
    given = _imported(request)
    tags, attributes = require_tags(request.body), require_attributes(request.body)
    material = jwk.import_jwk(given, hsm=request.body.get("Hsm") is True)
    return _added(request, key_bundles.content(material, require_key_ops(given.get("key_ops")), tags, attributes))


def get_key(request: Request) -> Answer:
    """GET /keys/{name}/{version}: disabled and expired keys too, since it is the public part."""
    if not request.version:
        rotate_if_due(request)
    with request.vault.store.reading(Kind.KEY) as keys:
        return bundle(request, keys.get(request.name, request.version))


def update_key(request: Request) -> Answer:
    """PATCH /keys/{name}/{version}: attributes, operations and tags; the material never changes."""
    refuse_export(request.body)
    operations = require_key_ops(request.body.get("key_ops"))
    with request.vault.store.writing(Kind.KEY) as keys:
        before = keys.get(request.name, request.version)
        details = before.content.details if operations is None else {**before.content.details, "key_ops": operations}
        content = dataclasses.replace(
            before.content,
            details=details,
            tags=require_tags(request.body, before.content.tags),
            attributes=require_attributes(request.body, before.attributes),
        )
        version = keys.change(dataclasses.replace(before, content=content))
    return bundle(request, version)


_ALL = Collection(Kind.KEY, bundle=bundle, item=item, versioned="kid")


def list_versions(request: Request) -> Answer:
    """GET /keys/{name}/versions."""
    _unless_unknown(request)
    return _ALL.list_versions(request)


def backup_key(request: Request) -> Answer:
    """POST /keys/{name}/backup: every version and the rotation policy, sealed."""
    rotate_if_due(request)
    return _ALL.backup(request)


def _added(request: Request, content: Content) -> Answer:
    with request.vault.store.writing(Kind.KEY) as keys:
        return bundle(request, keys.add(request.name, content))


def _imported(request: Request) -> Mapping[str, Any]:
    given: Any = request.body.get("key")
    if not isinstance(given, Mapping):
        raise bad_parameter("Property key is required and must be a JSON Web Key.")
    return cast("Mapping[str, Any]", given)


def _number(body: Mapping[str, Any], field: str) -> int | None:
    value: Any = body.get(field)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise bad_parameter(f"Property {field} must be a number.")
    return value


def _unless_unknown(request: Request) -> None:
    # Azure lists no versions of an unknown key rather than refuse.
    with contextlib.suppress(Refusal):
        rotate_if_due(request)


def _operation(
    where: str,
    audit: str,
    data_action: str,
    handler: Handler,
    cost: Transaction | Callable[[Request], Transaction] = key_costs.using,
) -> Operation:
    """*where* is method and path, as the contract writes them."""
    method, path = where.split(" ")
    return Operation(method, path, audit, data_action, cost, handler, KEYS_API)


# Data actions are those of Azure's resource provider. For random bytes it names none on vaults (a Managed HSM has a
# permission of its own for them): whoever may read keys may have some.
OPERATIONS: tuple[Operation, ...] = (
    _operation("POST /keys/{name}/create", "KeyCreate", "keys/create/action", create_key, key_costs.creating),
    _operation("PUT /keys/{name}", "KeyImport", "keys/import/action", import_key, key_costs.importing),
    _operation("POST /keys/{name}/rotate", "KeyRotate", "keys/rotate/action", rotate_key, key_costs.rotating),
    _operation("GET /keys/{name}/{version}", "KeyGet", "keys/read", get_key),
    _operation("PATCH /keys/{name}/{version}", "KeyUpdate", "keys/update/action", update_key),
    _operation("DELETE /keys/{name}", "KeyDelete", "keys/delete", _ALL.delete),
    _operation("GET /keys", "KeyList", "keys/read", _ALL.list_objects, KEY_LISTING),
    _operation("GET /keys/{name}/versions", "KeyListVersions", "keys/read", list_versions, KEY_LISTING),
    _operation("POST /keys/{name}/backup", "KeyBackup", "keys/backup/action", backup_key),
    _operation("POST /keys/restore", "KeyRestore", "keys/restore/action", _ALL.restore, key_create("", hsm=False)),
    _operation("GET /keys/{name}/rotationpolicy", "KeyRotationPolicyGet", "keyrotationpolicies/read", get_policy),
    _operation("PUT /keys/{name}/rotationpolicy", "KeyRotationPolicySet", "keyrotationpolicies/write", set_policy),
    _operation("POST /keys/{name}/{version}/encrypt", "KeyEncrypt", "keys/encrypt/action", key_operations.encrypt),
    _operation("POST /keys/{name}/{version}/decrypt", "KeyDecrypt", "keys/decrypt/action", key_operations.decrypt),
    _operation("POST /keys/{name}/{version}/wrapkey", "KeyWrap", "keys/wrap/action", key_operations.wrap),
    _operation("POST /keys/{name}/{version}/unwrapkey", "KeyUnwrap", "keys/unwrap/action", key_operations.unwrap),
    _operation("POST /keys/{name}/{version}/sign", "KeySign", "keys/sign/action", key_operations.sign),
    _operation("POST /keys/{name}/{version}/verify", "KeyVerify", "keys/verify/action", key_operations.verify),
    _operation("POST /keys/{name}/{version}/release", "KeyRelease", "keys/release/action", key_operations.release),
    _operation("POST /rng", "KeyGetRandomBytes", "keys/read", key_operations.random_bytes, KEY_LISTING),
    _operation("GET /deletedkeys", "KeyListDeleted", "keys/read", _ALL.list_deleted, KEY_LISTING),
    _operation("GET /deletedkeys/{name}", "KeyGetDeleted", "keys/read", _ALL.get_deleted, KEY_LISTING),
    _operation("DELETE /deletedkeys/{name}", "KeyPurge", "keys/purge/action", _ALL.purge, KEY_LISTING),
    _operation("POST /deletedkeys/{name}/recover", "KeyRecover", "keys/recover/action", _ALL.recover, KEY_LISTING),
)
