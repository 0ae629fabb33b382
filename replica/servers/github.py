"""The stand-in for GitHub: one repository with a webhook that tells the receiver, `python -m replica.github`.

It may be asked with a token, or as the App: both are in the replica's secrets.
"""

from __future__ import annotations

import hashlib
import http
import http.client
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from replica.secrets import place_once
from replica.server import NotReady, Place, Program, Server, python
from replica.servers.webhooks import GITHUB, Webhooks
from replica.state import checkout

REPOSITORY, HOOK = "example/shop", 109948940
APP, INSTALLATION = 417, 31337
TOKEN, ADMIN, APP_KEY = "github.token", "github.admin", "github.app"
"""Under what names the replica keeps its secrets."""
_ANSWER_SECONDS = 3


class GitHub(Server):
    """API and admin port."""

    name = "github"
    port_names = ("api", "admin")
    client_ports = ("api",)
    # Only what is about webhooks has anything to do with it.
    by_default = False
    ready_seconds = 60

    def prepare(self, place: Place) -> None:
        """Secrets and configuration. The App's public half is all of its key that the stand-in is given."""
        folder = place.folder(self.name)
        folder.mkdir(mode=0o700, exist_ok=True)
        _have_key(place)
        _replace(_configuration_file(place), tomli_w.dumps(_configuration(place)))

    def program(self, place: Place) -> Program:
        """The configuration's address is all that the command shows; with another content it is started anew."""
        configuration = _configuration_file(place)
        content = hashlib.sha256(configuration.read_bytes()).hexdigest()
        return Program(
            [python(), "-m", "replica.github", str(configuration)],
            {"STEWARD_GITHUB_CONFIGURATION": content},
            directory=checkout(),
            stop_seconds=10,
        )

    def probe(self, place: Place) -> str:
        """It answers on both ports, to whom it ought to. Not by the API's own counts: a test may have turned its dials."""
        status, told = _ask(place, "/dials")
        if status != http.HTTPStatus.OK:
            raise NotReady(f"/dials answered {status}")
        return "GitHub stand-in" + (", dials turned" if any(told.values()) else "")

    def settings(self, place: Place) -> Mapping[str, Any]:
        """How to ask it, beside how it signs."""
        api = {
            "url": f"http://127.0.0.1:{place.client_port(self.name, 'api')}",
            "repository": REPOSITORY,
            "hook": HOOK,
            "token": place.secret_ref(TOKEN),
        }
        # The rest of the same tables is the receiver's to tell, and it is told whether that is started or not.
        return {
            "webhooks": {
                "url": f"http://127.0.0.1:{place.client_port(Webhooks.name, 'http')}",
                "sources": {"github": {"kind": "github", "secrets": [place.secret_ref(GITHUB)], "api": api}},
            }
        }


def app_key_ref(place: Place) -> str:
    """Of the App's private key, for a client that asks as the App."""
    _have_key(place)
    return f"file:{_key_file(place)}"


def admin(place: Place) -> tuple[str, str]:
    """(url, token) of the port by which tests look behind it."""
    return f"http://127.0.0.1:{place.port(GitHub.name, 'admin')}", place.secret(ADMIN)


def _configuration_file(place: Place) -> Path:
    return place.folder(GitHub.name) / "github.toml"


def _key_file(place: Place) -> Path:
    return place.state / "secrets" / APP_KEY


def _have_key(place: Place) -> None:
    path = _key_file(place)
    if not path.exists():
        # Whoever makes the first secret makes the folder.
        place.secret(TOKEN)
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        place_once(path, pem)


def _configuration(place: Place) -> dict[str, Any]:
    private = serialization.load_pem_private_key(_key_file(place).read_bytes(), password=None)
    public = place.folder(GitHub.name) / "app.pub"
    pem = private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    _replace(public, pem.decode())
    return {
        "folder": str(place.folder(GitHub.name)),
        "api_port": place.port(GitHub.name, "api"),
        "admin_port": place.port(GitHub.name, "admin"),
        "admin_token_file": _file(place, ADMIN),
        "repository": REPOSITORY,
        "token_file": _file(place, TOKEN),
        "app": APP,
        "installation": INSTALLATION,
        "app_public_key": str(public),
        "hook": HOOK,
        "hook_url": f"http://127.0.0.1:{place.client_port(Webhooks.name, 'http')}/webhooks/github",
        "hook_secret_file": _file(place, GITHUB),
    }


def _file(place: Place, name: str) -> str:
    return place.secret_ref(name).removeprefix("file:")


def _ask(place: Place, path: str) -> tuple[int, dict[str, Any]]:
    _, token = admin(place)
    connection = http.client.HTTPConnection("127.0.0.1", place.port(GitHub.name, "admin"), timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", path, headers={"authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotReady(f"{path}: {type(error).__name__}: {error}") from None
    finally:
        connection.close()


def _replace(path: Path, text: str) -> None:
    """Whole or not at all, 0600."""
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    Path(beside).replace(path)
