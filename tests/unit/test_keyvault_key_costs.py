"""What a request about a key counts as against the limits, by the kind and size of the key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from replica.keyvault import key_costs, keys
from replica.keyvault.limits import KEY_LISTING, key_create, key_other
from replica.keyvault.operations import Caller, Request
from replica.keyvault.sealing import Seal
from replica.keyvault.store import Store


@dataclass(frozen=True)
class Parts:
    store: Store
    seal: Seal
    retention_days: int = 90


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return Parts(Store(tmp_path / "vault.db"), Seal(tmp_path / "seal.key", "a subscription"))


def request(parts: Parts | None, name: str = "k", version: str = "", **body: Any) -> Request:
    caller = Caller("administrator", "app", "object")
    return Request(caller, parts, "https://vault.example", f"/keys/{name}", name, version, {}, body)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("body", "shape", "hsm"),
    [
        ({"kty": "RSA"}, "RSA 2048", False),
        ({"kty": "RSA", "key_size": 3072}, "RSA 3072", False),
        ({"kty": "RSA-HSM", "key_size": 4096}, "RSA 4096", True),
        ({"kty": "rsa-hsm"}, "RSA 2048", True),
        ({"kty": "EC"}, "EC P-256", False),
        ({"kty": "EC-HSM", "crv": "P-521"}, "EC P-521", True),
        ({"kty": "oct-HSM"}, "oct 256", True),
        ({"kty": ["nonsense"], "key_size": {}}, "", False),
        ({}, "", False),
    ],
)
def test_a_creation_costs_by_what_is_asked_for(body, shape, hsm):
    assert key_costs.creating(request(None, **body)) == key_create(shape, hsm=hsm)


@pytest.mark.parametrize(
    ("key", "more", "shape", "hsm"),
    [
        ({"kty": "RSA", "n": "A" * 342}, {}, "RSA 2048", False),
        ({"kty": "RSA", "n": "A" * 512}, {"Hsm": True}, "RSA 3072", True),
        ({"kty": "EC-HSM", "crv": "P-384"}, {}, "EC P-384", True),
        ({"kty": "oct", "k": "A" * 43}, {}, "oct 256", False),
        ("no key", {}, "", False),
        (None, {}, "", False),
    ],
)
def test_an_import_costs_by_the_key_that_comes(key, more, shape, hsm):
    assert key_costs.importing(request(None, key=key, **more)) == key_create(shape, hsm=hsm)


@pytest.mark.parametrize(
    ("body", "shape", "hsm"),
    [
        ({"kty": "RSA-HSM", "key_size": 3072}, "RSA 3072", True),
        ({"kty": "EC", "crv": "P-384"}, "EC P-384", False),
        ({"kty": "oct", "key_size": 128}, "oct 128", False),
    ],
)
def test_using_and_rotating_cost_by_the_version_that_is_there(parts, body, shape, hsm):
    keys.create_key(request(parts, **body))
    assert key_costs.using(request(parts)) == key_other(shape, hsm=hsm)
    assert key_costs.rotating(request(parts)) == key_create(shape, hsm=hsm)


def test_an_old_version_costs_by_its_own_kind(parts):
    kid = keys.create_key(request(parts, kty="RSA", key_size=4096))["key"]["kid"]
    keys.create_key(request(parts, kty="EC"))
    assert key_costs.using(request(parts, version=kid.rsplit("/", 1)[1])) == key_other("RSA 4096", hsm=False)
    assert key_costs.using(request(parts)) == key_other("EC P-256", hsm=False)


def test_what_does_not_exist_costs_the_mildest(parts):
    assert key_costs.using(request(parts, "unknown")) == KEY_LISTING
    assert key_costs.rotating(request(parts, "unknown")) == key_create("", hsm=False)
