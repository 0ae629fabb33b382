"""The vault's client on a real server of the vault's contract: what it gives, and what it says when it does not."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import logging
import os
import signal
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest
from azure.keyvault.keys import KeyClient
from azure.keyvault.secrets import SecretClient
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from steward.clients import keyvault_asking, keyvault_sdk
from steward.clients.keyvault import open_vault
from steward.clients.keyvault_errors import (
    VaultForbidden,
    VaultKeyDisabled,
    VaultMissing,
    VaultRefused,
    VaultThrottled,
    VaultUnavailable,
)
from steward.errors import BadInput
from tests.integration.closed_doors import closed_port, silent_port
from tests.integration.described_vault import described
from tests.testbed.keyvault.ground import running

pytestmark = pytest.mark.without_search

PAYLOAD = bytes(range(64))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("vault"), limits_factor=1000) as vault:
        yield vault


@pytest.fixture(scope="module")
def keys(server):
    with server.client(KeyClient) as keys:
        keys.create_rsa_key("tenants", size=2048)
        keys.create_ec_key("evidence", curve="P-256")
        yield keys


@pytest.fixture(scope="module")
def client(server, keys):
    with open_vault(described(server, "user")) as client:
        yield client


@pytest.fixture
def as_(server, keys):
    """A client of its own, as another principal or with other settings."""
    opened = []

    def as_(principal="application", **changes):
        opened.append(open_vault(described(server, principal, **changes)))
        return opened[-1]

    yield as_
    for one in opened:
        one.close()


@contextmanager
def refused(kind, *told):
    """The block raises *kind*, whose text has each of *told*, and which brings nothing along but itself."""
    with pytest.raises(kind) as raised:
        yield
    assert type(raised.value) is kind
    assert raised.value.hint
    assert (raised.value.__cause__, raised.value.__context__) == (None, None)
    for each in told:
        assert each in str(raised.value)


# What it gives.


def test_what_is_wrapped_is_unwrapped_by_the_version_that_wrapped_it(as_, keys):
    client = as_("application")
    wrap = client.wrap("tenants", PAYLOAD)
    assert wrap.kek == keys.get_key("tenants").id
    assert PAYLOAD not in wrap.wrapped
    assert client.unwrap(wrap.kek, wrap.wrapped) == PAYLOAD


def test_a_new_version_is_used_by_the_very_next_wrap_and_the_old_one_still_unwraps(client, keys):
    keys.create_rsa_key("rotated", size=2048)
    before = client.wrap("rotated", PAYLOAD)
    newer = keys.create_rsa_key("rotated", size=2048).id
    after = client.wrap("rotated", PAYLOAD)
    assert (before.kek != newer, after.kek) == (True, newer)
    assert client.unwrap(before.kek, before.wrapped) == client.unwrap(after.kek, after.wrapped) == PAYLOAD


def test_a_signature_by_name_is_made_in_the_vault_and_verified_offline(client, keys):
    digest = hashlib.sha256(b"statement").digest()
    signature = client.sign("evidence", "ES256", digest)
    assert signature.kid == keys.get_key("evidence").id
    public = client.key("evidence").public
    half = len(signature.value) // 2
    r, s = (int.from_bytes(part, "big") for part in (signature.value[:half], signature.value[half:]))
    public.verify(encode_dss_signature(r, s), digest, ec.ECDSA(Prehashed(SHA256())))
    with pytest.raises(InvalidSignature):
        public.verify(encode_dss_signature(r, s), hashlib.sha256(b"forged").digest(), ec.ECDSA(Prehashed(SHA256())))


def test_a_name_signs_by_its_newest_version_and_an_identifier_by_its_own(client, keys):
    old = keys.create_ec_key("signing", curve="P-256").id
    client.sign("signing", "ES256", bytes(32))
    new = keys.create_ec_key("signing", curve="P-256").id
    assert client.sign("signing", "ES256", bytes(32)).kid == new
    assert client.sign(old, "ES256", bytes(32)).kid == old


def test_a_secret_is_the_newest_each_time_and_without_white_space(client, server):
    with server.client(SecretClient) as secrets:
        secrets.set_secret("password", "first\n")
        assert client.secret("password") == "first"
        secrets.set_secret("password", "second")
        assert client.secret("password") == "second"


def test_a_secret_of_nothing_but_white_space_is_refused(client, server):
    with server.client(SecretClient) as secrets:
        secrets.set_secret("blank", " \n")
    with refused(VaultRefused, "secret blank", "is empty"):
        client.secret("blank")


def test_whoever_may_use_a_key_without_reading_it_unwraps(as_, client):
    wrap = client.wrap("tenants", PAYLOAD)
    assert as_("wrapper").unwrap(wrap.kek, wrap.wrapped) == PAYLOAD


def test_threads_that_come_together_to_a_new_client_all_get_their_answer(as_, client):
    wrap = client.wrap("tenants", PAYLOAD)
    fresh = as_("application")
    with ThreadPoolExecutor(16) as pool:
        got = list(pool.map(lambda _: fresh.unwrap(wrap.kek, wrap.wrapped), range(48)))
    assert set(got) == {PAYLOAD}


def test_a_token_that_expired_is_replaced(as_, client):
    wrap = client.wrap("tenants", PAYLOAD)
    hasty = as_("hasty")
    until = time.monotonic() + 1.6
    while time.monotonic() < until:
        assert hasty.unwrap(wrap.kek, wrap.wrapped) == PAYLOAD


# What is refused.


def test_who_may_not_is_told_what_and_by_which_role_it_would_be_permitted(as_, client, server):
    wrap = client.wrap("tenants", PAYLOAD)
    auditor = f"forbids application {server.client_id('auditor')} to "
    with refused(VaultForbidden, auditor + "unwrap with key tenants/", "Key Vault Crypto Service Encryption User"):
        as_("auditor").unwrap(wrap.kek, wrap.wrapped)
    with refused(VaultForbidden, auditor + "sign by ES256 with key evidence/", "Key Vault Crypto User"):
        as_("auditor").sign("evidence", "ES256", bytes(32))
    with refused(VaultForbidden, "to read secret password", "Key Vault Secrets User"):
        as_("application").secret("password")
    with refused(VaultForbidden, "to read key tenants", "Key Vault Reader"):
        as_("nobody").wrap("tenants", PAYLOAD)


def test_what_is_not_there_is_named(client):
    with refused(VaultMissing, "read key absent"):
        client.wrap("absent", PAYLOAD)
    with refused(VaultMissing, "read secret absent"):
        client.secret("absent")
    with refused(VaultMissing, f"unwrap with key tenants/{'0' * 32}"):
        client.unwrap(f"{client.url}/keys/tenants/{'0' * 32}", bytes(256))


def test_a_disabled_key_neither_wraps_nor_signs_nor_unwraps(client, keys):
    keys.create_rsa_key("disabled", size=2048)
    wrap = client.wrap("disabled", PAYLOAD)
    keys.update_key_properties("disabled", enabled=False)
    keys.create_ec_key("disabled-too", curve="P-256", enabled=False)
    with refused(VaultKeyDisabled, wrap.kek):
        client.wrap("disabled", PAYLOAD)
    with refused(VaultKeyDisabled, "unwrap with key disabled/"):
        client.unwrap(wrap.kek, wrap.wrapped)
    with refused(VaultKeyDisabled, "disabled-too"):
        client.sign("disabled-too", "ES256", bytes(32))


def test_a_key_out_of_its_time_or_its_purpose_does_not_wrap(client, keys):
    hour, now = dt.timedelta(hours=1), dt.datetime.now(dt.UTC)
    keys.create_rsa_key("expired", size=2048, not_before=now - 2 * hour, expires_on=now - hour)
    keys.create_rsa_key("early", size=2048, not_before=now + hour)
    keys.create_rsa_key("signs", size=2048, key_operations=["sign"])
    for name, told in (
        ("expired", "it expired at"),
        ("early", "it is not valid before"),
        ("signs", "it is not meant to wrapKey, only for sign"),
    ):
        with refused(VaultKeyDisabled, f"/keys/{name}/", told):
            client.wrap(name, PAYLOAD)
    with refused(VaultRefused, "is no RSA key"):
        keys.create_ec_key("curve", curve="P-256", key_operations=["wrapKey"])
        client.wrap("curve", PAYLOAD)


def test_what_was_not_wrapped_by_a_key_is_refused(client, keys):
    wrap = client.wrap("tenants", PAYLOAD)
    with refused(VaultRefused, "unwrap with key tenants/"):
        client.unwrap(wrap.kek, bytes(256))


def test_an_unknown_algorithm_or_identifier_is_refused_without_asking(client, server):
    before = len(server.audit())
    with refused(VaultRefused, "unknown signature algorithm 'ES257'"):
        client.sign("evidence", "ES257", bytes(32))
    for kid in ("tenants", f"{client.url}/keys/tenants", f"{client.url}/secrets/tenants/{'0' * 32}", ""):
        with refused(VaultRefused, "no version of a key"):
            client.unwrap(kid, bytes(256))
    assert len(server.audit()) == before


def test_a_wrong_client_secret_is_told_nowhere_and_a_new_one_in_its_file_is_used_at_once(as_, client, server, tmp_path):
    file = tmp_path / "secret"
    file.write_text("hunter2-hunter2")
    renewed = as_("user", client_secret=f"file:{file}")
    with pytest.raises(VaultRefused) as raised:
        renewed.key("tenants")
    told = "".join(traceback.format_exception(raised.value))
    assert f"application {server.client_id('user')} is not known with what it has" in told
    assert "hunter2" not in told
    file.write_text(server.secret("user"))
    assert renewed.key("tenants") == client.key("tenants")


def test_a_missing_client_secret_is_named_by_its_path(as_, tmp_path):
    with pytest.raises(BadInput, match=r"cannot read secret file .*absent"):
        as_(client_secret=f"file:{tmp_path / 'absent'}").key("tenants")


def test_a_server_with_another_certificate_is_not_believed(as_, tmp_path):
    with running(tmp_path / "other") as stranger:
        with refused(VaultRefused, "certificate of the vault is not trusted"):
            as_(url=stranger.url).key("tenants")
        with refused(VaultRefused, "certificate of the issuer of its tokens is not trusted"):
            as_(authority=stranger.authority).key("tenants")
    with pytest.raises(BadInput, match="no CA file"):
        as_(ca_file=tmp_path / "absent")


def test_a_vault_that_asks_for_tokens_of_a_foreign_resource_gets_none(as_):
    with refused(VaultRefused, "asks for a token that the client does not give", "verify_challenge_resource"):
        as_(verify_challenge_resource=True).key("tenants")


# What passes.


@pytest.fixture
def hasty_limits(monkeypatch):
    """The same limits, shorter: a tenth of a second to read, half a second in all."""
    monkeypatch.setattr(keyvault_asking, "READ_SECONDS", 0.2)
    monkeypatch.setattr(keyvault_asking, "TOTAL_SECONDS", 0.6)
    monkeypatch.setattr(keyvault_sdk, "READ_SECONDS", 0.2)


def test_a_throttling_vault_is_told_with_the_pause_that_it_asks_for(tmp_path, hasty_limits):
    # A thousandth of Azure's limit for keys of this kind: four in ten seconds.
    with (
        running(tmp_path / "busy", limits_factor=0.001) as vault,
        open_vault(described(vault, "user")) as client,
        pytest.raises(VaultThrottled) as raised,
    ):
        _ask_for_ever(client)
    assert raised.value.transient
    assert raised.value.retry_after_seconds >= 1
    assert f"asks for a pause of {raised.value.retry_after_seconds:.0f} s" in raised.value.message


def _ask_for_ever(client):
    while True:
        with suppress(VaultMissing):
            client.key("absent")


def test_a_vault_that_is_not_there_is_unavailable(as_, hasty_limits):
    url = f"https://127.0.0.1:{closed_port()}"
    with refused(VaultUnavailable, url, "it cannot be reached"):
        as_(url=url).key("tenants")


def test_a_silent_vault_is_given_up_in_time(as_, hasty_limits):
    with silent_port() as port, refused(VaultUnavailable, "it was silent"):
        began = time.monotonic()
        try:
            as_(url=f"https://127.0.0.1:{port}").key("tenants")
        finally:
            assert time.monotonic() - began < 5


def test_threads_that_wait_for_a_silent_vault_are_all_given_up_in_time(as_, hasty_limits):
    def ask(client):
        with pytest.raises(VaultUnavailable):
            client.key("tenants")

    with silent_port() as port, ThreadPoolExecutor(8) as pool:
        began, silent = time.monotonic(), as_(url=f"https://127.0.0.1:{port}")
        list(pool.map(lambda _: ask(silent), range(8)))
        assert time.monotonic() - began < 5


def test_an_issuer_of_tokens_that_is_away_or_silent_is_told_apart_from_the_vault(as_, hasty_limits):
    with refused(VaultUnavailable, "the issuer of its tokens cannot be reached"):
        as_(authority=f"https://127.0.0.1:{closed_port()}").key("tenants")
    with silent_port() as port, refused(VaultUnavailable, "the issuer of its tokens was silent"):
        as_(authority=f"https://127.0.0.1:{port}").key("tenants")


def test_a_frozen_vault_is_given_up_and_used_again_when_it_wakes(client, server, hasty_limits):
    wrap = client.wrap("tenants", PAYLOAD)
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        with refused(VaultUnavailable, "it was silent"):
            client.unwrap(wrap.kek, wrap.wrapped)
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    assert _in_the_end(lambda: client.unwrap(wrap.kek, wrap.wrapped)) == PAYLOAD


def test_a_vault_that_was_killed_is_used_again_when_it_is_back(client, server):
    wrap = client.wrap("tenants", PAYLOAD)
    server.kill()
    server.start()
    assert client.unwrap(wrap.kek, wrap.wrapped) == PAYLOAD


def _in_the_end(ask):
    until = time.monotonic() + 30
    while True:
        try:
            return ask()
        except VaultUnavailable:
            assert time.monotonic() < until


def test_no_log_has_a_secret_or_a_key(as_, client, server, caplog):
    with server.client(SecretClient) as secrets:
        secrets.set_secret("told-nowhere", "hunter2-hunter2")
    caplog.set_level(logging.DEBUG)
    fresh = as_("user")
    wrap = fresh.wrap("tenants", PAYLOAD)
    assert fresh.unwrap(wrap.kek, wrap.wrapped) == PAYLOAD
    assert fresh.secret("told-nowhere") == "hunter2-hunter2"
    assert "unwrapkey" in caplog.text
    for secret in ("hunter2", _base64(PAYLOAD)[:20], server.secret("user"), "eyJ"):
        assert secret not in caplog.text


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()
