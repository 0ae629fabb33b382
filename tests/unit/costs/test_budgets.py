import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest

from steward.costs.budgets.budget_page import budget_table, render_budgets
from steward.costs.budgets.budgets import (
    Alert,
    Budget,
    BudgetPolicy,
    BudgetsUnusable,
    Key,
    Stop,
    budget_status,
    decide,
    load_budgets,
)
from steward.costs.budgets.spending import Scope, Spend, SpendCountedTwice, billed_spends, daily, ledger_spends
from tests.unit.costs.statement_samples import ANTHROPIC, OPENAI, charge, day, result

SHIPPED = Path(__file__).parents[3] / "deployments" / "costs" / "budgets.toml"
NOBODY = frozenset()


def budget(**changes):
    return Budget.model_validate({"name": "platform", "provider": "openai", "monthly_usd": "100"} | changes)


def spent(*amounts, name="openai", scope=Scope.PROVIDER):
    """From the first of October on; None: not known."""
    return daily(
        Spend(scope=scope, name=name, day=day(n + 1), amount=Decimal(amount))
        for n, amount in enumerate(amounts)
        if amount is not None
    )


def decided(amounts, *, entered=NOBODY, through=31, **changes):
    policy = BudgetPolicy(budgets=(budget(**({"forecast_alert": False} | changes)),))
    return decide(policy, spent(*amounts), day(through), entered)


def keys(decisions):
    return [each.key.threshold for each in decisions]


@pytest.mark.parametrize(
    ("amount", "told"),
    [("49.99", []), ("50", ["50"]), ("79.99", ["50"]), ("80", ["80"]), ("100", ["100"]), ("250", ["100"])],
)
def test_of_the_thresholds_that_are_reached_the_highest_is_told(amount, told):
    assert keys(decided([amount])) == told


def test_what_was_entered_is_not_decided_again_and_a_new_month_begins_anew():
    (alert,) = decided(["85"])
    assert alert.key == Key("platform", "2026-10", "80")
    assert decided(["85"], entered={alert.key}) == ()
    assert decided(["85"], entered={("platform", "2026-10", "80")}) == ()
    assert keys(decided(["85"], entered={Key("platform", "2026-09", "80")})) == ["80"]
    assert keys(decided(["85"], entered={Key("other", "2026-10", "80")})) == ["80"]


def test_a_restatement_that_lowers_what_was_spent_tells_no_lower_threshold():
    assert decided(["55"], entered={Key("platform", "2026-10", "80")}) == ()
    assert keys(decided(["101"], entered={Key("platform", "2026-10", "80")})) == ["100"]


def test_nothing_stops_unless_the_policy_says_so():
    assert not [each for each in decided(["500"]) if isinstance(each, Stop)]
    decisions = decided(["500"], hard_stop=True)
    assert [type(each) for each in decisions] == [Alert, Stop]
    assert keys(decisions) == ["100", "stop"]
    stop = decisions[1]
    assert (stop.scope, stop.subject, stop.limit, stop.amount) == (Scope.PROVIDER, "openai", 100, 500)
    assert keys(decided(["500"], hard_stop=True, entered={stop.key})) == ["100"]


def test_only_what_was_spent_stops_and_never_a_forecast():
    decisions = decided(["9"] * 10, through=10, hard_stop=True, forecast_alert=True)
    assert keys(decisions) == ["80", "forecast"]


def test_who_spends_too_fast_is_told_once_and_before_it_is_spent():
    (alert,) = decided(["4", "4", "4"], through=3, forecast_alert=True)
    assert alert.threshold == "forecast"
    assert alert.amount == 124
    assert "provider openai is expected to come to $124.00 of $100.00 in 2026-10" in alert.sentence
    assert decided(["4", "4", "4"], through=3, forecast_alert=True, entered={alert.key}) == ()
    assert decided(["3", "3", "3"], through=3, forecast_alert=True) == ()
    assert decided(["4", "4", "4"], through=3, forecast_alert=False) == ()


def test_days_that_are_not_known_reach_no_threshold_and_hide_none():
    assert decided([None, "45", None]) == ()
    (alert,) = decided([None, "80", None], through=3)
    assert "at least $80.00 of $100.00 in 2026-10; 2 days are not known" in alert.sentence
    assert decided([None, None]) == ()


def test_a_stop_needs_what_is_known_to_reach_the_limit():
    assert keys(decided(["99.99", None], hard_stop=True)) == ["80"]


def test_a_budget_is_held_against_its_own_tenant_project_or_provider():
    policy = BudgetPolicy(
        budgets=(
            Budget(name="t", tenant="same", monthly_usd=Decimal(10)),
            Budget(name="p", project="same", monthly_usd=Decimal(10)),
        )
    )
    found = decide(policy, spent("50", name="same", scope=Scope.PROJECT), day(1), NOBODY)
    assert [each.budget for each in found] == ["p"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[[budgets]]\nname = "a"\nmonthly_usd = "1"\n', "is of one tenant, project or provider"),
        ('[[budgets]]\nname = "a"\ntenant = "x"\nproject = "y"\nmonthly_usd = "1"\n', "is of one tenant"),
        ('[[budgets]]\nname = "a"\ntenant = "x"\nmonthly_usd = "0"\n', "greater than 0"),
        ('[[budgets]]\nname = "a"\ntenant = "x"\nmonthly_usd = "nan"\n', "monthly_usd"),
        ('[[budgets]]\nname = "a"\ntenant = "x"\nmonthly_usd = true\n', "monthly_usd"),
        ('[[budgets]]\nname = "a"\ntenant = "x"\nmonthly_usd = "1"\nalerts = [80, 50]\n', "are to rise"),
        ('[[budgets]]\nname = "a"\ntenant = "x"\nmonthly_usd = "1"\nhard_stop = "yes"\n', "hard_stop"),
        ('[[budgets]]\nname = "a b"\ntenant = "x"\nmonthly_usd = "1"\n', "name"),
        ('[[budgets]]\nname = "a"\ntenant = "x"\nmonthly_usd = "1"\nlimit = 1\n', "limit"),
        ('[[budgets]]\nname = "a"\ntenant = "x"\nmonthly_usd = "1"\n' * 2, "two budgets are named a"),
        ("[[budget]]\n", "budget"),
        ("budgets = [", "Invalid"),
    ],
)
def test_a_policy_that_is_not_understood_is_refused(tmp_path, text, reason):
    file = tmp_path / "budgets.toml"
    file.write_text(text)
    with pytest.raises(BudgetsUnusable) as refused:
        load_budgets(file)
    assert reason in refused.value.message
    assert refused.value.hint


def test_a_policy_that_is_not_there_is_refused_and_not_taken_for_an_empty_one(tmp_path):
    with pytest.raises(BudgetsUnusable, match="No such file"):
        load_budgets(tmp_path / "budgets.toml")


def test_the_shipped_example_is_empty_and_its_commented_entries_are_a_policy(tmp_path):
    assert load_budgets(SHIPPED).budgets == ()
    example = SHIPPED.read_text().split("# An entry:\n")[1].split("# Each decision")[0]
    file = tmp_path / "budgets.toml"
    file.write_text("\n".join(each.removeprefix("#").removeprefix(" ") for each in example.splitlines()))
    platform, project, tenant = load_budgets(file).budgets
    assert (platform.of, platform.monthly_usd) == ((Scope.PROVIDER, "openai"), 5000)
    assert (project.of, project.alerts, project.hard_stop) == ((Scope.PROJECT, "proj_support"), (50, 80, 100), False)
    assert (tenant.of, tenant.hard_stop) == ((Scope.TENANT, "acme"), True)


def test_a_number_of_toml_is_money_to_the_last_digit(tmp_path):
    file = tmp_path / "budgets.toml"
    file.write_text('[[budgets]]\nname = "a"\ntenant = "x"\nmonthly_usd = 0.1000000000000000055\n')
    assert load_budgets(file).budgets[0].monthly_usd == Decimal("0.1000000000000000055")


def test_a_providers_day_is_known_only_where_all_its_accounts_are():
    results = [result(day(1)), result(day(2)), result(day(1), account="openai-lab", ledger="5")]
    found = daily(billed_spends(results, {OPENAI: "openai", "openai-lab": "openai", ANTHROPIC: "anthropic"}))
    assert found[Scope.PROVIDER, "openai"] == {day(1): 15}
    assert (Scope.PROVIDER, "anthropic") not in found


def test_a_project_without_a_charge_on_a_known_day_cost_nothing_that_day():
    results = [result(day(1), charges=[charge("3"), charge("4", project="proj_2")]), result(day(2))]
    found = daily(billed_spends(results, {OPENAI: "openai"}))
    assert found[Scope.PROJECT, "proj_1"] == {day(1): 3, day(2): 10}
    assert found[Scope.PROJECT, "proj_2"] == {day(1): 4, day(2): 0}


def test_a_tenant_spent_nothing_only_on_days_that_the_ledger_has_whole():
    found = daily(ledger_spends({("acme", day(1)): Decimal(2), ("acme", day(3)): Decimal(9)}, [day(1), day(2)]))
    assert found == {(Scope.TENANT, "acme"): {day(1): 2, day(2): 0}}


def test_nothing_is_counted_twice():
    with pytest.raises(SpendCountedTwice, match="two results of 2026-10-01"):
        billed_spends([result(), result(reading="T+1")], {OPENAI: "openai"})
    twice = Spend(scope=Scope.TENANT, name="acme", day=day(1), amount=Decimal(1))
    with pytest.raises(SpendCountedTwice, match="two amounts of 2026-10-01"):
        daily([twice, twice])


def test_a_page_of_budgets_tells_decisions_first_and_takes_nothing_unknown_for_an_amount():
    policy = BudgetPolicy(budgets=(budget(hard_stop=True), budget(name="unseen", provider="nobody")))
    known = spent(*["40"] * 3, None)
    statuses = budget_status(policy, known, day(4))
    page = render_budgets(statuses, decide(policy, known, day(4), NOBODY))
    lines = page.splitlines()
    assert lines[0] == "# Budgets, 2026-10, through 2026-10-04"
    assert lines[2].startswith("- ALERT: provider openai has spent at least $120.00 of $100.00")
    assert lines[3].startswith("- STOP: provider openai")
    rows = budget_table(statuses)
    assert (rows[0]["spent"], rows[0]["of the limit"]) == ("at least $120.00", "at least 120.00 %")
    assert (rows[1]["spent"], rows[1]["expected"], rows[1]["of the limit"]) == ("not known", "not known", "")
    assert not statuses[1].is_known
    assert dt.date(2026, 10, 4) == statuses[0].forecast.through
