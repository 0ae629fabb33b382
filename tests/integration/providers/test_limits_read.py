"""Limits read from the twins' administrations page by page, and from what the limiter keeps of headers."""

from __future__ import annotations

import pytest

from replica import inventory
from steward.ai.errors import NoAdministration
from steward.ai.key_rotation_errors import ProviderRefused, ProviderUnavailable
from steward.ai.limit_drift import AccountLimits, Ours, Source, Untold
from steward.clients import provider_limits
from steward.clients.provider_limits import administered_limits, observed_limits
from steward.clients.ratelimit import load_functions, open_limiter
from steward.ratelimit import Cost, Limits, Policy, Ring
from steward.ratelimit.headers import Observed, Seen
from steward.settings import load
from tests.integration.providers.accounts import with_accounts
from tests.testbed.providers.ground import Twins

pytestmark = pytest.mark.without_search


@pytest.fixture(scope="module")
def own(replica):
    return load(inventory.settings_file(replica))


@pytest.fixture
def settings(own, twins: Twins):
    limits = [
        {"account": "openai-main", "model": "*", "requests": 500, "tokens": 70_000},
        {"account": "openai-main", "model": "gpt-4.1-2025-04-14", "requests": 60, "tokens": 9_000},
        {"account": "anthropic-main", "model": "*", "requests": 50, "input_tokens": 5_000, "output_tokens": 900},
    ]
    twins.admin("PUT", "/limits", {"mode": "off", "limits": limits})
    return with_accounts(own, twins)


def by_model(told: AccountLimits):
    return {model: each for each in told.limits for model in each.models}


def test_every_name_of_a_model_has_its_limits_however_many_pages_they_take(settings, monkeypatch) -> None:
    whole = [administered_limits(settings, name) for name in ("openai", "anthropic")]
    monkeypatch.setattr(provider_limits, "PAGE", 2)
    monkeypatch.setattr(provider_limits, "_OF_MODELS", {"group_type": "model_group", "limit": 2})
    assert [administered_limits(settings, name) for name in ("openai", "anthropic")] == whole
    openai, anthropic = map(by_model, whole)
    assert (openai["gpt-4.1"].requests, openai["gpt-4.1-2025-04-14"].tokens) == (60, 9_000)
    assert (openai["gpt-6-luna"].requests, openai["gpt-6-luna"].tokens) == (500, 70_000)
    assert anthropic["claude-haiku-4-5"].models == ("claude-haiku-4-5-20251001", "claude-haiku-4-5")
    haiku = anthropic["claude-haiku-4-5"]
    assert (haiku.requests, haiku.input_tokens, haiku.output_tokens, haiku.tokens) == (50, 5_000, 900, None)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"admin_key": None}, NoAdministration),
        ({"project": None}, NoAdministration),
        ({"project": "proj_unknown"}, NoAdministration),
        ({"url": "http://127.0.0.1:9"}, ProviderUnavailable),
    ],
)
def test_what_the_administration_cannot_tell_is_an_error_and_not_no_limit(own, twins: Twins, changed, error) -> None:
    with pytest.raises(error):
        administered_limits(with_accounts(own, twins, openai=changed), "openai")


def test_a_key_that_is_no_admin_key_is_refused_without_a_word_of_it(own, twins: Twins) -> None:
    plain = with_accounts(own, twins, anthropic={"admin_key": f"file:{twins.secret_file('a1')}"})
    with pytest.raises(ProviderRefused) as refused:
        administered_limits(plain, "anthropic")
    assert twins.secret("a1") not in str(refused.value)


def test_headers_tell_where_nobody_else_does_and_what_they_did_not_tell_is_not_known(own, twins: Twins) -> None:
    settings = with_accounts(own, twins)
    load_functions(settings)
    routes = [Ours(account="openai", model=model, limits={"requests": 100}) for model in ("of-headers", "quiet")]
    ring = Ring("openai:openai:of-headers")
    with open_limiter(settings) as limiter:
        limiter.cancel(limiter.reserve(ring, Limits(100), Policy(window_seconds=1, start="empty"), "t", Cost()))
        limiter.observe(ring, Observed(requests=Seen(80, 80), tokens=Seen(4_000, 4_000)))
    told = observed_limits(settings, "openai", routes, "no admin key")
    assert isinstance(told, AccountLimits)
    assert (told.source, told.note) == (Source.HEADERS, "no admin key")
    [theirs] = told.limits
    assert (theirs.models, theirs.requests, theirs.tokens, theirs.input_tokens) == (("of-headers",), 80, 4_000, None)
    # After a 429 from outside, what may be used says no more what the provider told.
    with open_limiter(settings) as limiter:
        limiter.throttled(ring, 1)
    untold = observed_limits(settings, "openai", routes, "no admin key")
    assert isinstance(untold, Untold)
    assert untold.reason.startswith("no admin key, and")
