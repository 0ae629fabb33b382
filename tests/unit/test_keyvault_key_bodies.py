"""Whatever JSON comes as the body of a request about keys, it is answered or refused, and never stumbled over."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replica.keyvault import keys
from replica.keyvault.errors import Refusal
from replica.keyvault.operations import Caller, Operation, Request
from replica.keyvault.sealing import Seal
from replica.keyvault.store import Store

OPERATIONS = {operation.audit: operation for operation in keys.OPERATIONS}
WITH_BODY = [name for name, operation in OPERATIONS.items() if operation.method in {"POST", "PUT", "PATCH"}]

scraps = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5000) | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)
texts = st.text(alphabet="AQab_-0", max_size=48)
words = st.sampled_from(
    ["encrypt", "sign", "export", "A256GCM", "A256KW", "A256CBC", "HS256", "ES256", "RSA-OAEP", "P7D"]
)
keys_given = st.fixed_dictionaries(
    {},
    optional={
        "kty": st.sampled_from(["RSA", "EC", "oct", "oct-HSM"]) | scraps,
        "crv": st.sampled_from(["P-256", "P-521"]) | scraps,
        **dict.fromkeys(("n", "e", "d", "p", "q", "dp", "dq", "qi", "x", "y", "k", "key_ops"), texts | scraps),
    },
)
actions = st.fixed_dictionaries(
    {},
    optional={
        "action": st.fixed_dictionaries({}, optional={"type": st.sampled_from(["Rotate", "Notify"]) | scraps}) | scraps,
        "trigger": st.dictionaries(st.sampled_from(["timeAfterCreate", "timeBeforeExpiry"]), words | scraps) | scraps,
    },
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        # No RSA: each would take a tenth of a second.
        "kty": st.sampled_from(["EC", "EC-HSM", "oct"]) | scraps,
        "alg": words | scraps,
        "key_ops": st.lists(words | scraps, max_size=3) | scraps,
        "attributes": st.dictionaries(st.sampled_from(["enabled", "nbf", "exp", "exportable", "expiryTime"]), scraps)
        | scraps,
        "lifetimeActions": st.lists(actions | scraps, max_size=3) | scraps,
        "key": keys_given | scraps,
        **dict.fromkeys(("value", "digest", "iv", "tag", "aad"), texts | scraps),
        **dict.fromkeys(("key_size", "crv", "public_exponent", "tags", "count", "Hsm", "release_policy"), scraps),
    },
)


@dataclass(frozen=True)
class Parts:
    store: Store
    seal: Seal
    retention_days: int = 90


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    folder: Path = tmp_path_factory.mktemp("vault")
    made = Parts(Store(folder / "vault.db"), Seal(folder / "seal.key", "a subscription"))
    for name in ("oct", "EC", "RSA"):
        handle(made, OPERATIONS["KeyCreate"], name, {"kty": name})
    return made


def handle(parts: Parts, operation: Operation, name: str, body: dict[str, Any]) -> None:
    caller = Caller("administrator", "app", "object")
    path = operation.path.replace("{name}", name).replace("/{version}", "")
    request = Request(caller, parts, "https://vault.example", path, name, "", {"api-version": "7.6"}, body)
    if callable(operation.transaction):
        operation.transaction(request)
    operation.handler(request)


@pytest.mark.parametrize("audit", WITH_BODY)
@settings(max_examples=25, deadline=None)
@given(name=st.sampled_from(["oct", "EC", "RSA"]), body=bodies)
def test_any_body_is_answered_or_refused(parts, audit, name, body):
    # Changes go to a key of their own, so that those that are used stay as they were made.
    name = "changed" if audit in {"KeyUpdate", "KeyCreate", "KeyImport", "KeyRotate", "KeyRotationPolicySet"} else name
    with contextlib.suppress(Refusal):
        handle(parts, OPERATIONS[audit], name, body)
