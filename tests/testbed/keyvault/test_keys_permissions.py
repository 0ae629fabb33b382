"""What a key permits by its operations, its state and its times."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.keyvault.keys.crypto import KeyWrapAlgorithm

from tests.testbed.keyvault.key_clients import Keys
from tests.testbed.keyvault.operations_ground import operations, refusal

pytestmark = pytest.mark.without_search


@pytest.fixture(scope="module")
def limited(keys: Keys) -> tuple[str, dict[str, Callable[[], Any]]]:
    """The name of a key whose operations tests change, and those on it."""
    key = keys.create_rsa_key(f"limited-{uuid4().hex}")
    return key.name, operations(keys, key)


@pytest.mark.parametrize("allowed", ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"])
def test_a_key_does_what_its_operations_permit_and_nothing_else(keys, limited, allowed):
    name, calls = limited
    keys.update_key_properties(name, key_operations=[allowed])
    for operation, call in calls.items():
        if operation == allowed:
            call()
        else:
            message = f"Operation {operation} is not permitted on this key."
            assert refusal(call) == (403, "Forbidden", "KeyOperationForbidden", message)


def test_a_disabled_key_does_nothing_and_works_again_when_enabled(keys, unused_name):
    calls = operations(keys, keys.create_rsa_key(unused_name))
    keys.update_key_properties(unused_name, enabled=False)
    for operation, call in calls.items():
        message = f"Operation {operation} is not allowed on a disabled key."
        assert refusal(call) == (403, "Forbidden", "KeyDisabled", message)
    assert keys.get_key(unused_name).properties.enabled is False
    keys.update_key_properties(unused_name, enabled=True)
    for call in calls.values():
        call()


@pytest.mark.parametrize(
    ("times", "inner"),
    [
        ({"expires_on": timedelta(minutes=-1)}, "KeyExpired"),
        ({"not_before": timedelta(hours=1)}, "KeyNotYetValid"),
    ],
)
def test_a_key_outside_its_time_protects_nothing_new_and_still_opens_what_it_protected(keys, unused_name, times, inner):
    calls = operations(keys, keys.create_rsa_key(unused_name))
    now = datetime.now(UTC).replace(microsecond=0)
    keys.update_key_properties(unused_name, **{name: now + later for name, later in times.items()})
    for operation in ("encrypt", "wrapKey", "sign"):
        assert refusal(calls[operation])[:3] == (403, "Forbidden", inner)
    for operation in ("decrypt", "unwrapKey", "verify"):
        calls[operation]()


def test_an_unknown_key_or_version_does_nothing(keys, vault, shared, unused_name):
    key = shared("RSA", size=2048)
    for kid in (f"{vault.url}/keys/{unused_name}/{'0' * 32}", f"{vault.url}/keys/{key.name}/{'0' * 32}"):
        with pytest.raises(ResourceNotFoundError):
            keys.crypto(kid, "wrapper").unwrap_key(KeyWrapAlgorithm.rsa_oaep_256, bytes(256))
