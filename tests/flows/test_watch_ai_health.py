"""The report on AI providers as a flow: recorded by Prefect, true at once, and there also while the database is away."""

from __future__ import annotations

import pytest
from prefect import State

import tasks.provider_health
from flows.watch_ai_health import HealthRequest, watch_ai_health
from services.watch.providers import Providers
from services.watch.situation import Situation
from steward.ai.health_report import ProvidersNotWell
from steward.ai.probing import ProviderState
from steward.clients import postgres
from steward.operations.ledger import Ledger
from steward.verdicts import Verdict
from tests.flows.prefect_server import artifact, recording_in
from tests.flows.provider_ground import provider_ground, written
from tests.integration.attempts_ground import asked, completed, with_ledger
from tests.integration.closed_doors import silent_port
from tests.integration.fresh_database import changed
from tests.testbed.providers.ground import running_twins

pytestmark = pytest.mark.without_search

UP, DEGRADED, DOWN, REFUSED, UNKNOWN = ProviderState
SEEN = HealthRequest(probe_now=False)


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    with running_twins(tmp_path_factory.mktemp("twins")) as running:
        yield running


@pytest.fixture(scope="module")
def laid(replica, twins):
    with provider_ground(replica, twins) as settings:
        yield settings


@pytest.fixture
def settings(laid, twins, in_replica, tmp_path, monkeypatch):
    twins.admin("POST", "/begin-anew")
    monkeypatch.setenv("STEWARD_SETTINGS", str(written(laid, tmp_path)))
    with recording_in(in_replica):
        yield laid


def refused(request=SEEN):
    with pytest.raises(ProvidersNotWell) as found:
        watch_ai_health(request)
    return found.value.report


def watched(settings):
    """A round of the watch."""
    Providers(Situation(Ledger(settings, patience_seconds=0), [])).round()


def used(settings):
    """Three attempts of now: answered at once, answered late, failed."""

    async def act(ledger):
        for outcome in (
            completed(first_token_ms=100),
            completed(first_token_ms=900, latency_ms=2500),
            completed(ending="timed_out", usage=None, http_status=None),
        ):
            attempt = asked(account="openai")
            await ledger.send(attempt)
            await (ledger.settle if outcome.usage else ledger.unknown)(attempt.id, outcome)

    with_ledger(settings, act)


def test_from_a_silent_watch_to_a_report_that_is_verified_to_an_outage(settings, twins):
    report = refused()
    assert (report.verdict, {each.state for each in report.accounts}) == (Verdict.UNKNOWN, {UNKNOWN})
    watched(settings)
    used(settings)
    report = watch_ai_health(SEEN)
    assert report.verdict is Verdict.VERIFIED
    [anthropic, openai] = report.accounts
    assert (openai.state, openai.is_asked_now, anthropic.watched.signals.attempts) == (UP, False, 0)
    signals = openai.watched.signals
    assert (signals.attempts, signals.ended, signals.failed, signals.completed, signals.slow) == (3, 3, 1, 2, 1)
    assert (signals.first_token_p50_ms, signals.first_token_p95_ms) == (100, 900)
    assert openai.watched.month.percent == 100
    assert openai.watched.day.unknown == pytest.approx(86_400, abs=60)

    twins.lay("dark", provider="openai")
    report = refused(HealthRequest())
    assert (report.verdict, report.accounts[1].state, report.accounts[0].state) == (Verdict.REFUTED, DOWN, UP)
    shown = artifact("ai-health")
    assert shown.index("verdict: REFUTED") < shown.index("openai is DOWN") < shown.index("| account |")


def test_with_the_database_away_it_tells_what_providers_answer(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(tasks.provider_health, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(postgres, "CONNECT_TIMEOUT_SECONDS", 2)
    with silent_port() as hanging:
        for port, told in ((9, "PostgreSQL at 127.0.0.1:9"), (hanging, "no answer within 0.5 s")):
            away = changed(settings, "postgres", url=f"postgresql://steward@127.0.0.1:{port}/steward")
            monkeypatch.setenv("STEWARD_SETTINGS", str(written(away, tmp_path)))
            report = refused(HealthRequest())
            assert (report.verdict, [each.state for each in report.accounts]) == (Verdict.UNKNOWN, [UP, UP])
            assert told in report.findings[0]


def test_settings_without_a_provider_are_nothing_to_tell(settings, tmp_path, monkeypatch):
    without = settings.model_copy(update={"providers": {}})
    monkeypatch.setenv("STEWARD_SETTINGS", str(written(without, tmp_path)))
    ended = watch_ai_health.fn()
    assert isinstance(ended, State)
    assert (ended.type, ended.name) == ("COMPLETED", "NothingToTell")
