"""The report on providers: what is not known is not green, the worst stands first, and the page says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from steward.ai.health_report import (
    History,
    NoHistory,
    ProvidersNotWell,
    Signals,
    Watched,
    assess_health,
    render_health,
)
from steward.ai.probing import Probe, ProviderState, Standing, Uptime
from steward.verdicts import Verdict

UP, DEGRADED, DOWN, REFUSED, UNKNOWN = ProviderState
NOW = datetime(2026, 11, 26, 3, 12, 7, tzinfo=UTC)
ACCOUNTS = {"openai": "openai", "anthropic": "anthropic"}
SEEN = Signals(
    attempts=1200, ended=1190, failed=12, completed=1170, slow=90, first_token_p50_ms=310, first_token_p95_ms=1400
)


def ago(**of):
    return NOW - timedelta(**of)


def probe(account, state=UP, **values):
    usual = {"http_status": 200, "latency_ms": 80} if state is UP else {"error_class": "ConnectError", "latency_ms": 3}
    return Probe(account=account, provider=account, state=state, **{**usual, **values})


def watched(account, state=UP, since=timedelta(days=3), last=timedelta(seconds=12), **values):
    return Watched(
        standing=Standing(state=state, since=NOW - since),
        probed_at=NOW - last,
        newest=probe(account, state),
        **{"day": Uptime(up=86_400), "month": Uptime(up=2_592_000), "signals": SEEN, **values},
    )


def history(**accounts):
    told = {"openai": watched("openai"), "anthropic": watched("anthropic"), **accounts}
    return History(now=NOW, accounts=told, workers=("gateway-1",))


def report(fresh=(), of=None, *, has_gateway=True):
    return assess_health(ACCOUNTS, fresh, of or history(), has_gateway=has_gateway)


def test_all_that_answer_under_a_watch_that_is_at_it_are_verified():
    found = report([probe("openai"), probe("anthropic", DEGRADED, error_class="slow", http_status=200)])
    assert (found.verdict, found.findings) == (Verdict.VERIFIED, ())
    page = render_health(found)
    assert "verdict: VERIFIED" in page
    assert "1,200" in page
    assert "12 (1.0%)" in page
    assert "310 / 1,400 ms" in page
    assert "90 (7.7%)" in page


def test_the_watchs_own_view_is_enough_where_nobody_asks_now():
    found = report()
    assert found.verdict is Verdict.VERIFIED
    assert [each.since for each in found.accounts] == [ago(days=3)] * 2


def test_an_outage_is_told_first_with_its_beginning_and_its_reason():
    silent = watched("anthropic", last=timedelta(minutes=10), state=UNKNOWN)
    down = watched("openai", DOWN, timedelta(minutes=31), day=Uptime(up=84_540, down=1_860))
    found = report([probe("openai", DOWN), probe("anthropic")], history(openai=down, anthropic=silent))
    assert found.verdict is Verdict.REFUTED
    first, second = found.findings
    assert first == "openai is DOWN since 2026-11-26 02:41:07 UTC, 31 min: its provider fails (ConnectError)"
    assert "the watch has not asked anthropic since" in second
    page = render_health(found)
    assert page.index("verdict: REFUTED") < page.index("openai is DOWN") < page.index("| account |")
    assert "97.847%, 31 min down" in page


def test_a_refused_key_is_told_as_ours():
    refused = probe("openai", REFUSED, http_status=401, error_class="http_401")
    found = report([refused, probe("anthropic")])
    assert found.verdict is Verdict.REFUTED
    # The watch still saw it up: for how long it is refused nobody knows.
    assert found.findings == ("openai is REFUSED: it does not take our key or address (http_401)",)


@pytest.mark.parametrize(
    ("fresh", "of", "told"),
    [
        ((), {"openai": watched("openai", UNKNOWN, last=timedelta(seconds=91))}, "openai is UNKNOWN"),
        ((), {"openai": Watched()}, "has not asked openai within the last day"),
        (
            [probe("openai", UNKNOWN, latency_ms=None, told="its key could not be read: gone")],
            {},
            "key could not be read",
        ),
    ],
)
def test_what_nobody_knows_is_never_green(fresh, of, told):
    found = report(fresh, history(**of))
    assert found.verdict is Verdict.UNKNOWN
    assert any(told in each for each in found.findings)


def test_with_the_database_away_the_providers_answer_is_told_and_the_rest_is_unknown():
    found = report([probe("openai"), probe("anthropic")], NoHistory(reason="PostgreSQL is not available"))
    assert (found.verdict, found.workers) == (Verdict.UNKNOWN, None)
    assert [each.state for each in found.accounts] == [UP, UP]
    assert "Workers of the gateway: UNKNOWN" in render_health(found)


def test_a_gateway_without_workers_is_not_green_where_there_is_to_be_one():
    nobody = history().model_copy(update={"workers": ()})
    assert report(of=nobody).verdict is Verdict.UNKNOWN
    assert report(of=nobody, has_gateway=False).verdict is Verdict.VERIFIED


def test_the_error_says_the_first_finding_and_carries_the_report():
    found = report([probe("openai", DOWN), probe("anthropic")])
    error = ProvidersNotWell(found)
    assert error.report == found
    assert "openai is DOWN" in error.message
