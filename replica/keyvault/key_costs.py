"""What a request about a key counts as against the limits: by the kind and size of the key it makes or uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from replica.keyvault.errors import Refusal
from replica.keyvault.key_bundles import shape
from replica.keyvault.limits import KEY_LISTING, Transaction, key_create, key_other
from replica.keyvault.operations import Request
from replica.keyvault.records import Kind

# Where Key Vault's defaults decide; must be what `jwk.generate` does.
_USUAL_SIZES = {"RSA": 2048, "oct": 256}
_FAMILIES = {"rsa": "RSA", "ec": "EC", "oct": "oct"}


def creating(request: Request) -> Transaction:
    """By what is asked for, as it stands: what the handler will refuse counts too, under the mildest limit."""
    kty = str(request.body.get("kty")).lower()
    family = _FAMILIES.get(kty.removesuffix("-hsm"), "")
    curve = str(request.body.get("crv") or "P-256") if family == "EC" else None
    size: Any = request.body.get("key_size") or _USUAL_SIZES.get(family)
    return key_create(shape(family, size, curve), hsm=kty.endswith("-hsm"))


def importing(request: Request) -> Transaction:
    """As `creating`, by the caller's JSON Web Key."""
    given: Any = request.body.get("key")
    key = cast("Mapping[str, Any]", given) if isinstance(given, Mapping) else {}
    kty = str(key.get("kty")).lower()
    # Three bytes are four digits of base64url.
    bits = len(str(key.get("n") or key.get("k") or "")) * 3 // 4 * 8
    curve = str(key.get("crv")) if key.get("crv") else None
    family = _FAMILIES.get(kty.removesuffix("-hsm"), "")
    return key_create(shape(family, bits, curve), hsm=kty.endswith("-hsm") or request.body.get("Hsm") is True)


def rotating(request: Request) -> Transaction:
    """As `creating`, by the version that is followed."""
    details = _details(request)
    return key_create(str(details.get("shape")), hsm=bool(details.get("hsm")))


def using(request: Request) -> Transaction:
    """By the version that is used; an unknown one costs a look into the list."""
    details = _details(request)
    return key_other(str(details["shape"]), hsm=bool(details["hsm"])) if details else KEY_LISTING


def _details(request: Request) -> Mapping[str, Any]:
    try:
        with request.vault.store.reading(Kind.KEY) as keys:
            return keys.get(request.name, request.version).content.details
    except Refusal:
        # The handler says what is amiss.
        return {}
