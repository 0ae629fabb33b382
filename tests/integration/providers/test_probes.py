"""Providers asked for their models: what each kind of trouble is told as, in time, and without a word of the key."""

from __future__ import annotations

import pytest

from replica import inventory
from steward.ai import probing
from steward.ai.probing import ProviderState
from steward.clients import provider_probes
from steward.clients.provider_probes import probe_providers
from steward.settings import load
from tests.integration.providers.accounts import with_accounts
from tests.testbed.providers.ground import Twins

pytestmark = pytest.mark.without_search

UP, DEGRADED, DOWN, REFUSED, UNKNOWN = ProviderState
NOBODY = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def own(replica):
    return load(inventory.settings_file(replica))


def asked(settings):
    return {each.account: each for each in probe_providers(settings)}


def told(settings, account="openai"):
    probe = asked(settings)[account]
    return probe.state, probe.http_status, probe.error_class


def test_providers_that_answer_are_up_and_nothing_of_it_is_an_attempt(twins: Twins, own) -> None:
    before = len(twins.attempts())
    found = asked(with_accounts(own, twins))
    assert {name: (each.state, each.http_status) for name, each in found.items()} == {
        "openai": (UP, 200),
        "anthropic": (UP, 200),
    }
    assert len(twins.attempts()) == before


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"kind": "error", "status": 503}, (DOWN, 503, "http_503")),
        ({"kind": "error", "status": 429, "retry_after_seconds": 5}, (DEGRADED, 429, "throttled")),
        ({"kind": "error", "status": 403}, (REFUSED, 403, "http_403")),
        ({"kind": "dark"}, (DOWN, None, "RemoteProtocolError")),
    ],
)
def test_trouble_of_one_provider_is_told_of_it_and_of_no_other(twins: Twins, own, rule, expected) -> None:
    twins.lay(**rule, provider="openai")
    settings = with_accounts(own, twins)
    assert told(settings) == expected
    assert told(settings, "anthropic") == (UP, 200, None)


def test_a_list_that_takes_longer_than_what_is_promised_of_answers_is_degraded(twins: Twins, own, monkeypatch) -> None:
    monkeypatch.setattr(probing, "SLOW_MILLISECONDS", 100)
    twins.lay("latency", milliseconds=150, provider="anthropic")
    assert told(with_accounts(own, twins), "anthropic") == (DEGRADED, 200, "slow")


def test_a_provider_that_hangs_holds_up_nobody_else_and_is_down(twins: Twins, own, monkeypatch) -> None:
    monkeypatch.setattr(provider_probes, "TIMEOUT_SECONDS", 0.3)
    twins.lay("hang", silent_seconds=30, provider="openai")
    settings = with_accounts(own, twins)
    assert told(settings) == (DOWN, None, "ReadTimeout")
    # Also one that would go on for ever by a byte a second: the round ends it.
    monkeypatch.setattr(provider_probes, "TIMEOUT_SECONDS", 2)
    monkeypatch.setattr(provider_probes, "ROUND_SECONDS", 0.3)
    found = asked(settings)
    assert (found["openai"].state, found["openai"].error_class) == (DOWN, "ReadTimeout")
    assert found["anthropic"].state is UP


def test_nobody_at_the_address_is_down_and_a_wrong_key_is_refused(twins: Twins, own, tmp_path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("sk-wrong")
    settings = with_accounts(own, twins, openai={"url": NOBODY}, anthropic={"key": f"file:{wrong}"})
    assert told(settings) == (DOWN, None, "ConnectError")
    assert told(settings, "anthropic") == (REFUSED, 401, "http_401")


@pytest.mark.parametrize("key", ["sk-sentinel\nsecond line", "sk-sentinel-ü", None])
def test_a_key_that_cannot_be_used_says_nothing_of_the_provider_and_shows_nowhere(twins: Twins, own, tmp_path, key):
    file = tmp_path / "key"
    if key:
        file.write_text(key)
    probe = asked(with_accounts(own, twins, openai={"key": f"file:{file}"}))["openai"]
    assert (probe.state, probe.latency_ms, probe.http_status) == (UNKNOWN, None, None)
    assert probe.told
    assert "sentinel" not in probe.model_dump_json()
