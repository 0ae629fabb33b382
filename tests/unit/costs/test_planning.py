"""What a run reads and states: what is due, a period, a month; and what it refuses before anything is read."""

import datetime as dt

import pytest
from pydantic import ValidationError

from steward.costs.planning import ReconciliationRequest, RequestInvalid, plan_costs
from steward.costs.report import NotHad, StatedPeriod, verdict_on
from steward.verdicts import Verdict

TODAY = dt.date(2026, 11, 26)
NOW = dt.datetime(2026, 11, 26, 6, 3, tzinfo=dt.UTC)
BOTH = {"openai-main": "openai", "anthropic-main": "anthropic"}
SINCE = dt.date(2026, 9, 1)


def planned(since=SINCE, known=(), providers=BOTH, **request):
    return plan_costs(ReconciliationRequest(**request), providers, NOW, TODAY, since=since, known=known)


def day(number, month=10):
    return dt.date(2026, month, number)


def test_a_day_is_due_one_three_and_thirty_five_days_after_it_for_every_account():
    plan = planned()
    asked = {(each.account, each.reading): (each.days, each.final) for each in plan.partitions}
    for account in BOTH:
        assert asked[account, "T+1"] == ((day(25, 11),), False)
        assert asked[account, "T+3"] == ((day(23, 11),), False)
        assert asked[account, "T+35"] == ((day(22),), True)
    assert len(asked) == 6
    assert [str(each) for each in plan.periods] == ["2026-11-25", "2026-11-23", "2026-10-22"]


def test_days_before_the_ledger_are_not_due_and_the_run_says_so():
    plan = planned(since=day(25, 11))
    assert [each.reading for each in plan.partitions] == ["T+1", "T+1"]
    assert plan.notes == (
        "T+3 of 2026-11-23: the ledger begins later",
        "T+35 of 2026-10-22: the ledger begins later",
    )


def test_without_a_ledger_nothing_is_due_and_that_is_no_verified_run():
    plan = planned(since=None)
    assert (plan.partitions, plan.periods) == ((), ())
    assert verdict_on(plan, (), (), ()) is Verdict.UNKNOWN


def test_a_month_is_read_in_runs_of_days_that_follow_each_other_and_only_where_it_is_not_known():
    known = {("openai-main", day(n)) for n in (1, 2, 3, 10)}
    plan = planned(month="2026-10", known=known, accounts=("openai-main",))
    assert [(each.days[0].day, each.days[-1].day, each.final) for each in plan.partitions] == [
        (4, 9, True),
        (11, 18, True),
        # The provider has had its time for what is 35 days old: until 22 October.
        (19, 22, True),
        (23, 30, False),
        (31, 31, False),
    ]
    assert {each.reading for each in plan.partitions} == {"month"}
    assert plan.against_invoices
    assert plan.subject == "openai-main"


def test_the_last_month_is_the_one_before_the_day_that_the_run_is_of():
    assert [str(each) for each in planned(month="last").periods] == ["2026-10"]
    at_new_year = dt.date(2027, 1, 4)
    asked = ReconciliationRequest(month="last")
    assert str(plan_costs(asked, BOTH, NOW, at_new_year, since=SINCE).periods[0]) == "2026-12"
    assert asked.subject == "all last"


def test_each_day_of_a_period_is_read_once_by_any_size_of_runs():
    for days_a_run in (1, 7, 31):
        plan = planned(first=day(20), last=day(5, 11), days_a_run=days_a_run)
        for account in BOTH:
            days = [each for part in plan.partitions if part.account == account for each in part.days]
            assert days == list(plan.periods[0].days)
        assert max(len(each.days) for each in plan.partitions) <= days_a_run
    assert plan.subject == "all"


def test_a_period_asked_for_by_name_is_read_under_that_name():
    assert {each.reading for each in planned(first=day(1), last=day(2)).partitions} == {"manual"}
    assert {each.reading for each in planned(first=day(1), last=day(2), reading="again").partitions} == {"again"}


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"accounts": ("azure",)}, "there is no account azure with an admin key"),
        ({"first": day(2), "last": day(1)}, "has no day"),
        ({"first": day(20, 11), "last": TODAY}, "is not over"),
        ({"month": "2026-11"}, "is not over"),
        ({"first": dt.date(2026, 1, 1), "last": day(1)}, "expected at most 100"),
    ],
)
def test_what_cannot_be_reconciled_is_refused_with_a_hint(request_, said):
    with pytest.raises(RequestInvalid, match=said) as refused:
        planned(**request_)
    assert refused.value.hint


def test_settings_without_an_admin_key_are_refused():
    with pytest.raises(RequestInvalid, match="no account can be asked"):
        planned(providers={})


@pytest.mark.parametrize(
    "request_",
    [
        {"first": day(1)},
        {"month": "2026-10", "first": day(1), "last": day(2)},
        {"month": "2026-13"},
        {"reading": "a b"},
    ],
)
def test_a_form_that_contradicts_itself_is_refused(request_):
    with pytest.raises(ValidationError):
        ReconciliationRequest(**request_)


def test_requests_of_one_thing_exclude_each_other_and_of_two_do_not():
    assert ReconciliationRequest(label="again").subject == ReconciliationRequest().subject == "all due"
    subjects = {
        ReconciliationRequest(**each).subject
        for each in (
            {},
            {"month": "2026-10"},
            {"month": "2026-10", "reading": "again"},
            {"first": day(1), "last": day(1)},
            {"first": day(1), "last": day(1), "reading": "r-1"},
            {"accounts": ("openai-main",)},
        )
    }
    assert len(subjects) == 6


def stated(verdict):
    return StatedPeriod.model_construct(verdict=verdict)


LACKING = NotHad(account="openai-main", day=TODAY, reason="it does not answer")


@pytest.mark.parametrize(
    ("verdicts", "lacking", "errors", "expected"),
    [
        ([Verdict.VERIFIED] * 3, [], (), Verdict.VERIFIED),
        ([Verdict.VERIFIED] * 2, [], (), Verdict.UNKNOWN),
        ([Verdict.VERIFIED] * 3, [LACKING], (), Verdict.UNKNOWN),
        ([Verdict.VERIFIED] * 3, [], ("BudgetsUnusable: …",), Verdict.UNKNOWN),
        ([Verdict.VERIFIED, Verdict.REFUTED, Verdict.VERIFIED], [LACKING], (), Verdict.REFUTED),
    ],
)
def test_a_run_is_verified_only_where_everything_was_had_and_stated(verdicts, lacking, errors, expected):
    assert verdict_on(planned(), [stated(each) for each in verdicts], lacking, errors) is expected
