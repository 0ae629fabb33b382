"""The vault's stand-in as `up` sees it, while others ask for all that it allows."""

from http import HTTPStatus

import pytest

from replica import state
from replica.errors import DidNotStart
from replica.servers import SERVERS, keyvault

THROTTLED = (HTTPStatus.TOO_MANY_REQUESTS, {"error": {"code": "Throttled"}})


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(state, "_refuse_closed", lambda _: None)
    monkeypatch.setattr(state, "_LONGEST_PATH", 4_000)
    return state.lay(tmp_path / "replica", SERVERS)


def test_a_vault_that_throttles_is_up(place, monkeypatch):
    monkeypatch.setattr(keyvault, "_ask", lambda *_: THROTTLED)
    assert keyvault.KeyVault().probe(place) == "Key Vault stand-in, throttling"


def test_what_is_settled_waits_until_others_leave_room(place, monkeypatch):
    monkeypatch.setattr(keyvault, "_POLL_SECONDS", 0)
    answers = iter([THROTTLED, THROTTLED, (HTTPStatus.OK, {"key": "found"})])
    monkeypatch.setattr(keyvault, "_ask", lambda *_: next(answers))
    assert keyvault._ask_patiently(place, "GET", "/keys/any") == (HTTPStatus.OK, {"key": "found"})


def test_a_vault_that_throttles_for_ever_is_not_taken_for_one_that_has_its_keys(place, monkeypatch):
    monkeypatch.setattr(keyvault, "_THROTTLED_SECONDS", -1)
    monkeypatch.setattr(keyvault, "_ask", lambda *_: THROTTLED)
    with pytest.raises(DidNotStart, match="still throttled"):
        keyvault.KeyVault().settle(place)
