"""The watch over providers: what it saw is kept and read as spans, news are told once, and nothing that fails ends it."""

from __future__ import annotations

import time
from datetime import timedelta

import psycopg
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from replica import inventory
from services.watch.provider_metrics import ProviderCollector
from services.watch.providers import Providers
from services.watch.runs import event_of
from services.watch.situation import Situation
from services.watch.sweeping import Sweeping
from steward.ai.probing import ProviderState, uptime
from steward.clients.ai_probes import KEPT_DAYS, forget_probes, newest_probes, read_spans
from steward.clients.postgres import connect
from steward.migrations.apply import migrate
from steward.operations.alarms import unsent_alarms
from steward.operations.ledger import Ledger
from steward.settings import load
from tests.integration.attempts_ground import planted, rows
from tests.integration.fresh_database import changed, fresh_database
from tests.integration.providers.accounts import with_accounts
from tests.keyring_ground import query
from tests.testbed.providers.ground import Twins

pytestmark = pytest.mark.without_search

UP, DEGRADED, DOWN, REFUSED, UNKNOWN = ProviderState


@pytest.fixture(scope="module")
def database(replica):
    with fresh_database(load(inventory.settings_file(replica))) as fresh:
        migrate(fresh)
        yield fresh


@pytest.fixture
def settings(database, twins):
    query(database, "ALTER TABLE steward.ai_probes DISABLE TRIGGER USER")
    query(database, "DELETE FROM steward.ai_probes")
    for trigger in ("guard", "append_only"):
        query(database, f"ALTER TABLE steward.ai_probes ENABLE ALWAYS TRIGGER {trigger}")
    query(database, "DELETE FROM steward.operation_alarms")
    return with_accounts(database, twins)


def watch(settings):
    return Situation(Ledger(settings, patience_seconds=0), [])


def seen(settings, state, *ago, account="openai"):
    """Probes of so many seconds ago."""
    for seconds in ago:
        query(
            settings,
            "INSERT INTO steward.ai_probes (account, provider, probed_at, state, http_status, latency_ms, error_class)"
            " VALUES (%s, 'openai', now() - %s * interval '1 s', %s, %s, 5, %s)",
            account,
            seconds,
            str(state),
            None if state is DOWN else 200,
            None if state is UP else "planted",
        )


def told(settings):
    return query(settings, "SELECT subject, event FROM steward.operation_alarms ORDER BY occurred_at")


def metrics(situation):
    registry = CollectorRegistry()
    registry.register(ProviderCollector(situation))
    return generate_latest(registry).decode()


def test_an_outage_is_told_after_two_failures_and_its_end_after_one_answer_each_once(twins: Twins, settings) -> None:
    situation = watch(settings)
    loop = Providers(situation)
    seen(settings, UP, 90, 60)
    twins.lay("dark", provider="openai")
    loop.round()
    assert told(settings) == []
    seen(settings, DOWN, 30)
    for _ in range(2):
        loop.round()
        # Another watch sees the same.
        Providers(watch(settings)).round()
    assert told(settings) == [("openai", "steward.ai.provider_down")]
    [alarm] = unsent_alarms(situation.ledger)
    event = event_of(alarm)
    assert (event.resource.id, event.payload["error_class"]) == ("steward.ai.provider.openai", "RemoteProtocolError")
    assert 'steward_ai_provider_up{account="openai",provider="openai"} 0.0' in metrics(situation)
    twins.admin("DELETE", "/dials")
    for _ in range(2):
        loop.round()
    assert told(settings) == [("openai", "steward.ai.provider_down"), ("openai", "steward.ai.provider_recovered")]
    assert 'steward_ai_provider_up{account="openai",provider="openai"} 1.0' in metrics(situation)


def test_a_key_that_is_refused_is_told_as_ours_and_not_as_an_outage(twins: Twins, settings) -> None:
    seen(settings, REFUSED, 30)
    twins.lay("error", status=401, provider="openai")
    Providers(watch(settings)).round()
    assert told(settings) == [("openai", "steward.ai.provider_refused")]


def test_with_the_database_away_providers_are_asked_all_the_same(settings, capsys) -> None:
    situation = watch(changed(settings, "postgres", url="postgresql://steward@127.0.0.1:9/steward"))
    loop = Providers(situation)
    for _ in range(2):
        loop.round()
    assert {name: each.probe.state for name, each in situation.probes.items()} == {"openai": UP, "anthropic": UP}
    assert 'steward_ai_provider_state{account="anthropic",provider="anthropic",state="up"} 1.0' in metrics(situation)
    assert capsys.readouterr().out.count("probes are not kept") == 1


def test_what_was_seen_long_ago_is_absent_from_the_metrics(settings) -> None:
    situation = watch(settings)
    Providers(situation).round()
    old = situation.probes["openai"]
    situation.probes["openai"] = type(old)(old.probe, old.monotonic - 91, old.at)
    assert 'account="openai"' not in metrics(situation)
    assert 'account="anthropic"' in metrics(situation)


def test_probes_are_read_as_spans_and_gaps_part_them(settings) -> None:
    seen(settings, UP, 600, 570, 540, 300)
    seen(settings, DOWN, 270)
    seen(settings, UP, 60, account="anthropic")
    with connect(settings) as db:
        now, spans = read_spans(db, timedelta(hours=1))
        newest = newest_probes(db)
    assert [(each.state, each.probes) for each in spans["openai"]] == [(UP, 3), (UP, 1), (DOWN, 1)]
    assert [(each.state, each.probes) for each in spans["anthropic"]] == [(UP, 1)]
    assert newest["openai"][1].error_class == "planted"
    hour = uptime(spans["openai"], now - timedelta(hours=1), now)
    assert (hour.up, hour.down) == pytest.approx((60 + 90 + 30, 90), abs=1)
    assert hour.unknown == pytest.approx(3600 - 270, abs=1)


def test_what_was_seen_stays_as_it_was_until_it_is_old(settings) -> None:
    day = 24 * 3600
    seen(settings, UP, 30 * day, (KEPT_DAYS + 1) * day, (KEPT_DAYS + 2) * day)
    for statement in ("UPDATE steward.ai_probes SET state = 'down'", "TRUNCATE steward.ai_probes"):
        with pytest.raises(psycopg.errors.RestrictViolation):
            query(settings, statement)
    with pytest.raises(psycopg.errors.RestrictViolation, match="31 days"):
        query(settings, "DELETE FROM steward.ai_probes")
    with connect(settings) as db:
        assert forget_probes(db) == 2
    assert query(settings, "SELECT count(*) FROM steward.ai_probes") == [(1,)]


@pytest.mark.parametrize(
    "values",
    [
        "'x', 'openai', 'well', 200, 5, NULL",
        "'x', 'openai', 'up', NULL, 5, NULL",
        "'x', 'openai', 'down', NULL, 5, NULL",
        "'x', 'openai', 'unknown', NULL, 5, 'KeyNotRead'",
        "'x', 'openai', 'unknown', 200, NULL, 'KeyNotRead'",
        "'x', 'openai', 'down', NULL, 5, 'a sentence of the answer'",
    ],
)
def test_the_database_refuses_what_contradicts_itself_or_could_be_content(settings, values) -> None:
    columns = "account, provider, state, http_status, latency_ms, error_class"
    with pytest.raises(psycopg.errors.CheckViolation):
        query(settings, f"INSERT INTO steward.ai_probes ({columns}) VALUES ({values})")  # noqa: S608  the test's own words


def test_attempts_of_dead_workers_are_settled_only_by_a_watch_that_is_settled(settings) -> None:
    planted(settings, 2, count=2, state="sent")
    situation = watch(settings)
    sweeping = Sweeping(situation)
    sweeping.round()
    assert set(rows(settings)) == {("sent",)}
    # As after a minute of answers.
    situation.contact.settling_since, situation.contact._heard = time.monotonic() - 60, time.monotonic()
    sweeping.round()
    assert set(rows(settings)) == {("unknown",)}
    assert situation.acts["swept"] == 2
