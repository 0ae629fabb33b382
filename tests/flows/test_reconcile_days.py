"""Days of costs as a flow: explained from kept pages and sealed hours, UNKNOWN where anything is missing, killed anywhere."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from prefect import tags

import flows.reconcile_days
from flows.reconcile_days import reconcile_days
from steward.__main__ import main
from steward.clients.cost_book import day_named, readings_of
from steward.clients.cost_pages import load_result
from steward.clients.postgres import connect
from steward.clients.s3 import open_evidence_bucket
from steward.costs.day_report import DaysNotKnown
from steward.costs.money import total
from steward.costs.planning import DaysRequest
from steward.costs.results import DayResult
from steward.settings import load
from steward.verdicts import Verdict
from tests.flows.costs_ground import ACCOUNTS, DAYS, laid, twins
from tests.flows.killed_runs import Death, run_killed
from tests.flows.prefect_server import recording_in
from tests.flows.provider_ground import written
from tests.integration.costs_ground import cut, meddling

pytestmark = pytest.mark.without_search

__all__ = ["laid", "twins"]

OPENAI = "openai"
DEARER = """
[[prices]]
provider = "openai"
model = "gpt-4.1-2025-04-14"
tier = "default"
from = 2026-10-01
prices = { input_uncached = 20, input_cached = 5, output = 80 }
"""


@pytest.fixture
def flows_run(laid, in_replica, tmp_path, monkeypatch):
    """As whoever runs flows here has it: settings, a ledger, a server that records them."""

    def settled(settings=laid):
        path = written(settings, tmp_path)
        monkeypatch.setenv("STEWARD_SETTINGS", str(path))
        return path

    settled()
    with recording_in(in_replica):
        yield settled


def asked(reading, account=OPENAI, days=DAYS[:1]):
    return DaysRequest(account=account, days=days, reading=reading, final=True)


def kept(request):
    with connect(load()) as db:
        return [day_named(db, request.account, day, request.reading) for day in request.days]


def result_of(day):
    with open_evidence_bucket(load()) as objects:
        return DayResult.from_json(load_result(objects, day.result))


def unknown(request):
    with pytest.raises(DaysNotKnown) as found:
        reconcile_days(request)
    assert found.value.verdict is Verdict.UNKNOWN
    return found.value.report


@pytest.mark.parametrize("account", ACCOUNTS)
def test_each_day_is_explained_to_the_last_digit_and_kept_with_its_figures(flows_run, account):
    request = asked("T+1", account, DAYS)
    report = reconcile_days(request)
    assert report.verdict is Verdict.VERIFIED
    for day in kept(request):
        result = result_of(day)
        assert day.verdict is not Verdict.UNKNOWN
        assert result.billed > 0
        assert total([result.ledger, *(share.amount for share in result.shares)]) + result.unexplained == result.billed
        assert abs(result.unexplained) <= result.bound
        assert Decimal(day.figures["ledger"]) == result.ledger
        # Of what the ledger has of the day, every token is some tenant's.
        assert sum(map(float, day.figures["tenants"].values())) == pytest.approx(float(result.ledger))
        assert result.pages


def test_planted_causes_are_found_where_they_were_planted(flows_run):
    reconcile_days(asked("planted", days=DAYS[1:2]))
    (day,) = kept(asked("planted", days=DAYS[1:2]))
    found = {(share.cause.value, share.project) for share in result_of(day).shares}
    assert ("cache_split", "proj_2") in found
    assert not {name for name, _ in found} - {"cache_split", "unknown_attempts", "estimated_streams"}


def test_a_day_that_was_read_under_a_name_is_not_read_again_under_it(flows_run, laid, twins):
    request = asked("once")
    reconcile_days(request)
    with meddling(laid.providers[OPENAI].url) as meddler:
        flows_run(at(laid, meddler.url))
        assert reconcile_days(request.model_copy(update={"final": False})).days[0].sha256
        assert not [path for path in meddler.asked if "usage" in path or "costs" in path]


def test_what_was_stored_of_a_day_is_what_its_pages_and_hours_come_to_again(flows_run, laid, tmp_path, capsys):
    request = asked("stored", days=DAYS[2:])
    reconcile_days(request)
    first = str(DAYS[2])
    command = ["costs", "recompute", OPENAI, first, first]
    assert main(command) == 0
    assert f"{first} stored: the same" in capsys.readouterr().out
    # At other prices it is another day, and whoever asks is told in what.
    prices = tmp_path / "prices.toml"
    prices.write_text(laid.costs.prices.read_text() + DEARER)
    flows_run(laid.model_copy(update={"costs": laid.costs.model_copy(update={"prices": prices})}))
    assert main(command) == 1
    assert f"{first} stored: other prices, ledger, shares" in capsys.readouterr().err


# Two of many: `make drill-costs` kills it everywhere.
@pytest.mark.parametrize(("when", "step"), [("after", "read_pages"), ("before", "explain_day")])
def test_killed_at_any_step_the_next_run_comes_to_what_a_clean_one_does(flows_run, in_replica, when, step):
    clean = asked("clean")
    if kept(clean) == [None]:
        reconcile_days(clean)
    request = asked(f"killed-{when}-{step}"[:40])
    told, flow = request.model_dump(mode="json"), "flows.reconcile_days.reconcile_days"
    run_killed(in_replica, flows_run(), flow, told, Death(when, step), period="night")
    with tags("period:night"):
        assert reconcile_days(request).verdict is Verdict.VERIFIED
    (one,), (other,) = kept(clean), kept(request)
    assert one.figures == other.figures
    with connect(load()) as db:
        assert [each.reading for each in readings_of(db, OPENAI, DAYS[0])].count(request.reading) == 1


def at(settings, url):
    """The account of OpenAI, reached there."""
    changed = settings.providers[OPENAI].model_copy(update={"url": url})
    return settings.model_copy(update={"providers": {**settings.providers, OPENAI: changed}})


def instead(change):
    """Of costs alone: usage stays as it is."""

    def meddle(path, answer):
        return change(answer) if "/costs" in path else answer

    return meddle


def in_euros(answer):
    status, headers, body = answer
    told = json.loads(body)
    for bucket in told["data"]:
        for result in bucket["results"]:
            result["amount"]["currency"] = "eur"
    return status, headers, json.dumps(told).encode()


def refused(_answer):
    return 401, {}, b'{"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}'


def without_a_bucket(answer):
    status, headers, body = answer
    told = json.loads(body)
    told["data"] = []
    return status, headers, json.dumps(told).encode()


def stated_twice(answer):
    status, headers, body = answer
    told = json.loads(body)
    told["data"] *= 2
    return status, headers, json.dumps(told).encode()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (in_euros, "'eur'"),
        (refused, "401"),
        (cut, "broke off"),
        (without_a_bucket, "no bucket"),
        (stated_twice, "twice"),
    ],
)
def test_a_day_whose_pages_are_no_bill_is_unknown_and_has_no_figure(flows_run, laid, change, said, monkeypatch):
    monkeypatch.setattr(flows.reconcile_days, "read_pages", flows.reconcile_days.read_pages.with_options(retries=0))
    with meddling(laid.providers[OPENAI].url) as meddler:
        meddler.meddle = instead(change)
        flows_run(at(laid, meddler.url))
        request = asked(f"bad-{change.__name__}".replace("_", "-"))
        report = unknown(request)
    (day,) = kept(request)
    assert (day.verdict, day.figures, day.result) == (Verdict.UNKNOWN, None, None)
    assert said in day.reason
    assert report.days[0].reason == day.reason
    with connect(load()) as db:
        assert request.reading not in [each.reading for each in readings_of(db, OPENAI, DAYS[0])]


def test_a_price_that_nobody_knows_makes_the_day_unknown(flows_run, laid):
    # The public list alone does not know what GPT-6's tiers cost before the middle of October.
    flows_run(laid.model_copy(update={"costs": laid.costs.model_copy(update={"prices": None})}))
    request = asked("no-price")
    assert "has no price" in unknown(request).days[0].reason
    assert kept(request)[0].figures is None


def test_a_day_of_which_the_ledger_is_not_sealed_yet_is_unknown_and_the_others_are_explained(flows_run):
    after = (DAYS[-1], DAYS[-1] + (DAYS[1] - DAYS[0]))
    report = unknown(asked("unsealed", days=after))
    assert [each.verdict is Verdict.UNKNOWN for each in report.days] == [False, True]
    assert "hours of the ledger are not sealed" in report.days[1].reason


def test_a_day_before_the_ledger_is_unknown(flows_run):
    before = DAYS[0] - 3 * (DAYS[1] - DAYS[0])
    assert "it begins" in unknown(asked("before", days=(before,))).days[0].reason
