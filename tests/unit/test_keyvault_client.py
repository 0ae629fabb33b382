"""How long the vault is asked, and in which words its answers are told: decisions over values, without a vault."""

from __future__ import annotations

import datetime as dt
import json
import pickle
from types import SimpleNamespace

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    DecodeError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseTimeoutError,
)

from steward.clients import keyvault_asking
from steward.clients.keyvault_asking import ask
from steward.clients.keyvault_errors import (
    Asked,
    VaultForbidden,
    VaultKeyDisabled,
    VaultMissing,
    VaultRefused,
    VaultThrottled,
    VaultUnavailable,
    in_words,
)
from steward.clients.keyvault_keys import VaultKey
from steward.errors import is_transient

VAULT = "https://keys.vault.azure.net"
ASKED = Asked(VAULT, "application steward", "unwrap with key tenants/1", "Key Vault Crypto User")


def answer(status, code="", message="", inner="", *, headers=None, url=f"{VAULT}/keys/tenants/1/unwrapkey", text=None):
    body = {"error": {"code": code, "message": message, **({"innererror": {"code": inner}} if inner else {})}}
    told = text or json.dumps(body)
    response = SimpleNamespace(
        status_code=status,
        reason="Reason",
        headers=headers or {},
        request=SimpleNamespace(url=url),
        text=lambda *_: told,
        body=lambda: told,
    )
    return HttpResponseError(response=response)


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (answer(403, "Forbidden", "no role", "ForbiddenByRbac"), VaultForbidden, "is the role that permits it"),
        (answer(403, "Forbidden", "your address", "ForbiddenByFirewall"), VaultForbidden, "firewall admit this host"),
        (answer(403, "Forbidden", "disabled key", "KeyDisabled"), VaultKeyDisabled, "disabled key"),
        (answer(403, "Forbidden", "too early", "SecretNotYetValid"), VaultKeyDisabled, "too early"),
        (answer(404, "KeyNotFound", "not found"), VaultMissing, "not found"),
        (answer(409, "Conflict", "being deleted"), VaultRefused, "being deleted (409 Conflict)"),
        (answer(400, "BadParameter", "not supported"), VaultRefused, "not supported (400 BadParameter)"),
        (answer(401, "Unauthorized", "AKV10032: issuer"), VaultRefused, "does not accept the token"),
        (answer(429, "Throttled", "slow down"), VaultThrottled, "throttles"),
        (answer(503, "", "", text="<html>away</html>"), VaultUnavailable, "503 Reason"),
        (answer(408, "Timeout", "slow"), VaultUnavailable, "408 slow"),
        (ServiceRequestError("refused"), VaultUnavailable, "it cannot be reached"),
        (ServiceResponseTimeoutError("slow"), VaultUnavailable, "it was silent"),
        (ClientAuthenticationError("Authentication failed: AADSTS7000215"), VaultRefused, "AADSTS7000215"),
        (ValueError("The challenge resource 'x' does not match"), VaultRefused, "verify_challenge_resource"),
    ],
)
def test_each_answer_has_its_own_error_with_its_cure(error, kind, told):
    explained = in_words(error, ASKED)
    assert type(explained) is kind
    assert told in str(explained)
    assert VAULT in explained.message
    assert explained.transient is issubclass(kind, VaultUnavailable)
    assert str(pickle.loads(pickle.dumps(explained))) == str(explained)  # noqa: S301 # our own bytes


def test_an_answer_that_cannot_be_read_is_not_quoted():
    whole = answer(200, url=f"{VAULT}/secrets/password", text='{"value": "hunter2')
    error = DecodeError("JSON is invalid: hunter2", response=whole.response)
    explained = in_words(error, ASKED)
    assert type(explained) is VaultRefused
    assert "hunter2" not in str(explained)


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        (ServiceRequestError("refused"), VaultUnavailable),
        (ServiceRequestError("[SSL: CERTIFICATE_VERIFY_FAILED]"), VaultRefused),
        (None, VaultRefused),
    ],
)
def test_what_kept_azure_identity_from_the_issuer_is_looked_for_below_its_own_error(cause, kind):
    error = ClientAuthenticationError("Authentication failed: see below")
    error.__cause__ = cause
    assert type(in_words(error, ASKED)) is kind


def test_an_issuer_that_breaks_down_may_pass():
    error = ClientAuthenticationError("oops", response=answer(503, url="https://login.example.net/token").response)
    explained = in_words(error, ASKED)
    assert is_transient(explained)
    assert "issuer of its tokens" in explained.message


def test_a_long_sentence_of_the_vault_is_cut():
    assert len(in_words(answer(400, "BadParameter", "x" * 10_000), ASKED).message) < 600


@pytest.fixture
def clock(monkeypatch):
    """A clock that only sleeping moves, and what was slept."""
    slept: list[float] = []
    fake = SimpleNamespace(monotonic=lambda: sum(slept), sleep=slept.append)
    monkeypatch.setattr(keyvault_asking, "time", fake)
    return slept


def asked(clock, *outcomes):
    """Ask a vault that raises or returns *outcomes* one after the other; the limits that each try was given."""
    given = []
    left = list(outcomes)

    def call(**limits):
        given.append(limits)
        one = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(one, Exception):
            raise one
        return one

    try:
        return ask(ASKED, call), given
    except VaultUnavailable as error:
        return error, given


def throttled(seconds):
    return answer(429, "Throttled", "slow down", headers={"Retry-After": str(seconds)})


def test_a_pause_that_the_vault_asks_for_is_kept(clock):
    assert asked(clock, throttled(3), throttled(4), "answer")[0] == "answer"
    assert clock == [3, 4]


def test_a_pause_beyond_the_time_there_is_is_not_begun(clock):
    error, given = asked(clock, throttled(3), throttled(7), "answer")
    assert (type(error), error.retry_after_seconds, clock, len(given)) == (VaultThrottled, 7, [3], 2)


def test_a_throttling_vault_that_names_no_pause_is_given_a_second(clock):
    asked(clock, answer(429, "Throttled", "slow down"), "answer")
    assert clock == [1]


def test_a_vault_that_is_away_is_asked_again_after_growing_pauses_until_the_time_is_over(clock):
    error, given = asked(clock, ServiceRequestError("refused"))
    assert type(error) is VaultUnavailable
    assert clock == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2])
    assert len(given) == 6
    assert sum(clock) < keyvault_asking.TOTAL_SECONDS


def test_no_try_is_given_more_time_than_is_left(clock):
    _, given = asked(clock, throttled(9), ServiceRequestError("refused"))
    assert given[0] == {"connection_timeout": 2.0, "read_timeout": 4.0}
    assert given[1] == {"connection_timeout": 1.0, "read_timeout": 1.0}


def test_a_refusal_is_not_asked_again(clock):
    with pytest.raises(VaultMissing):
        asked(clock, answer(404, "KeyNotFound", "not found"), "answer")
    assert clock == []


def test_a_thread_that_lost_its_token_to_another_asks_again(clock):
    lost = AttributeError("'NoneType' object has no attribute 'token'", name="token", obj=None)
    assert asked(clock, lost, "answer")[0] == "answer"
    with pytest.raises(AttributeError):
        asked(clock, AttributeError("no such method", name="get_key", obj=None), "answer")


NOW = dt.datetime(2025, 7, 31, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, ""),
        ({"enabled": False}, "it is disabled"),
        ({"not_before": NOW + dt.timedelta(seconds=1)}, "it is not valid before 2025-07-31 00:00:01 UTC"),
        ({"not_before": NOW}, ""),
        ({"expires_on": NOW}, "it expired at 2025-07-31 00:00:00 UTC"),
        ({"operations": frozenset()}, "it is not meant to wrapKey, only for nothing"),
    ],
)
def test_a_key_says_why_it_must_not_be_used(changes, told):
    values = {"kid": "k", "name": "n", "version": "v", "public": None, "operations": frozenset({"wrapKey"})}
    key = VaultKey(**{**values, "enabled": True, "not_before": None, "expires_on": None, **changes})
    assert key.refusal("wrapKey", NOW) == told
