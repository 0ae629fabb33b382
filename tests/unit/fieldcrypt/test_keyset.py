from __future__ import annotations

import copy
import gc
import hmac
import pickle
import threading

import pytest
from cryptography.hazmat.primitives.hmac import HMAC

from steward.fieldcrypt import keyset
from steward.fieldcrypt.errors import NoWritingKey
from steward.fieldcrypt.keyring import State
from steward.fieldcrypt.keyset import KeySet
from tests.unit.fieldcrypt.known_keys import generation, key_set, master_key
from tests.unit.fieldcrypt.reference import Spot, frame


def test_a_field_key_is_what_the_document_says():
    spot = Spot(master_key(7), 7, "acme", "customers", "email")
    for purpose, algorithm in (("enc", "sha512"), ("blind", "sha256")):
        key = generation("acme", 7).field_key(purpose, "customers", "email")
        assert key.hmac(b"message") == hmac.digest(spot.key(purpose.encode()), b"message", algorithm)
        assert (key.key_id, key.place) == (bytes([0, 0, 0, 7]), frame(b"acme", b"customers", b"email"))


def test_every_purpose_field_tenant_and_generation_has_a_key_of_its_own():
    one_master = b"\x01" * 32
    names = [
        (tenant, key_id, purpose, table, field)
        for tenant in ("acme", "globex", "acmee")
        for key_id in (7, 8)
        for purpose in ("enc", "blind")
        for table, field in [("a", "b"), ("ab", ""), ("", "ab"), ("b", "a"), ("a", "bc"), ("ab", "c")]
    ]
    generations = {name[:2]: generation(*name[:2], master=one_master) for name in names}
    marks = {generations[name[:2]].field_key(*name[2:]).hmac(b"")[:32] for name in names}
    assert len(marks) == len(names)
    assert hmac.digest(one_master, b"", "sha512")[:32] not in marks


def test_a_field_key_is_derived_once_even_for_threads_that_ask_together():
    acme, start, seen = generation("acme", 7), threading.Barrier(8), []

    def ask():
        start.wait()
        seen.extend(acme.field_key("enc", "customers", f"field {number}") for number in range(50))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 400
    assert len({id(key) for key in seen}) == 50


def test_neither_master_nor_field_keys_are_shown_pickled_or_copied():
    acme = generation("acme", 7)
    for holder in (acme, acme.field_key("enc", "customers", "email"), key_set("acme", {7: State.CURRENT})):
        shown = f"{holder!r} {holder!s} {holder}"
        for secret in (master_key(7), Spot(master_key(7), 7, "acme", "customers", "email").key(b"enc")):
            assert secret.hex() not in shown
            assert repr(secret)[2:-1] not in shown
        for give_away in (pickle.dumps, copy.copy, copy.deepcopy):
            if isinstance(holder, KeySet) and give_away is copy.copy:
                continue  # A shallow copy of a set refers to the same keys.
            with pytest.raises(TypeError, match="holds a key and is not pickled or copied"):
                give_away(holder)


def test_keys_are_wiped_when_their_last_user_lets_go_and_not_before():
    acme = generation("acme", 7)
    master, in_use = acme.key, acme.field_key("enc", "customers", "email")
    before = in_use.hmac(b"message")
    assert master == master_key(7)
    del acme
    gc.collect()
    assert master == bytes(32)
    assert in_use.hmac(b"message") == before


def test_a_derived_key_is_left_to_openssl_alone(monkeypatch):
    seen = []
    monkeypatch.setattr(keyset, "HMAC", lambda key, algorithm: seen.append(key) or HMAC(key, algorithm))
    spot = Spot(master_key(7), 7, "acme", "customers", "email")
    mark = generation("acme", 7).field_key("enc", "customers", "email").hmac(b"")
    assert seen == [bytes(32)]
    assert mark == hmac.digest(spot.key(b"enc"), b"", "sha512")


def test_writers_use_the_current_generation_and_say_when_there_is_none():
    assert key_set("acme", {7: State.PREVIOUS, 9: State.CURRENT, 11: State.INCOMING}).writing.key_id == 9
    with pytest.raises(NoWritingKey, match="tenant 'acme' has no current key generation") as refused:
        _ = key_set("acme", {7: State.PREVIOUS, 11: State.INCOMING}).writing
    assert "rotator" in refused.value.hint
