"""The stand-in for Azure Key Vault with its login: one process, `python -m replica.keyvault`, over TLS.

Applications log in with secrets of the replica's own. The key `tenants`, which wraps tenants' master keys, the key
`evidence`, which signs the checkpoints of evidence, and the keys of AI providers are put here, as an operator would do in Azure.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http
import http.client
import json
import os
import ssl
import tempfile
import time
import urllib.parse
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from replica.errors import DidNotStart
from replica.keyvault import configuration
from replica.keyvault.assignments import assignments
from replica.server import NotReady, Place, Program, Server, python
from replica.servers.provider_keys import VaultSecret, vault_secrets
from replica.state import checkout

KEK = "tenants"
SIGNING = "evidence"
# Nothing else is asked of them, so they permit nothing else.
_KEYS: Mapping[str, dict[str, Any]] = {
    KEK: {"kty": "RSA", "key_size": 3072, "key_ops": ["wrapKey", "unwrapKey"]},
    SIGNING: {"kty": "EC", "crv": "P-256", "key_ops": ["sign", "verify"]},
}
_API_VERSION = "7.6"
_STEWARD, _SECRETS = "Steward Rotator", "Steward Secrets Rotator"
_VAULTS = "Microsoft.KeyVault/vaults"

#: Who may log in, with Azure's built-in roles and two of the replica's own.
PRINCIPALS: Mapping[str, list[str]] = {
    "administrator": ["Key Vault Administrator"],
    "steward": [_STEWARD, _SECRETS],
    "application": ["Key Vault Crypto Service Encryption User"],
    "auditor": ["Key Vault Reader"],
}
# All that a Crypto Officer may, but for purging: no rotation ever destroys what it could still need.
_CUSTOM_ROLES = {
    _STEWARD: {
        "data_actions": [f"{_VAULTS}/keys/*", f"{_VAULTS}/keyrotationpolicies/*"],
        "not_data_actions": [f"{_VAULTS}/keys/purge/action"],
    },
    # What rotating a secret takes: read, set, tag and disable versions, put away. Neither purged nor carried off in a backup.
    _SECRETS: {
        "data_actions": [
            f"{_VAULTS}/secrets/{each}"
            for each in ("getSecret/action", "readMetadata/action", "setSecret/action", "update/action", "delete")
        ]
    },
}
# The directory's names for tenant, subscription, applications: no secrets, so the same in every replica.
_DIRECTORY = uuid.uuid5(uuid.NAMESPACE_DNS, "directory.replica.steward.invalid")
# As in Azure, where they take some seconds: who does not wait for a deletion to come through is to find out here.
_TRANSITION_SECONDS = 1.0
# Two exchanges are one probe, which has 5 s.
_ANSWER_SECONDS = 2.4
# Searching for primes takes a tenth of a second, or several where four Elasticsearch nodes start beside it.
_CREATE_SECONDS = 30.0
# Three times as long as the vault counts requests.
_THROTTLED_SECONDS, _POLL_SECONDS = 30.0, 0.5


class KeyVault(Server):
    """Vault and login on ports of their own."""

    name = "keyvault"
    port_names = ("vault", "login")
    client_ports = ("vault", "login")
    ready_seconds = 60

    def prepare(self, place: Place) -> None:
        """Certificate, clients' secrets, configuration; and who has which role, as an operator would export it."""
        folder = place.folder(self.name)
        folder.mkdir(mode=0o700, exist_ok=True)
        _replace(_configuration_file(place), tomli_w.dumps(_configuration(place)))
        assigned = assignments(configuration.load(_configuration_file(place)))
        _replace(_assignments_file(place), json.dumps(assigned, indent=2) + "\n")

    def program(self, place: Place) -> Program:
        """The configuration's address is all that the command shows; with another content it is started anew."""
        configuration = _configuration_file(place)
        command = [python(), "-m", "replica.keyvault", str(configuration)]
        content = hashlib.sha256(configuration.read_bytes()).hexdigest()
        return Program(command, {"STEWARD_KEYVAULT_CONFIGURATION": content}, directory=checkout(), stop_seconds=10)

    def probe(self, place: Place) -> str:
        """A login and an authorised read of the store: the issuer signs, the vault believes it, the disk answers."""
        try:
            status, answer = _ask(place, "GET", "/keys")
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise NotReady(f"{type(error).__name__}: {error}") from None
        if status == http.HTTPStatus.TOO_MANY_REQUESTS:
            # It works as it ought to: others ask for all that it allows.
            return "Key Vault stand-in, throttling"
        if status != http.HTTPStatus.OK:
            raise NotReady(f"/keys answered {status}: {json.dumps(answer)[:200]}")
        return f"Key Vault stand-in, {len(answer['value'])} keys"

    def settle(self, place: Place) -> None:
        """The keys, unless they are there; and the public half of the one that signs, as an operator would publish it.

        Providers' keys once and for all: which are rotated, taken or deleted after that is not for `up` to say.
        """
        for name in _KEYS:
            self._have_key(place, name)
        *_, last = secrets = [*vault_secrets(place)]
        if _ask_patiently(place, "GET", f"/secrets/{last.name}")[0] == http.HTTPStatus.NOT_FOUND:
            for secret in secrets:
                self._put(place, secret)
        _, answer = _ask_patiently(place, "GET", f"/keys/{SIGNING}")
        _publish(_public_pem(answer["key"]), _published_file(place))

    def _have_key(self, place: Place, name: str) -> None:
        status, _ = _ask_patiently(place, "GET", f"/keys/{name}")
        if status == http.HTTPStatus.NOT_FOUND:
            status, answer = _send(place, "POST", f"/keys/{name}/create", _KEYS[name], seconds=_CREATE_SECONDS)
            if status != http.HTTPStatus.OK:
                raise DidNotStart(self.name, f"creating key {name} answered {status}: {json.dumps(answer)[:200]}")

    def _put(self, place: Place, secret: VaultSecret) -> None:
        status, _ = _send(place, "PUT", f"/secrets/{secret.name}", secret.body())
        if status != http.HTTPStatus.OK:
            raise DidNotStart(self.name, f"putting secret {secret.name} answered {status}")

    def settings(self, place: Place) -> Mapping[str, Any]:
        """The vault as Steward itself reaches it, and the key in it that signs evidence's checkpoints."""
        return {
            "evidence": {"checkpoint_key": SIGNING, "checkpoint_public_keys": str(_published_file(place))},
            "vault": {
                "url": f"https://127.0.0.1:{place.client_port(self.name, 'vault')}",
                "authority": f"https://127.0.0.1:{place.client_port(self.name, 'login')}",
                "tenant": tenant(),
                "client_id": client_id("steward"),
                "client_secret": place.secret_ref(client_secret("steward")),
                "ca_file": str(place.ca_file),
                # Loopback is no part of vault.azure.net.
                "verify_challenge_resource": False,
            },
            "audit": {
                "role_assignments": str(_assignments_file(place)),
                "vault_log": str(self.data(place) / "audit.log"),
            },
        }

    def data(self, place: Place) -> Path:
        """The store, the audit log, the keys of issuer and seal."""
        return place.folder(self.name) / "vault"


def client_id(principal: str) -> str:
    """The application's identifier, as its settings name it."""
    return str(uuid.uuid5(_DIRECTORY, f"application {principal}"))


def client_secret(principal: str) -> str:
    """Under what name the replica keeps the application's secret: `place.secret(…)`."""
    return f"keyvault.{principal}"


def tenant() -> str:
    """The directory's identifier."""
    return str(uuid.uuid5(_DIRECTORY, "tenant"))


def _configuration_file(place: Place) -> Path:
    return place.folder(KeyVault.name) / "keyvault.toml"


def _assignments_file(place: Place) -> Path:
    return place.folder(KeyVault.name) / "role-assignments.json"


def _configuration(place: Place) -> dict[str, Any]:
    certificate, key = place.certificate(KeyVault.name)
    return {
        "folder": str(KeyVault().data(place)),
        "vault_port": place.port(KeyVault.name, "vault"),
        "login_port": place.port(KeyVault.name, "login"),
        "certificate": str(certificate),
        "certificate_key": str(key),
        "tenant": tenant(),
        "subscription": str(uuid.uuid5(_DIRECTORY, "subscription")),
        "name": "replica",
        "transition_seconds": _TRANSITION_SECONDS,
        "principals": [_principal(place, name, roles) for name, roles in PRINCIPALS.items()],
        "custom_roles": _CUSTOM_ROLES,
    }


def _principal(place: Place, name: str, roles: list[str]) -> dict[str, Any]:
    return {
        "name": name,
        "client_id": client_id(name),
        "object_id": str(uuid.uuid5(_DIRECTORY, f"object {name}")),
        "secret_file": place.secret_ref(client_secret(name)).removeprefix("file:"),
        "roles": roles,
    }


def _ask(place: Place, method: str, path: str) -> tuple[int, Any]:
    """(status, answer) of the vault's own port, as the administrator."""
    headers = {"Authorization": f"Bearer {_login(place)}"}
    with _connection(place, "vault") as connection:
        connection.request(method, f"{path}?api-version={_API_VERSION}", headers=headers)
        return _answer(connection)


def _ask_patiently(place: Place, method: str, path: str) -> tuple[int, Any]:
    """The answer to what may be asked again, once others let the vault serve it. DidNotStart where they do not."""
    until = time.monotonic() + _THROTTLED_SECONDS
    while True:
        status, answer = _ask(place, method, path)
        if status != http.HTTPStatus.TOO_MANY_REQUESTS:
            return status, answer
        if time.monotonic() > until:
            # Not the 429 itself: whoever asks whether a key is there would take it for one that is.
            raise DidNotStart(KeyVault.name, f"{path} is still throttled after {_THROTTLED_SECONDS:.0f} s")
        time.sleep(_POLL_SECONDS)


def _send(
    place: Place, method: str, path: str, body: Mapping[str, Any], *, seconds: float = _ANSWER_SECONDS
) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {_login(place)}", "Content-Type": "application/json"}
    with _connection(place, "vault", seconds=seconds) as connection:
        connection.request(method, f"{path}?api-version={_API_VERSION}", json.dumps(body), headers)
        return _answer(connection)


def _published_file(place: Place) -> Path:
    return place.state / "keys" / "checkpoints.pub"


def _public_pem(jwk: Mapping[str, str]) -> bytes:
    """RFC 7518, 6.2.1: base64url of big-endian numbers, unpadded."""
    x, y = (int.from_bytes(base64.urlsafe_b64decode(jwk[name] + "==")) for name in ("x", "y"))
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _publish(pem: bytes, path: Path) -> None:
    """Beside those of earlier versions, whose signatures are to be verified too."""
    published = path.read_bytes() if path.exists() else b""
    if pem not in published:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        _replace(path, (published + pem).decode())


def _login(place: Place) -> str:
    form = {
        "grant_type": "client_credentials",
        "client_id": client_id("administrator"),
        "client_secret": place.secret(client_secret("administrator")),
        "scope": "https://vault.azure.net/.default",
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    with _connection(place, "login") as connection:
        connection.request("POST", f"/{tenant()}/oauth2/v2.0/token", urllib.parse.urlencode(form), headers)
        status, answer = _answer(connection)
    if status != http.HTTPStatus.OK:
        raise ValueError(f"the login answered {status}: {answer.get('error_description', '')}")
    return str(answer["access_token"])


def _connection(
    place: Place, port: str, *, seconds: float = _ANSWER_SECONDS
) -> contextlib.closing[http.client.HTTPSConnection]:
    context = ssl.create_default_context(cafile=str(place.ca_file))
    number = place.port(KeyVault.name, port)
    return contextlib.closing(http.client.HTTPSConnection("127.0.0.1", number, timeout=seconds, context=context))


def _answer(connection: http.client.HTTPSConnection) -> tuple[int, Any]:
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def _replace(path: Path, text: str) -> None:
    """Whole or not at all, 0600."""
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    Path(beside).replace(path)
