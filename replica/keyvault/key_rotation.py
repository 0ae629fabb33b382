"""New versions of keys by rotation: asked for, or due by the key's policy.

Azure rotates by a scheduler of its own (`KeyRotateIfDue` in its audit log). Here a due key rotates when somebody next asks
for its newest version or its versions, so that nobody sees it unrotated.
"""

from __future__ import annotations

import time
from typing import Any

from replica.keyvault import key_bundles
from replica.keyvault.contract import decode
from replica.keyvault.jwk import CURVES, generate
from replica.keyvault.operations import Answer, Request
from replica.keyvault.records import Attributes, Content, Kind, Version
from replica.keyvault.rotation_policy import DEFAULT, RotationPolicy, moment, parse_policy

_POLICY = "rotation_policy"


def rotate_key(request: Request) -> Answer:
    """POST /keys/{name}/rotate: new material of the newest version's kind, under its tags and operations."""
    with request.vault.store.reading(Kind.KEY) as keys:
        before, policy = keys.get(request.name), _policy(keys.details(request.name))
    successor = _successor(before, policy)
    with request.vault.store.writing(Kind.KEY) as keys:
        version = keys.add(request.name, successor)
    return key_bundles.bundle(request, version)


def rotate_if_due(request: Request) -> None:
    """Rotate the request's key where its policy says that the newest version's time has come; an unknown key is left
    to the handler to refuse.

    A disabled version is not followed by an enabled one: who disabled a key would not expect a timer to undo it.
    """
    with request.vault.store.reading(Kind.KEY) as keys:
        # Most keys have no policy: one look at the object decides for them.
        policy = _policy(keys.details(request.name))
        before = keys.get(request.name) if policy is not DEFAULT else None
    if before is None or not before.attributes.enabled or not _is_due(before, policy):
        return
    successor = _successor(before, policy)
    with request.vault.store.writing(Kind.KEY) as keys:
        # Another request may have seen the same; the key rotates once.
        if keys.get(request.name).version == before.version:
            keys.add(request.name, successor)


def get_policy(request: Request) -> Answer:
    """GET /keys/{name}/rotationpolicy: the default one where none was set."""
    with request.vault.store.reading(Kind.KEY) as keys:
        details = keys.details(request.name)
    return _shown(request, details)


def set_policy(request: Request) -> Answer:
    """PUT /keys/{name}/rotationpolicy: in place of the one before."""
    policy = parse_policy(request.body)
    now = int(time.time())
    with request.vault.store.writing(Kind.KEY) as keys:
        details = keys.details(request.name)
        created = details.get(_POLICY, {}).get("created", now)
        details[_POLICY] = {"body": policy.body(), "created": created, "updated": now}
        keys.keep_details(request.name, details)
    return _shown(request, details)


def _policy(details: dict[str, Any]) -> RotationPolicy:
    return parse_policy(details[_POLICY]["body"]) if _POLICY in details else DEFAULT


def _shown(request: Request, details: dict[str, Any]) -> dict[str, Any]:
    kept = details.get(_POLICY, {})
    body = kept.get("body") or DEFAULT.body()
    times = {name: kept[name] for name in ("created", "updated") if name in kept}
    address = f"{request.base}/keys/{request.name}/rotationpolicy"
    return {"id": address, **body, "attributes": {**body["attributes"], **times}}


def _is_due(version: Version, policy: RotationPolicy) -> bool:
    expires = version.attributes.expires
    due = policy.due_at(moment(version.created), None if expires is None else moment(expires))
    return due is not None and due <= moment(time.time())


def _successor(before: Version, policy: RotationPolicy) -> Content:
    details = before.content.details
    shape = str(details["shape"]).partition(" ")[2]
    exponent = int.from_bytes(decode(details["jwk"]["e"])) if "e" in details["jwk"] else None
    size, curve = (None, shape) if shape in CURVES else (int(shape), None)
    material = generate(details["jwk"]["kty"], size, curve, exponent)
    expires = policy.expires_at(moment(time.time()))
    attributes = Attributes(expires=None if expires is None else int(expires.timestamp()))
    return key_bundles.content(material, details["key_ops"], before.content.tags, attributes)
