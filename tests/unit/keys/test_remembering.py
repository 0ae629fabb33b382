"""A vault that is asked once: what it remembers, what it never does, and when it forgets."""

from __future__ import annotations

import copy
import pickle
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from steward.errors import Unavailable
from steward.fieldcrypt.keyring import Wrap
from steward.keys.remembering import RememberingVault

OLD, NEW = "https://vault.test/keys/tenants/1", "https://vault.test/keys/tenants/2"


class Vault:
    """Wraps by reversing; counts what it is asked."""

    def __init__(self) -> None:
        self.asked = Counter()
        self.away = False

    def wrap_under(self, key, payload):
        self.asked["wrap"] += 1
        # No two wraps of a content are alike, as under RSA-OAEP.
        return Wrap(key, bytes([self.asked["wrap"]]) + payload[::-1])

    def unwrap(self, kek, wrapped):
        self.asked[kek, wrapped] += 1
        if self.away:
            raise Unavailable("away")
        return wrapped[:0:-1]

    @property
    def unwrapped(self):
        return sum(count for name, count in self.asked.items() if name != "wrap")


@pytest.fixture
def vault():
    return Vault()


@pytest.fixture
def remembering(vault):
    asked = RememberingVault(vault)
    asked.wrap_by(OLD)
    return asked


def test_the_same_wrap_is_unwrapped_once(remembering, vault):
    wrap = remembering.wrap("tenants", b"key")
    assert [remembering.unwrap(wrap.kek, wrap.wrapped) for _ in range(3)] == [b"key"] * 3
    assert vault.unwrapped == 1


def test_the_same_bytes_under_another_version_are_another_wrap(remembering, vault):
    wrap = remembering.wrap("tenants", b"key")
    remembering.unwrap(wrap.kek, wrap.wrapped)
    remembering.unwrap(NEW, wrap.wrapped)
    assert vault.asked[NEW, wrap.wrapped] == 1


def test_what_it_wraps_is_not_taken_for_what_the_vault_would_unwrap(remembering, vault):
    """A new key is unwrapped by the vault before anything depends on it."""
    wrap = remembering.wrap("tenants", b"key")
    assert vault.unwrapped == 0
    remembering.unwrap(wrap.kek, wrap.wrapped)
    assert vault.unwrapped == 1


def test_a_rewrap_asks_for_the_old_wrap_and_knows_the_new_one(remembering, vault):
    old = remembering.wrap("tenants", b"key")
    remembering.wrap_by(NEW)
    new = remembering.rewrap(old)
    assert (new.kek, remembering.unwrap(new.kek, new.wrapped)) == (NEW, b"key")
    assert vault.unwrapped == 1


def test_asked_anew_it_asks_whatever_it_remembers(remembering, vault):
    old = remembering.wrap("tenants", b"key")
    remembering.wrap_by(NEW)
    new = remembering.rewrap(old)
    assert remembering.unwrap_anew(new.kek, new.wrapped) == b"key"
    assert vault.asked[new.kek, new.wrapped] == 1


def test_after_forgetting_it_asks_again(remembering, vault):
    wrap = remembering.wrap("tenants", b"key")
    remembering.unwrap(wrap.kek, wrap.wrapped)
    remembering.forget()
    remembering.unwrap(wrap.kek, wrap.wrapped)
    assert vault.unwrapped == 2


def test_a_refusal_is_not_remembered(remembering, vault):
    wrap = remembering.wrap("tenants", b"key")
    vault.away = True
    with pytest.raises(Unavailable):
        remembering.unwrap(wrap.kek, wrap.wrapped)
    vault.away = False
    assert remembering.unwrap(wrap.kek, wrap.wrapped) == b"key"


def test_threads_that_ask_at_once_are_all_told(remembering):
    wraps = [remembering.wrap("tenants", bytes([number])) for number in range(20)]
    together = threading.Barrier(4, timeout=10)

    def ask(_):
        together.wait()
        return [remembering.unwrap(wrap.kek, wrap.wrapped) for wrap in wraps]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == [[bytes([number]) for number in range(20)]] * 4


@pytest.mark.parametrize("attempt", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_is_not_copied_and_shows_nothing(remembering, attempt):
    wrap = remembering.wrap("tenants", b"a secret key")
    remembering.unwrap(wrap.kek, wrap.wrapped)
    with pytest.raises(TypeError, match="holds keys"):
        attempt(remembering)
    assert repr(remembering) == "<RememberingVault>"
    assert not hasattr(remembering, "__dict__")
