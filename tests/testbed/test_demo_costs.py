"""The demo of costs on real servers: what it lays, twice and too late, and how its users come in."""

from __future__ import annotations

import datetime as dt
import json
import tempfile
import tomllib

import duckdb
import pytest

from demo.costs.incidents import OPENAI, STRAY, Incident
from demo.costs.laying import LedgerBeginsLater, lay_month
from demo.costs.play import last_month
from demo.costs.sides import Span
from demo.costs.twins import TwinsAdministration
from demo.costs.users import CALLER, admit
from services.gateway.callers import TENANT_HEADER, Callers
from steward.ai.sealing import HOUR, plan_hours, sha256_of
from steward.clients.attempts_hours import sealed_hour, survey
from steward.clients.attempts_parquet import COLUMNS
from steward.clients.cost_hours import open_sealed_day
from steward.clients.postgres import connect
from steward.clients.s3 import open_evidence_bucket
from tests.flows.provider_ground import provider_ground
from tests.testbed.providers.ground import running_twins

pytestmark = pytest.mark.without_search

SPAN = Span(dt.date(2026, 10, 13), 1)
PAST = (Incident("past_gateway", OPENAI, "proj_1", 1, 0, 24, f"{STRAY} asked past the gateway"),)
ATTEMPTS = 300


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    with (
        running_twins(tmp_path_factory.mktemp("twins")) as running,
        TwinsAdministration(running.admin_url.removesuffix("/admin"), running.secret("token")) as administration,
    ):
        yield running, administration


@pytest.fixture(scope="module")
def laid(replica, twins):
    with provider_ground(replica, twins[0]) as settings:
        lay(settings, twins)
        yield settings


def lay(settings, twins):
    return lay_month(settings, twins[1], SPAN, ATTEMPTS, incidents=PAST, last_hour=SPAN.end)


def hours(settings):
    with connect(settings) as db:
        return [sealed_hour(db, SPAN.begin + number * HOUR) for number in range(-1, 25)]


def billed(twins):
    lines = twins[1].invoice(OPENAI, f"{SPAN.first:%Y-%m}")["lines"]
    return sum(line["quantity"] for line in lines), {line["project"] for line in lines}


def test_laid_hours_name_each_other_and_are_what_their_manifests_say(laid):
    found = hours(laid)
    before = None
    with open_evidence_bucket(laid) as bucket:
        for each in found:
            manifest = bucket.get(each.manifest_key)
            told = json.loads(manifest.body)
            assert told["previous"] == before
            assert told["sha256"] == each.sha256 == sha256_of(bucket.get(each.object_key).body)
            assert manifest.locked_until is not None
            before = sha256_of(manifest.body)
    assert sum(each.rows for each in found) < ATTEMPTS


def test_laid_hours_have_the_columns_of_sealed_ones(laid):
    with open_evidence_bucket(laid) as bucket, tempfile.NamedTemporaryFile() as file:
        file.write(bucket.get(hours(laid)[12].object_key).body)
        file.flush()
        laid_out = duckdb.read_parquet(file.name)
        found = dict(zip(laid_out.columns, map(str, laid_out.types), strict=True))
    assert found == {name: kind.replace("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE") for name, kind in COLUMNS.items()}
    assert [*found] == [*COLUMNS]


def test_sealing_goes_on_where_the_laid_hours_end(laid):
    with connect(laid) as db:
        assert plan_hours(survey(db))[0] == SPAN.end + HOUR


def test_what_went_past_the_gateway_is_billed_and_is_not_in_the_ledger(laid, twins):
    with open_sealed_day(laid, "openai", SPAN.first, {}, {}) as (ledger, _):
        entered = sum(sum(each.quantities) for each in ledger.entered)
    tokens, projects = billed(twins)
    assert "proj_1" in projects
    assert tokens > entered > 0


def test_a_month_that_lies_there_is_taken_as_it_is(laid, twins):
    before, was_billed = hours(laid), billed(twins)
    assert lay(laid, twins).hours == 0
    assert (hours(laid), billed(twins)) == (before, was_billed)


def test_a_month_is_not_laid_before_a_ledger_that_has_begun(laid, twins):
    earlier = Span(SPAN.first - dt.timedelta(days=2), 1)
    with pytest.raises(LedgerBeginsLater, match="make clean"):
        lay_month(laid, twins[1], earlier, ATTEMPTS, incidents=(), last_hour=earlier.end)


@pytest.mark.parametrize(
    ("now", "month"),
    [
        ("2026-11-26T12:00", "2026-10"),
        ("2026-11-01T01:59", "2026-09"),
        ("2026-11-01T02:00", "2026-10"),
        ("2027-01-31T00:00", "2026-12"),
    ],
)
def test_the_month_is_over_and_the_hour_after_it_too(now, month):
    assert last_month(dt.datetime.fromisoformat(f"{now}+00:00")) == month


def test_a_caller_for_all_tenants_is_let_in_beside_those_that_are_there(tmp_path):
    callers, file = tmp_path / "callers.toml", tmp_path / "key"
    callers.write_text(f'[[caller]]\nid = "crm"\nsha256 = "{"0" * 64}"\ntenant = "acme"\n')
    key = admit(callers, file)
    assert admit(callers, file) == key
    assert [each["id"] for each in tomllib.loads(callers.read_text())["caller"]] == ["crm", CALLER]
    asked = {"authorization": f"Bearer {key}", TENANT_HEADER: "globex"}
    assert Callers(callers).find(asked).tenant == "globex"
    assert file.stat().st_mode & 0o077 == 0
