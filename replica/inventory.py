"""What the replica tells its users: a settings file, a shell file, and the keys that evidence is signed with."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import tomli_w
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from replica.secrets import place_once
from replica.server import Place, Server
from replica.servers.prefect import api_url, auth_string
from replica.supervision import QUIET


def settings_file(place: Place) -> Path:
    """The file that STEWARD_SETTINGS names."""
    return place.state / "settings.toml"


def environment_file(place: Place) -> Path:
    """A file for a shell's `.`: all that a client of the replica needs. 0600, for it holds Prefect's password."""
    return place.state / "environment"


def environment(place: Place) -> dict[str, str]:
    """The same as a mapping, for a process that tests or demos start.

    With the replica's own authority for Prefect's clients: each that is opened reads it, and the whole world's take 40 ms.
    """
    return {
        **QUIET,
        "STEWARD_SETTINGS": str(settings_file(place)),
        "PREFECT_API_URL": api_url(place),
        "PREFECT_API_AUTH_STRING": auth_string(place),
        "PREFECT_API_SSL_CERT_FILE": str(place.ca_file),
    }


def write(place: Place, servers: Iterable[Server]) -> None:
    """Write both files and the keys; files that already say the same stay untouched."""
    merged: dict[str, Any] = {"evidence": _evidence(place)}
    for server in servers:
        merged = _merge(merged, server.settings(place))
    _replace(settings_file(place), "# Written by `python -m replica up`.\n" + tomli_w.dumps(merged))
    lines = [f"export {name}='{value}'" for name, value in environment(place).items()]
    _replace(environment_file(place), "\n".join(lines) + "\n")


def _evidence(place: Place) -> dict[str, Any]:
    folder = place.state / "keys"
    folder.mkdir(mode=0o700, exist_ok=True)
    private, public = folder / "evidence.key", folder / "evidence.pub"
    if not private.exists():
        place_once(private, _private_pem(Ed25519PrivateKey.generate()))
    if not public.exists():
        place_once(public, _public_pem(private.read_bytes()))
    # One day: what tests lock must not outlive them by a year on a developer's disk.
    return {"signing_key": f"file:{private}", "public_key": str(public), "lock_days": 1}


def _private_pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _public_pem(private: bytes) -> bytes:
    key = serialization.load_pem_private_key(private, password=None)
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _merge(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Tables merge, lists join, anything else of *other* wins."""
    merged = dict(one)
    for key, value in other.items():
        before = merged.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            merged[key] = _merge(cast("Mapping[str, Any]", before), cast("Mapping[str, Any]", value))
        elif isinstance(before, list) and isinstance(value, list):
            merged[key] = [*before, *(item for item in cast("list[Any]", value) if item not in before)]
        else:
            merged[key] = value
    return merged


def _replace(path: Path, text: str) -> None:
    if path.exists() and path.read_text() == text:
        return
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    Path(beside).replace(path)
