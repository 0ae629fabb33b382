from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from steward.fieldcrypt import AsyncFieldCipher, FieldCipher, install, key_id, process
from steward.fieldcrypt.errors import (
    CiphertextForeign,
    CiphertextRefused,
    CiphertextTruncated,
    KeyDestroyed,
    KeyRetired,
    KeysNotInstalled,
    NoWritingKey,
    TenantUnknown,
    UnknownSuite,
    ValueNotSupported,
)
from steward.fieldcrypt.keyring import State
from tests.unit.fieldcrypt.known_keys import KnownKeys, key_set, one_current

PLACE = ("customers", "email", UUID(int=5))


class Awaited:
    """An AsyncFieldCipher that is called as a FieldCipher is."""

    def __init__(self, tenant, keys) -> None:
        self.cipher = AsyncFieldCipher(tenant, keys)

    def __getattr__(self, name) -> Callable[..., Any]:
        return lambda *given: asyncio.run(getattr(self.cipher, name)(*given))


@pytest.fixture(params=[FieldCipher, Awaited], ids=["sync", "async"])
def make(request):
    return request.param


def test_what_is_encrypted_is_decrypted_and_found(make):
    cipher = make("acme", one_current())
    for value in ("ada", b"ada", 7, Decimal("7.0"), dt.date(2026, 1, 1)):
        assert cipher.decrypt(*PLACE, cipher.encrypt(*PLACE, value)) == value
        assert cipher.blind_index(*PLACE[:2], value) in cipher.blind_indexes(*PLACE[:2], value)
    assert cipher.decrypt(*PLACE, cipher.encrypt(*PLACE, {"a": [True]})) == {"a": [True]}


def test_none_stays_none_and_asks_for_no_keys(make):
    cipher = make("nobody", KnownKeys())
    assert cipher.encrypt(*PLACE, None) is None
    assert cipher.decrypt(*PLACE, None) is None
    assert cipher.blind_index(*PLACE[:2], None) is None


def test_an_empty_value_is_not_none(make):
    cipher = make("acme", one_current())
    for empty in ("", b"", [], {}, 0, False):
        sealed = cipher.encrypt(*PLACE, empty)
        assert len(sealed) >= 70
        opened = cipher.decrypt(*PLACE, sealed)
        assert (type(opened), opened) == (type(empty), empty)


def test_sync_and_async_make_the_same_thing():
    keys = one_current()
    there, here = Awaited("acme", keys), FieldCipher("acme", keys)
    assert here.decrypt(*PLACE, there.encrypt(*PLACE, "ada")) == "ada"
    assert there.decrypt(*PLACE, here.encrypt(*PLACE, "ada")) == "ada"
    assert there.blind_index("t", "f", "ada") == here.blind_index("t", "f", "ada")


STATES = {3: State.DESTROYED, 5: State.RETIRED, 7: State.PREVIOUS, 9: State.CURRENT, 11: State.INCOMING}


def sealed_under(generation: int) -> bytes:
    sealed = FieldCipher("acme", one_current("acme", generation)).encrypt(*PLACE, f"under {generation}")
    assert sealed is not None
    return sealed


def test_writers_use_the_current_key_and_readers_every_live_one(make):
    keys = KnownKeys(key_set("acme", STATES))
    cipher = make("acme", keys)
    assert key_id(cipher.encrypt(*PLACE, "x")) == 9
    for generation in (7, 9, 11):
        assert cipher.decrypt(*PLACE, sealed_under(generation)) == f"under {generation}"
    assert keys.sought_ids == []


@pytest.mark.parametrize(("generation", "refusal"), [(3, KeyDestroyed), (5, KeyRetired)])
def test_a_closed_key_is_refused_without_asking_the_keyring(make, generation, refusal):
    keys = KnownKeys(key_set("acme", STATES))
    with pytest.raises(refusal):
        make("acme", keys).decrypt(*PLACE, sealed_under(generation))
    assert keys.sought_ids == []


def test_a_key_that_nobody_here_knows_is_asked_for_once(make):
    keys = KnownKeys(key_set("acme", {9: State.CURRENT}), after_seek=[key_set("acme", STATES)])
    assert make("acme", keys).decrypt(*PLACE, sealed_under(11)) == "under 11"
    assert keys.sought_ids == [("acme", 11)]


def test_a_key_that_is_none_of_the_tenants_is_foreign(make):
    keys = KnownKeys(key_set("acme", STATES))
    with pytest.raises(CiphertextForeign):
        make("acme", keys).decrypt(*PLACE, sealed_under(8))
    assert keys.sought_ids == [("acme", 8)]


def test_bytes_that_are_no_ciphertext_cost_no_question(make):
    # Otherwise whoever fills a column with rubbish makes every reader load keys.
    keys = KnownKeys()
    with pytest.raises(CiphertextTruncated):
        make("acme", keys).decrypt(*PLACE, b"\x01\x11")
    with pytest.raises(UnknownSuite):
        make("acme", keys).decrypt(*PLACE, bytes(100))


def test_a_tenant_without_a_current_key_is_read_and_not_written(make):
    cipher = make("acme", KnownKeys(key_set("acme", {7: State.PREVIOUS})))
    assert cipher.decrypt(*PLACE, sealed_under(7)) == "under 7"
    with pytest.raises(NoWritingKey):
        cipher.encrypt(*PLACE, "x")


def test_a_tenant_that_does_not_exist_is_named(make):
    cipher = make("nobody", KnownKeys())
    for call in (lambda: cipher.encrypt(*PLACE, "x"), lambda: cipher.decrypt(*PLACE, sealed_under(7))):
        with pytest.raises(TenantUnknown, match="'nobody'"):
            call()


@pytest.mark.parametrize("row_id", [None, True, 1.5, [1]], ids=repr)
def test_a_value_is_not_encrypted_for_a_row_that_cannot_be_named(make, row_id):
    cipher = make("acme", one_current())
    with pytest.raises(ValueNotSupported, match="a row id of type"):
        cipher.encrypt("customers", "email", row_id, "x")
    with pytest.raises(ValueNotSupported, match="a row id of type"):
        cipher.decrypt("customers", "email", row_id, sealed_under(7))


@pytest.mark.parametrize("place", [(b"customers", "email"), ("customers", None)], ids=repr)
def test_a_place_is_named_by_text_and_refused_otherwise(make, place):
    cipher = make("acme", one_current())
    with pytest.raises(ValueNotSupported, match=r"a name of type (bytes|NoneType), expected str"):
        cipher.encrypt(*place, 17, "x")
    with pytest.raises(ValueNotSupported, match=r"a name of type (bytes|NoneType), expected str"):
        cipher.blind_index(*place, "x")


def test_a_process_whose_keys_are_installed_names_the_tenant_alone(make, monkeypatch):
    monkeypatch.setattr(process, "_installed", [])
    with pytest.raises(KeysNotInstalled) as refused:
        make("acme", None)
    assert "install(" in refused.value.hint
    install(one_current())
    assert make("acme", None).decrypt(*PLACE, sealed_under(7)) == "under 7"


def test_the_key_id_of_a_ciphertext_is_told_without_keys():
    assert key_id(sealed_under(7)) == 7
    assert key_id(memoryview(sealed_under(11))) == 11
    with pytest.raises(CiphertextRefused):
        key_id(b"plain text that somebody put there, of seventy bytes or more, as it happens")
