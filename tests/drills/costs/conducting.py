"""A case from its first death to its judgement."""

import datetime as dt

import pytest
import tomli_w

from flows.cost_reconciliation import cost_reconciliation
from flows.reconcile_days import reconcile_days
from flows.seal_ai_attempts import SealRequest, seal_ai_attempts
from steward.costs.day_report import DaysNotKnown
from steward.costs.planning import DaysRequest, ReconciliationRequest
from steward.costs.report import CostsNotVerified
from steward.verdicts import Verdict
from tests.drills.costs.cases import ACCOUNTS, ALL, READING_POINTS
from tests.drills.costs.damage import damaging
from tests.drills.costs.ground import restate
from tests.drills.costs.judgement import Judgement
from tests.drills.costs.stand import Stand, reaper, worker
from tests.integration.costs_ground import meddling
from tests.keyring_ground import query
from tests.working import working

#: Of each, one that has a bill on any day.
PROJECTS = {"openai": "proj_2", "anthropic": "wrkspc_1"}
READING, LATER = "T+1", "T+3"
DECIDED = [("account", "100"), ("account", "stop"), ("part", "100")]


def accounts_of(case):
    return ACCOUNTS if case.account == ALL else (case.account,)


def clean_figures(ground, account, days):
    """By day, what a run that nothing happened to comes to, in a ledger of its own, with what the twins state now."""
    lacking = tuple(day for day in days if (account, day) not in ground.clean)
    if lacking:
        with ground.copied(ground.sealed) as (settings, folder), pytest.MonkeyPatch.context() as patched:
            Stand(ground, settings, folder, patched).run(reconcile_days, asked(account, lacking), "clean")
            for day, figures in query(settings, "SELECT day, figures FROM steward.cost_days"):
                ground.clean[account, day] = figures
    return {day: ground.clean[account, day] for day in days}


def asked(account, days, reading=READING):
    return DaysRequest(account=account, days=days, reading=reading, final=False)


def expected(case, reading, clean):
    return {(case.account, day, reading): figures for day, figures in clean.items()}


def conduct(case, ground):
    """The judgement of *case*, and the deaths that were met."""
    days = ground.days if case.kind in {"days", "reconciliation"} else ground.days[-1:]
    clean = {each: clean_figures(ground, each, days) for each in accounts_of(case)}
    with ground.copied(ground.opened if case.kind == "sealing" else ground.sealed) as (settings, folder):
        with pytest.MonkeyPatch.context() as patched:
            stand = Stand(ground, settings, folder, patched)
            judgement = Judgement(settings)
            KINDS[case.kind](case, stand, judgement, clean if case.kind == "reconciliation" else clean[case.account])
            judgement.objects()
            judgement.closed()
            judgement.tidy(stand.temporary)
        return judgement, stand.met


def killed_days(case, stand, judgement, clean):
    request = asked(case.account, tuple(clean))
    stand.killed(reconcile_days, request, "night", case.deaths)
    assert stand.run(reconcile_days, request, "night").verdict is Verdict.VERIFIED
    judgement.days(expected(case, READING, clean))
    judgement.focus(case.account, clean)


def meddled(case, stand, judgement, clean):
    """A page is damaged on its way; whatever the run then comes to, no figure is another, and the next has them all."""
    request, settings = asked(case.account, tuple(clean)), stand.settings
    provider = settings.providers[case.account]
    with meddling(provider.url) as meddler:
        meddler.meddle = damaging(case.meddling)
        changed = {**settings.providers, case.account: provider.model_copy(update={"url": meddler.url})}
        stand.settle(settings.model_copy(update={"providers": changed}))
        try:
            stand.run(reconcile_days, request, "meddled")
        except DaysNotKnown:
            """What has figures all the same is looked at."""
        for day, figures in query(settings, "SELECT day, figures FROM steward.cost_days WHERE verdict <> 'UNKNOWN'"):
            judgement.equal("differing_totals", f"{day} by damaged pages", figures, clean[day])
    stand.settle(settings)
    # Pages of a day that was read whole are not asked for again, and who was to die there would live.
    done = READING_POINTS if _is_known(stand) else ()
    deaths = [each for each in case.deaths if each not in done]
    stand.killed(reconcile_days, request, "mended", deaths)
    stand.run(reconcile_days, request, "mended")
    judgement.days(expected(case, READING, clean))
    judgement.focus(case.account, clean)


def _is_known(stand):
    return query(stand.settings, "SELECT verdict FROM steward.cost_days WHERE verdict <> 'UNKNOWN'") != []


def restated(case, stand, judgement, clean):
    """What was read first stays; what is read then is as if it had been read by itself.

    A reading that was not whole when its run died is read anew, of what is stated by then.
    """
    first, later = asked(case.account, tuple(clean)), asked(case.account, tuple(clean), LATER)
    stand.killed(reconcile_days, first, "night", case.deaths[:-1])
    stand.run(reconcile_days, first, "night")
    restate(stand.ground, case.account, first.days[0], 1000 + case.number)
    stand.killed(reconcile_days, later, "later", case.deaths[-1:])
    if case.deaths[-1] in READING_POINTS:
        restate(stand.ground, case.account, first.days[0], 2000 + case.number)
    stand.run(reconcile_days, later, "later")
    after = clean_figures(stand.ground, case.account, first.days)
    assert after != clean
    judgement.days(expected(case, READING, clean) | expected(case, LATER, after))
    judgement.focus(case.account, after)


def killed_sealing(case, stand, judgement, clean):
    """A ledger that is not whole has no costs; once it is, it has just those."""
    request = asked(case.account, tuple(clean))
    for number, death in enumerate(case.deaths):
        stand.killed(seal_ai_attempts, SealRequest(), "seal", [death])
        if number == 0:
            _not_sealed(stand, request, judgement)
    left = stand.run(seal_ai_attempts, SealRequest(), "seal").begun.left
    assert not left or _is_whole(stand), "so many hours after the day's are due that one run does not come to its end"
    stand.run(reconcile_days, request, "after")
    judgement.days(expected(case, READING, clean))
    judgement.evidence("seal-ai-attempts")


def _not_sealed(stand, request, judgement):
    if _is_whole(stand):
        return
    with pytest.raises(DaysNotKnown) as unknown:
        stand.run(reconcile_days, request, "between")
    assert "not sealed" in unknown.value.report.days[0].reason
    judgement.equal("differing_totals", "a day half sealed", _is_known(stand), False)


def _is_whole(stand):
    end = stand.ground.span.end
    return bool(query(stand.settings, "SELECT 1 FROM steward.ai_hours WHERE hour = %s AND sealed_at IS NOT NULL", end))


def killed_reconciliation(case, stand, judgement, clean):
    """Its children run on the replica's worker, and whoever of them dies is taken up by the watch."""
    _budgets(case, stand)
    first, last = stand.ground.days[0], stand.ground.days[-1]
    request = ReconciliationRequest(accounts=accounts_of(case), first=first, last=last, reading=READING)
    day = str(dt.datetime.now(dt.UTC).date())
    with working(stand.ground.place), worker(stand, case.children), reaper(stand):
        stand.killed(cost_reconciliation, request, day, case.deaths)
        try:
            stand.run(cost_reconciliation, request, day)
        except CostsNotVerified as finding:
            assert finding.verdict is Verdict.REFUTED, finding.report  # noqa: PT017  both are ends; figures are judged
    by_day = {(account, day, READING): each for account, found in clean.items() for day, each in found.items()}
    judgement.days(by_day)
    judgement.statement("cost-reconciliation", by_day, DECIDED)


def _budgets(case, stand):
    """Reached by any bill. What tenants spend is known only where every account is."""
    part = {"tenant": "acme"} if case.account == ALL else {"project": PROJECTS[case.account]}
    told = [
        {"name": "account", "provider": accounts_of(case)[0], "monthly_usd": "0.001", "hard_stop": True},
        {"name": "part", **part, "monthly_usd": "0.001"},
    ]
    file = stand.folder / "budgets.toml"
    file.write_text(tomli_w.dumps({"budgets": told}))
    costs = stand.settings.costs.model_copy(update={"budgets": file})
    stand.settle(stand.settings.model_copy(update={"costs": costs}))


KINDS = {
    "days": killed_days,
    "pages": meddled,
    "restated": restated,
    "sealing": killed_sealing,
    "reconciliation": killed_reconciliation,
}
