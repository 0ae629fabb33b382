"""Tokens: RS256-signed JWTs with the claims of Entra ID's tokens for applications, issued and checked.

The checker knows the issuer by its JWKS document alone, and no algorithm but RS256.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from replica.keyvault.configuration import Principal
from replica.keyvault.errors import Refusal
from replica.secrets import place_once

VAULT_RESOURCE = "https://vault.azure.net"
_ALGORITHM = "RS256"
_KEY_BITS = 2048


class Issuer:
    """Signs for one tenant with the key in *path* (0600), made on first use."""

    def __init__(self, path: Path, name: str, tenant: str) -> None:
        if not path.exists():
            place_once(path, _new_key())
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError(f"{path} holds a {type(key).__name__}, expected an RSA key")
        self._key, self.name, self.tenant = key, name, tenant

    def jwks(self) -> dict[str, Any]:
        """The public key, as the login's discovery answers it."""
        public: Mapping[str, Any] = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [{**public, "kid": self._kid(), "use": "sig", "alg": _ALGORITHM, "issuer": self.name}]}

    def issue(self, principal: Principal, audience: str) -> str:
        """A token for *principal*, good for its `token_seconds` from now."""
        now = int(time.time())
        claims = {
            "aud": audience,
            "iss": self.name,
            "iat": now,
            "nbf": now,
            "exp": now + principal.token_seconds,
            "appid": principal.client_id,
            "appidacr": "1",
            "idp": self.name,
            "idtyp": "app",
            "oid": principal.object_id,
            "sub": principal.object_id,
            "tid": self.tenant,
            "uti": uuid.uuid4().hex,
            "ver": "1.0",
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM, headers={"kid": self._kid()})

    def _kid(self) -> str:
        numbers = self._key.public_key().public_numbers()
        return hashlib.sha256(json.dumps([numbers.n, numbers.e]).encode()).hexdigest()[:32]


class Checker:
    """Tells sound tokens of *issuer* for this vault from all others."""

    def __init__(self, jwks: Mapping[str, Any], issuer: str) -> None:
        self._keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(dict(jwks)).keys}
        self._issuer = issuer

    def check(self, token: str) -> tuple[str, str]:
        """(appid, oid) of the token; Refusal 401 with Azure's code for what is wrong with it."""
        try:
            claims = jwt.decode(
                token,
                self._key(token),
                algorithms=[_ALGORITHM],
                audience=VAULT_RESOURCE,
                issuer=self._issuer,
                options={"require": ["aud", "iss", "iat", "nbf", "exp", "appid", "oid"], "strict_aud": True},
            )
        except jwt.InvalidAudienceError:
            raise unauthorized(f"AKV10022: Invalid audience. Expected {VAULT_RESOURCE}") from None
        except jwt.InvalidIssuerError:
            raise unauthorized(f"AKV10032: Invalid issuer. Expected one of {self._issuer}") from None
        except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError):
            raise unauthorized("Error validating token: IDX10223") from None
        except jwt.PyJWTError:
            raise unauthorized("Error validating token: IDX10511") from None
        return str(claims["appid"]), str(claims["oid"])

    def _key(self, token: str) -> jwt.PyJWK:
        key = self._keys.get(jwt.get_unverified_header(token).get("kid"))
        if key is None:
            raise unauthorized("AKV10046: Unable to resolve the key used for signature validation.")
        return key


def unauthorized(message: str) -> Refusal:
    """401; whoever answers it adds the challenge."""
    return Refusal(401, "Unauthorized", message)


def _new_key() -> bytes:
    return rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
