"""Versions of the vault's keys on a real server of its contract: found by tag, made once, switched off and on."""

from __future__ import annotations

import datetime as dt
import os

import pytest
from azure.core.pipeline.transport import RequestsTransport
from azure.keyvault.keys import KeyClient

from steward.clients.keyvault_errors import (
    VaultForbidden,
    VaultKeyDisabled,
    VaultMissing,
    VaultRefused,
    VaultUnavailable,
)
from steward.clients.keyvault_versions import open_versions
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
        yield keys


@pytest.fixture(scope="module")
def vault(server):
    with open_versions(described(server, "rotator")) as client:
        yield client


@pytest.fixture
def name():
    return f"k{os.urandom(8).hex()}"


def test_a_version_is_made_with_its_tags_to_wrap_and_to_unwrap_and_nothing_else(vault, name):
    expires = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(days=40)
    made = vault.new_version(name, {"operation": "17", "by": "rotation"}, expires_at=expires)
    key = vault.key(name)
    assert (made.kid, made.version) == (key.kid, key.version)
    assert key.operations == {"wrapKey", "unwrapKey"}
    assert key.public.key_size == 3072
    assert made.tags == {"operation": "17", "by": "rotation"}
    assert (made.enabled, made.expires_at, key.expires_on) == (True, expires, expires)
    assert abs(dt.datetime.now(dt.UTC) - made.created_at) < dt.timedelta(minutes=1)
    assert vault.versions(name) == [made]


def test_asked_for_again_it_is_found_by_its_tags_and_others_are_new(vault, name):
    first = vault.new_version(name, {"operation": "17"})
    assert vault.new_version(name, {"operation": "17"}) == first
    second = vault.new_version(name, {"operation": "18"})
    assert second.kid != first.kid
    assert vault.new_version(name, {"operation": "17"}) == first
    assert {one.kid for one in vault.versions(name)} == {first.kid, second.kid}


def test_a_version_of_another_with_one_of_the_tags_is_not_taken_for_it(vault, keys, name):
    keys.create_rsa_key(name, size=2048, tags={"operation": "17", "part": "a"})
    made = vault.new_version(name, {"operation": "17", "part": "b"})
    assert len(vault.versions(name)) == 2
    assert vault.tagged(name, {"part": "b"}) == made


def test_a_version_without_a_tag_is_refused_before_the_vault_is_asked(vault, server, name):
    before = len(server.audit())
    with pytest.raises(VaultRefused, match="needs a tag"):
        vault.new_version(name, {})
    assert len(server.audit()) == before


def test_every_version_is_listed_however_many_pages_they_take(vault, keys, server, name):
    # Curves, for they are made faster: 25 versions are a page.
    made = {keys.create_ec_key(name, curve="P-256", tags={"number": str(number)}).id for number in range(60)}
    before = len(server.audit())
    listed = vault.versions(name)
    assert {one.kid for one in listed} == made
    assert [one.created_at for one in listed] == sorted((one.created_at for one in listed), reverse=True)
    assert vault.tagged(name, {"number": "3"}).tags == {"number": "3"}
    pages = [line for line in server.audit()[before:] if line["properties"]["httpStatusCode"] == 200]
    assert [line["operationName"] for line in pages] == ["KeyListVersions"] * 6


def test_an_unknown_key_has_no_versions(vault, name):
    assert vault.versions(name) == []


def test_a_disabled_version_unwraps_nothing_until_it_is_enabled_again_and_keeps_its_tags(vault, name):
    made = vault.new_version(name, {"operation": "17"})
    wrap = vault.wrap(name, PAYLOAD)
    for _ in range(2):
        vault.disable_version(made.kid)
    assert [one.enabled for one in vault.versions(name)] == [False]
    with pytest.raises(VaultKeyDisabled):
        vault.unwrap(wrap.kek, wrap.wrapped)
    with pytest.raises(VaultKeyDisabled):
        vault.wrap(name, PAYLOAD)
    for _ in range(2):
        vault.enable_version(made.kid)
    assert vault.unwrap(wrap.kek, wrap.wrapped) == PAYLOAD
    assert vault.versions(name) == [made]


def test_an_old_version_is_disabled_without_the_newest(vault, name):
    old, new = (vault.new_version(name, {"operation": one}) for one in ("17", "18"))
    vault.disable_version(old.kid)
    assert {one.kid: one.enabled for one in vault.versions(name)} == {old.kid: False, new.kid: True}
    assert vault.wrap(name, PAYLOAD).kek == new.kid


def test_who_may_not_and_what_is_not_there_are_told(vault, server, name):
    made = vault.new_version(name, {"operation": "17"})
    with open_versions(described(server, "application")) as reader:
        with pytest.raises(VaultForbidden, match="make a version of key"):
            reader.new_version(name, {"operation": "18"})
        with pytest.raises(VaultForbidden, match=f"disable key {name}/"):
            reader.disable_version(made.kid)
    with open_versions(described(server, "wrapper")) as blind, pytest.raises(VaultForbidden, match="list versions"):
        blind.versions(name)
    with pytest.raises(VaultMissing, match="disable key"):
        vault.disable_version(f"{vault.url}/keys/{name}/{'0' * 32}")
    with pytest.raises(VaultRefused, match="no version of a key"):
        vault.disable_version(name)


def test_a_version_whose_answer_is_lost_is_not_asked_for_a_second_time(vault, name, monkeypatch):
    from azure.core.exceptions import ServiceResponseError  # noqa: PLC0415 # what the SDK raises where an answer breaks off

    send = RequestsTransport.send

    def lost(self, request, **options):
        answer = send(self, request, **options)
        if request.url.partition("?")[0].endswith("/create") and answer.status_code == 200:
            raise ServiceResponseError("broken off")
        return answer

    monkeypatch.setattr(RequestsTransport, "send", lost)
    with pytest.raises(VaultUnavailable, match="make a version of key"):
        vault.new_version(name, {"operation": "17"})
    monkeypatch.undo()
    (made,) = vault.versions(name)
    assert vault.new_version(name, {"operation": "17"}) == made
