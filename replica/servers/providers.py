"""The twins of OpenAI and Anthropic: one process, `python -m replica.providers serve`, plain HTTP on loopback.

Who may come in: `openai-main` with one key, and its administration, which makes more; `anthropic-main` with a pool of three
keys, for Anthropic's API makes none.
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

from replica.server import NotReady, Place, Program, Server, python
from replica.state import checkout

TOKEN = "providers.twin"  # noqa: S105 -- the name of a secret
SEED = 1
OPENAI, ANTHROPIC = "openai-main", "anthropic-main"
PROJECT, WORKSPACE = "proj_platform", "wrkspc_platform"
#: By account: the keys that it begins with. The secret of KEY is the replica's `providers.KEY`.
KEYS: Mapping[str, list[str]] = {OPENAI: ["key_platform_1"], ANTHROPIC: [f"apikey_platform_{n}" for n in (1, 2, 3)]}
# A middling tier of each: enough for a demonstration, little enough for a drill to reach.
_LIMITS: Mapping[str, list[dict[str, Any]]] = {
    OPENAI: [
        {"model": "*", "requests": 10_000, "tokens": 2_000_000},
        {"model": "text-embedding-3-small", "requests": 10_000, "tokens": 5_000_000},
    ],
    ANTHROPIC: [{"model": "*", "requests": 4_000, "input_tokens": 2_000_000, "output_tokens": 400_000}],
}
_ANSWER_SECONDS = 4


class Providers(Server):
    """Both twins, and the listener by which tests look behind them. `provider_keys` tells settings of them."""

    name = "providers"
    port_names = ("openai", "anthropic", "admin")
    client_ports = ("openai", "anthropic")
    ready_seconds = 60

    def prepare(self, place: Place) -> None:
        """Secrets, configuration, and what clients need to know."""
        folder = place.folder(self.name)
        folder.mkdir(mode=0o700, exist_ok=True)
        _replace(_configuration_file(place), tomli_w.dumps(_configuration(place)))
        _replace(clients_file(place), json.dumps(_clients(place), indent=2) + "\n")

    def program(self, place: Place) -> Program:
        """The configuration's address is all that the command shows; with another content it is started anew."""
        configuration = _configuration_file(place)
        command = [python(), "-m", "replica.providers", "serve", str(configuration)]
        content = hashlib.sha256(configuration.read_bytes()).hexdigest()
        return Program(command, {"STEWARD_PROVIDERS_CONFIGURATION": content}, directory=checkout(), stop_seconds=10)

    def probe(self, place: Place) -> str:
        """Its own record answers, and both providers tell their administrations the limits: other keys may be rotated away."""
        token = place.secret(TOKEN)
        health = _ask(place, "admin", "/admin/health", {"authorization": f"Bearer {token}"})
        administration = {"authorization": f"Bearer {admin_key(place, OPENAI)}"}
        _ask(place, "openai", f"/v1/organization/projects/{PROJECT}/rate_limits", administration)
        administration = {"x-api-key": admin_key(place, ANTHROPIC), "anthropic-version": "2023-06-01"}
        _ask(place, "anthropic", "/v1/organizations/rate_limits", administration)
        return f"twins of OpenAI and Anthropic, {health['attempts']} attempts on record"

    def data(self, place: Place) -> Path:
        """The record of what came in."""
        return place.folder(self.name) / "twins"


def clients_file(place: Place) -> Path:
    """Addresses and references of keys, as JSON: what a client of the twins needs."""
    return place.folder(Providers.name) / "clients.json"


def key(place: Place, account: str, number: int = 0) -> str:
    """The secret of an account's key."""
    return place.secret(f"providers.{KEYS[account][number]}")


def admin_key(place: Place, account: str) -> str:
    """The secret of an account's administration."""
    return place.secret(admin_secret(account))


def admin_secret(account: str) -> str:
    """Under what name the replica keeps it."""
    return f"providers.{account}.admin"


def url(place: Place, port: str) -> str:
    """Without the `/v1` that OpenAI's SDK wants behind it."""
    number = place.port(Providers.name, port) if port == "admin" else place.client_port(Providers.name, port)
    return f"http://127.0.0.1:{number}"


def _configuration_file(place: Place) -> Path:
    return place.folder(Providers.name) / "providers.toml"


def _configuration(place: Place) -> dict[str, Any]:
    return {
        "folder": str(Providers().data(place)),
        "openai_port": place.port(Providers.name, "openai"),
        "anthropic_port": place.port(Providers.name, "anthropic"),
        "admin_port": place.port(Providers.name, "admin"),
        "admin_token_file": _file(place, TOKEN),
        "seed": SEED,
        "accounts": [
            _account(place, OPENAI, "openai", "org-platform", PROJECT, reserves_output=True),
            _account(place, ANTHROPIC, "anthropic", "6f1f7c1e-platform", WORKSPACE, reserves_output=False),
        ],
    }


def _account(
    place: Place, name: str, provider: str, organization: str, project: str, *, reserves_output: bool
) -> dict[str, Any]:
    keys = [{"id": each, "secret_file": _file(place, f"providers.{each}"), "project": project} for each in KEYS[name]]
    return {
        "name": name,
        "provider": provider,
        "organization": organization,
        "admin_key_file": _file(place, admin_secret(name)),
        "reserves_output": reserves_output,
        "keys": keys,
        "limits": _LIMITS[name],
    }


def _clients(place: Place) -> dict[str, Any]:
    def account(name: str, project: str) -> dict[str, Any]:
        keys = {each: place.secret_ref(f"providers.{each}") for each in KEYS[name]}
        return {"project": project, "keys": keys, "admin_key": place.secret_ref(admin_secret(name))}

    return {
        "openai": {"url": url(place, "openai"), "accounts": {OPENAI: account(OPENAI, PROJECT)}},
        "anthropic": {"url": url(place, "anthropic"), "accounts": {ANTHROPIC: account(ANTHROPIC, WORKSPACE)}},
        "admin": {"url": url(place, "admin"), "token": place.secret_ref(TOKEN)},
    }


def _file(place: Place, secret: str) -> str:
    return place.secret_ref(secret).removeprefix("file:")


def _ask(place: Place, port: str, path: str, headers: Mapping[str, str]) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", place.port(Providers.name, port), timeout=_ANSWER_SECONDS / 3)
    try:
        connection.request("GET", path, headers=dict(headers))
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise NotReady(f"{port}{path}: {type(error).__name__}: {error}") from None
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        raise NotReady(f"{port}{path} answered {answer.status}")
    return json.loads(content)


def _replace(path: Path, text: str) -> None:
    """Whole or not at all, 0600."""
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    Path(beside).replace(path)
