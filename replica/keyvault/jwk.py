"""Key material: made, taken from a caller's JSON Web Key, kept as bytes, shown as a public JSON Web Key.

JSON Web Keys are RFC 7517 and 7518 with Key Vault's names: kty RSA, EC and oct, each also as `-HSM`, which here is
software that says so; curves P-256, P-384, P-521 and P-256K (secp256k1 of RFC 8812).
"""

from __future__ import annotations

import json
import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key

from replica.keyvault.contract import decode, encode
from replica.keyvault.errors import bad_parameter

RSA_SIZES = (2048, 3072, 4096)
OCT_SIZES = (128, 192, 256)
CURVES: Mapping[str, type[ec.EllipticCurve]] = {
    "P-256": ec.SECP256R1,
    "P-384": ec.SECP384R1,
    "P-521": ec.SECP521R1,
    "P-256K": ec.SECP256K1,
}
#: The kty of the contract by its spelling in lower case: the SDKs compare them without regard to case.
KINDS = {kty.lower(): kty for kty in ("RSA", "RSA-HSM", "EC", "EC-HSM", "oct", "oct-HSM")}
_CURVE_NAMES = {curve().name: name for name, curve in CURVES.items()}
_EXPONENT = 65537

PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | bytes


@dataclass(frozen=True, slots=True, repr=False)
class KeyMaterial:
    """A private or symmetric key and the kty it is known by. Its repr is object's own: it may stand in a traceback."""

    kty: str
    private: PrivateKey

    @property
    def family(self) -> str:
        """RSA, EC or oct: kty without `-HSM`."""
        return self.kty.removesuffix("-HSM")

    @property
    def hsm(self) -> bool:
        return self.kty.endswith("-HSM")

    @property
    def size(self) -> int:
        """In bits."""
        return len(self.private) * 8 if isinstance(self.private, bytes) else self.private.key_size

    @property
    def curve(self) -> str | None:
        return _CURVE_NAMES[self.private.curve.name] if isinstance(self.private, ec.EllipticCurvePrivateKey) else None

    def public_jwk(self) -> dict[str, str]:
        """The members kty, n, e or kty, crv, x, y; of a symmetric key kty alone."""
        match self.private:
            case rsa.RSAPrivateKey():
                numbers = self.private.public_key().public_numbers()
                return {"kty": self.kty, "n": _encoded(numbers.n), "e": _encoded(numbers.e)}
            case ec.EllipticCurvePrivateKey():
                point = self.private.public_key().public_numbers()
                width = (self.size + 7) // 8
                crv = _CURVE_NAMES[self.private.curve.name]
                return {"kty": self.kty, "crv": crv, "x": _encoded(point.x, width), "y": _encoded(point.y, width)}
            case _:
                return {"kty": self.kty}

    def to_bytes(self) -> bytes:
        """What the store keeps; `from_bytes` reads it."""
        if isinstance(self.private, bytes):
            raw = self.private
        else:
            raw = self.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return json.dumps({"kty": self.kty, "key": b64encode(raw).decode()}).encode()


# Loading a key costs more than using it; as many as a busy vault's hot keys.
@lru_cache(maxsize=256)
def from_bytes(stored: bytes) -> KeyMaterial:
    document = json.loads(stored)
    kty, raw = str(document["kty"]), b64decode(document["key"])
    if kty.startswith("oct"):
        return KeyMaterial(kty, raw)
    # It was made or fully checked by this module when it came in; checking its primes at each use takes milliseconds.
    private = load_der_private_key(raw, None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise TypeError(f"the store holds a key of kind {type(private).__name__}; RSA, EC or oct was expected")
    return KeyMaterial(kty, private)


def generate(kty: str, size: int | None, curve: str | None, exponent: int | None) -> KeyMaterial:
    """A new key of *kty*; absent parameters take Key Vault's defaults (2048, 256, P-256, 65537).

    Raises a refusal (400 BadParameter) naming the parameter that is not of the contract.
    """
    match kty.removesuffix("-HSM"):
        case "RSA":
            if (exponent or _EXPONENT) not in (3, _EXPONENT):
                raise bad_parameter("Property public_exponent has invalid value. Supported values are 3 and 65537.")
            return KeyMaterial(kty, rsa.generate_private_key(exponent or _EXPONENT, _sized(size or 2048, RSA_SIZES)))
        case "EC":
            return KeyMaterial(kty, ec.generate_private_key(_curve(curve or "P-256")))
        case _:
            return KeyMaterial(kty, secrets.token_bytes(_sized(size or 256, OCT_SIZES) // 8))


def kind_of(value: object, *, hsm: bool = False) -> str:
    """The contract's kty for *value*, in its `-HSM` form where *hsm*. Raises a refusal on any other."""
    kty = KINDS.get(str(value).lower())
    if kty is None:
        raise bad_parameter(f"Property kty has invalid value. Supported values are {', '.join(KINDS.values())}.")
    return f"{kty}-HSM" if hsm and not kty.endswith("-HSM") else kty


def import_jwk(jwk: Mapping[str, Any], *, hsm: bool) -> KeyMaterial:
    """The private or symmetric key in a caller's *jwk*, checked whole: its parts must belong together.

    Raises a refusal (400 BadParameter) that says what is missing or amiss and repeats no part of the key.
    """
    kty = kind_of(jwk.get("kty"), hsm=hsm)
    match kty.removesuffix("-HSM"):
        case "RSA":
            private: PrivateKey = _rsa_private(jwk)
        case "EC":
            private = _ec_private(jwk)
        case _:
            private = _part(jwk, "k")
            _sized(len(private) * 8, OCT_SIZES)
    return KeyMaterial(kty, private)


def _rsa_private(jwk: Mapping[str, Any]) -> rsa.RSAPrivateKey:
    n, e, d, p, q = (int.from_bytes(_part(jwk, name)) for name in ("n", "e", "d", "p", "q"))
    _sized(n.bit_length(), RSA_SIZES)
    try:
        dp = _number(jwk, "dp") or rsa.rsa_crt_dmp1(d, p)
        dq = _number(jwk, "dq") or rsa.rsa_crt_dmq1(d, q)
        qi = _number(jwk, "qi") or rsa.rsa_crt_iqmp(p, q)
        return rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, rsa.RSAPublicNumbers(e, n)).private_key()
    except (ValueError, ZeroDivisionError):
        raise bad_parameter("The RSA key is not valid: its parts do not belong together.") from None


def _ec_private(jwk: Mapping[str, Any]) -> ec.EllipticCurvePrivateKey:
    curve = _curve(jwk.get("crv"))
    x, y, d = (int.from_bytes(_part(jwk, name)) for name in ("x", "y", "d"))
    try:
        return ec.EllipticCurvePrivateNumbers(d, ec.EllipticCurvePublicNumbers(x, y, curve)).private_key()
    except ValueError:
        raise bad_parameter("The EC key is not valid: its parts do not belong together.") from None


def _curve(name: object) -> ec.EllipticCurve:
    curve = CURVES.get(str(name))
    if curve is None:
        raise bad_parameter(f"Property crv has invalid value. Supported values are {', '.join(CURVES)}.")
    return curve()


def _sized(bits: int, allowed: tuple[int, ...]) -> int:
    if bits not in allowed:
        raise bad_parameter(f"Property key_size has invalid value {bits}. Supported values are {allowed}.")
    return bits


def _part(jwk: Mapping[str, Any], name: str) -> bytes:
    value = jwk.get(name)
    if not value:
        raise bad_parameter(f"Property key.{name} is missing: a private or symmetric key is needed for an import.")
    try:
        return decode(str(value))
    except ValueError:
        raise bad_parameter(f"Property key.{name} is not a base64url string.") from None


def _number(jwk: Mapping[str, Any], name: str) -> int | None:
    return int.from_bytes(_part(jwk, name)) if jwk.get(name) else None


def _encoded(number: int, width: int | None = None) -> str:
    return encode(number.to_bytes(width or (number.bit_length() + 7) // 8))
