"""A key of the vault as anyone may know it, and a signature by one."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from azure.keyvault.keys import JsonWebKey, KeyVaultKey
from cryptography.hazmat.primitives.asymmetric import ec, rsa

_CURVES: dict[str, ec.EllipticCurve] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
    "P-256K": ec.SECP256K1(),
}


@dataclass(frozen=True, slots=True)
class Signature:
    """*value* by the version of a key that the identifier *kid* names."""

    kid: str
    value: bytes


@dataclass(frozen=True, slots=True)
class VaultKey:
    """One version of a key, without what never leaves the vault."""

    kid: str
    name: str
    version: str
    public: rsa.RSAPublicKey | ec.EllipticCurvePublicKey | None
    """None for a symmetric key."""
    operations: frozenset[str]
    enabled: bool
    not_before: dt.datetime | None
    expires_on: dt.datetime | None

    def refusal(self, operation: str, now: dt.datetime) -> str:
        """Why it must not be used for *operation* (`wrapKey`, `sign` …) at *now*; empty where it may."""
        if not self.enabled:
            return "it is disabled"
        if self.not_before and now < self.not_before:
            return f"it is not valid before {self.not_before:%Y-%m-%d %H:%M:%S} UTC"
        if self.expires_on and now >= self.expires_on:
            return f"it expired at {self.expires_on:%Y-%m-%d %H:%M:%S} UTC"
        if operation not in self.operations:
            return f"it is not meant to {operation}, only for {', '.join(sorted(self.operations)) or 'nothing'}"
        return ""


def vault_key(key: KeyVaultKey) -> VaultKey:
    """What the SDK tells of a key."""
    about = key.properties
    return VaultKey(
        kid=key.id or "",
        name=key.name or "",
        version=about.version or "",
        public=_public(key.key),
        operations=frozenset(str(getattr(one, "value", one)) for one in key.key_operations),
        enabled=about.enabled is not False,
        not_before=about.not_before,
        expires_on=about.expires_on,
    )


def _public(jwk: JsonWebKey) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey | None:
    """RFC 7518, 6.2 and 6.3: big-endian numbers."""
    numbers = {name: int.from_bytes(getattr(jwk, name, None) or b"", "big") for name in ("n", "e", "x", "y")}
    if numbers["n"]:
        return rsa.RSAPublicNumbers(numbers["e"], numbers["n"]).public_key()
    if numbers["x"]:
        named = getattr(jwk, "crv", "")
        curve = _CURVES[getattr(named, "value", named)]
        return ec.EllipticCurvePublicNumbers(numbers["x"], numbers["y"], curve).public_key()
    return None
