"""What is done with a key inside the vault: encrypt and wrap, decrypt and unwrap, sign, verify; and random bytes.

A disabled key does nothing. Outside its `nbf` … `exp` a key still decrypts, unwraps and verifies, so that what it
protects is not lost with it ("Date-time controlled operations" of Key Vault's key attributes).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from replica.keyvault import algorithms, contract, key_encryption, key_signatures
from replica.keyvault.contract import encode, require_bytes
from replica.keyvault.errors import bad_parameter, forbidden
from replica.keyvault.jwk import KeyMaterial, from_bytes
from replica.keyvault.key_encryption import Sealed
from replica.keyvault.key_rotation import rotate_if_due
from replica.keyvault.operations import Answer, Request
from replica.keyvault.records import Kind, Version

_MOST_RANDOM_BYTES = 128


def encrypt(request: Request) -> Answer:
    """POST /keys/{name}/{version}/encrypt."""
    return _sealed(request, _permitted(request, "encrypt"), wrapping=False)


def wrap(request: Request) -> Answer:
    """POST /keys/{name}/{version}/wrapkey."""
    return _sealed(request, _permitted(request, "wrapKey"), wrapping=True)


def decrypt(request: Request) -> Answer:
    """POST /keys/{name}/{version}/decrypt."""
    return _opened(request, _permitted(request, "decrypt", also_outside_its_time=True), wrapping=False)


def unwrap(request: Request) -> Answer:
    """POST /keys/{name}/{version}/unwrapkey."""
    return _opened(request, _permitted(request, "unwrapKey", also_outside_its_time=True), wrapping=True)


def sign(request: Request) -> Answer:
    """POST /keys/{name}/{version}/sign."""
    key = _permitted(request, "sign")
    digest = require_bytes(request.body, "value")
    algorithm = algorithms.signature(request.body.get("alg"), key.material, key.kid)
    algorithms.check_digest(algorithm, digest, "value")
    return {"kid": key.kid, "value": encode(key_signatures.sign(key.material, algorithm, digest))}


def verify(request: Request) -> Answer:
    """POST /keys/{name}/{version}/verify."""
    key = _permitted(request, "verify", also_outside_its_time=True)
    digest, signature = require_bytes(request.body, "digest"), require_bytes(request.body, "value")
    algorithm = algorithms.signature(request.body.get("alg"), key.material, key.kid)
    algorithms.check_digest(algorithm, digest, "digest")
    return {"value": key_signatures.verify(key.material, algorithm, digest, signature)}


def release(request: Request) -> Answer:
    """POST /keys/{name}/{version}/release: no key here is exportable."""
    with request.vault.store.reading(Kind.KEY) as keys:
        keys.get(request.name, request.version)
    raise forbidden("Operation release is not permitted on this key.", "KeyOperationForbidden")


def random_bytes(request: Request) -> Answer:
    """POST /rng."""
    count: Any = request.body.get("count")
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= _MOST_RANDOM_BYTES:
        raise bad_parameter(f"Property count must be a number from 1 to {_MOST_RANDOM_BYTES}.")
    return {"value": encode(secrets.token_bytes(count))}


@dataclass(frozen=True, slots=True)
class _Key:
    kid: str
    material: KeyMaterial


def _permitted(request: Request, operation: str, *, also_outside_its_time: bool = False) -> _Key:
    """The request's key, newest where it names no version; Refusal 404, or 403 where *operation* is not for it."""
    if not request.version:
        rotate_if_due(request)
    with request.vault.store.reading(Kind.KEY) as keys:
        version = keys.get(request.name, request.version)
    _refuse_by_state(version, operation, also_outside_its_time=also_outside_its_time)
    if operation not in version.content.details["key_ops"]:
        raise forbidden(f"Operation {operation} is not permitted on this key.", "KeyOperationForbidden")
    return _Key(contract.identifier(request.base, version), from_bytes(version.material))


def _refuse_by_state(version: Version, operation: str, *, also_outside_its_time: bool) -> None:
    state, now = version.attributes, time.time()
    if not state.enabled:
        raise forbidden(f"Operation {operation} is not allowed on a disabled key.", "KeyDisabled")
    if also_outside_its_time:
        return
    if state.not_before is not None and now < state.not_before:
        raise forbidden(f"Operation {operation} is not allowed on a key that is not yet valid.", "KeyNotYetValid")
    if state.expires is not None and now >= state.expires:
        raise forbidden(f"Operation {operation} is not allowed on an expired key.", "KeyExpired")


def _sealed(request: Request, key: _Key, *, wrapping: bool) -> Answer:
    value = require_bytes(request.body, "value")
    cipher = algorithms.cipher(request.body.get("alg"), key.material, key.kid, wrapping=wrapping)
    iv, aad = _optional_bytes(request.body, "iv"), _optional_bytes(request.body, "aad")
    sealed = key_encryption.encrypt(key.material, cipher, value, iv, aad)
    beside = {"iv": sealed.iv, "tag": sealed.tag, "aad": sealed.aad}
    shown = {name: encode(given) for name, given in beside.items() if given is not None}
    return {"kid": key.kid, "value": encode(sealed.value), **shown}


def _opened(request: Request, key: _Key, *, wrapping: bool) -> Answer:
    cipher = algorithms.cipher(request.body.get("alg"), key.material, key.kid, wrapping=wrapping)
    iv, tag, aad = (_optional_bytes(request.body, name) for name in ("iv", "tag", "aad"))
    sealed = Sealed(require_bytes(request.body, "value"), iv, tag, aad)
    return {"kid": key.kid, "value": encode(key_encryption.decrypt(key.material, cipher, sealed))}


def _optional_bytes(body: Mapping[str, Any], field: str) -> bytes | None:
    return None if body.get(field) is None else require_bytes(body, field)
