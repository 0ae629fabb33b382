"""A case from its first death to its judgement."""

import datetime as dt
import json
import secrets
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
import tomli_w
from prefect import tags
from prefect.client.orchestration import get_client

from flows.cost_reconciliation import cost_reconciliation
from flows.reconcile_days import reconcile_days
from flows.seal_ai_attempts import SealRequest, seal_ai_attempts
from replica.servers.worker import POOL
from services.watch.runs import connected
from steward.costs.day_report import DaysNotKnown
from steward.costs.planning import DaysRequest, ReconciliationRequest
from steward.costs.report import CostsNotVerified
from steward.verdicts import Verdict
from tests.drills.costs.cases import ACCOUNTS, ALL, READING_POINTS
from tests.drills.costs.ground import restate
from tests.drills.costs.judgement import Judgement
from tests.flows.killed_runs import run_killed
from tests.flows.provider_ground import written
from tests.integration.costs_ground import cut, meddling
from tests.keyring_ground import query
from tests.watching.ground import InProcess

ROOT = Path(__file__).parents[3]
#: Of each, one that has a bill on any day.
PROJECTS = {"openai": "proj_2", "anthropic": "wrkspc_1"}
READING, LATER = "T+1", "T+3"
DECIDED = [("account", "100"), ("account", "stop"), ("part", "100")]
_EXPIRE = "UPDATE steward.operations SET lease_until = now() - interval '1 hour' WHERE name = %s AND state = 'running'"
_DEAD_CHILDREN = """
SELECT count(*) FROM steward.operations AS child
 WHERE name = 'reconcile-days' AND state = 'running' AND lease_until < now()
   AND EXISTS (SELECT FROM steward.operations WHERE name = 'cost-reconciliation' AND lease_until > now())
"""


class Stand:
    """Where one case takes place."""

    def __init__(self, ground, settings, folder, monkeypatch) -> None:
        self.ground, self.settings, self.folder = ground, settings, folder
        self.file, self._environment = folder / "settings.toml", monkeypatch
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.settle(settings)
        monkeypatch.setattr(tempfile, "tempdir", str(self.temporary))

    def settle(self, settings):
        """For whoever runs from now on."""
        self.settings, self.file = settings, written(settings, self.folder)
        self._environment.setenv("STEWARD_SETTINGS", str(self.file))

    def killed(self, flow, request, period, deaths):
        """One process after another, each of which dies there."""
        told, name = request.model_dump(mode="json"), f"flows.{flow.fn.__module__.rpartition('.')[2]}.{flow.fn.__name__}"
        for death in deaths:
            run_killed(self.ground.place, self.file, name, told, death, period=period, temporary=self.temporary)
            # It is dead: its lease is not waited for.
            query(self.settings, _EXPIRE, flow.name)

    def run(self, flow, request, period):
        with tags(f"period:{period}"):
            return flow(request)


def accounts_of(case):
    return ACCOUNTS if case.account == ALL else (case.account,)


def clean_figures(ground, account, days, monkeypatch):
    """By day, what a run that nothing happened to comes to, in a ledger of its own, with what the twins state now."""
    lacking = tuple(day for day in days if (account, day) not in ground.clean)
    if lacking:
        with ground.copied(ground.sealed) as (settings, folder), monkeypatch.context() as patched:
            Stand(ground, settings, folder, patched).run(reconcile_days, asked(account, lacking), "clean")
            for day, figures in query(settings, "SELECT day, figures FROM steward.cost_days"):
                ground.clean[account, day] = figures
    return {day: ground.clean[account, day] for day in days}


def asked(account, days, reading=READING):
    return DaysRequest(account=account, days=days, reading=reading, final=False)


def expected(case, reading, clean):
    return {(case.account, day, reading): figures for day, figures in clean.items()}


def conduct(case, ground, monkeypatch):
    """The judgement of *case*."""
    days = ground.days if case.kind in {"days", "reconciliation"} else ground.days[-1:]
    clean = {each: clean_figures(ground, each, days, monkeypatch) for each in accounts_of(case)}
    with ground.copied(ground.opened if case.kind == "sealing" else ground.sealed) as (settings, folder):
        with monkeypatch.context() as patched:
            stand = Stand(ground, settings, folder, patched)
            judgement = Judgement(settings)
            KINDS[case.kind](case, stand, judgement, clean if case.kind == "reconciliation" else clean[case.account])
            judgement.objects()
            judgement.closed()
            judgement.tidy(stand.temporary)
        return judgement


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
        meddler.meddle = _once(case.meddling)
        changed = {**settings.providers, case.account: provider.model_copy(update={"url": meddler.url})}
        stand.settle(settings.model_copy(update={"providers": changed}))
        try:
            stand.run(reconcile_days, request, "meddled")
        except DaysNotKnown as found:
            assert all(each.reason for each in found.report.days if each.verdict is Verdict.UNKNOWN)
        for day, figures in query(settings, "SELECT day, figures FROM steward.cost_days WHERE verdict <> 'UNKNOWN'"):
            judgement.equal("differing_totals", f"{day} by damaged pages", figures, clean[day])
    stand.settle(settings)
    if _is_known(stand):
        # Its pages are not asked for again, and what was killed there would live.
        deaths = [each for each in case.deaths if each not in READING_POINTS]
    else:
        deaths = case.deaths
    stand.killed(reconcile_days, request, "mended", deaths)
    stand.run(reconcile_days, request, "mended")
    judgement.days(expected(case, READING, clean))
    judgement.focus(case.account, clean)


def _is_known(stand):
    return query(stand.settings, "SELECT verdict FROM steward.cost_days WHERE verdict <> 'UNKNOWN'") != []


def _once(how):
    """Meddle with the first page of the usage, or with the second; afterwards all is well."""
    pages = []

    def meddle(path, answer):
        if "usage" not in path:
            return answer
        pages.append(answer)
        return _MEDDLING[how](len(pages), pages, answer)

    return meddle


def _cut(number, _pages, answer):
    return cut(answer) if number == 2 else answer


def _repeated(number, pages, answer):
    return pages[0] if number == 2 else answer


def _out_of_order(number, _pages, answer):
    status, headers, body = answer
    told = json.loads(body)
    told["data"].reverse()
    return (status, headers, json.dumps(told).encode()) if number == 1 else answer


def _refused(number, _pages, answer):
    return (429, {"retry-after": "1"}, b'{"error": {"message": "slow down"}}') if number <= 2 else answer


_MEDDLING = {"cut": _cut, "repeated": _repeated, "out-of-order": _out_of_order, "refused": _refused}


def restated(case, stand, judgement, clean):
    """What was read first stays; what is read then is as if it had been read by itself."""
    first, later = asked(case.account, tuple(clean)), asked(case.account, tuple(clean), LATER)
    stand.killed(reconcile_days, first, "night", case.deaths[:1])
    stand.run(reconcile_days, first, "night")
    restate(stand.ground, case.account, first.days[0], 1000 + case.number)
    with pytest.MonkeyPatch.context() as patched:
        after = clean_figures(stand.ground, case.account, first.days, patched)
    assert after != clean
    stand.killed(reconcile_days, later, "later", case.deaths[1:])
    stand.run(reconcile_days, later, "later")
    judgement.days(expected(case, READING, clean) | expected(case, LATER, after))
    judgement.focus(case.account, after)


def killed_sealing(case, stand, judgement, clean):
    """A ledger that is not whole has no costs; once it is, it has just those."""
    request = asked(case.account, tuple(clean))
    for number, death in enumerate(case.deaths):
        stand.killed(seal_ai_attempts, SealRequest(), "seal", [death])
        if number == 0:
            _not_sealed(stand, request, judgement)
    while stand.run(seal_ai_attempts, SealRequest(), "seal").begun.left:
        pass
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
    with _worker(stand, case.children), _reaper(stand):
        stand.killed(cost_reconciliation, request, _today(), case.deaths)
        try:
            stand.run(cost_reconciliation, request, _today())
        except CostsNotVerified as finding:
            assert finding.verdict is Verdict.REFUTED, finding.report  # noqa: PT017  both are ends; figures are judged
    by_day = {(account, day, READING): each for account, found in clean.items() for day, each in found.items()}
    judgement.days(by_day)
    judgement.statement("cost-reconciliation", by_day, DECIDED)


def _today():
    return str(dt.datetime.now(dt.UTC).date())


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


@contextmanager
def _worker(stand, deaths):
    """The deployment of a day's runs in this case's ledger, the first of which die."""
    folder = stand.folder / "deaths"
    folder.mkdir()
    for number, death in enumerate(deaths):
        (folder / f"{number}.json").write_text(json.dumps(death._asdict()))
    told = {
        "STEWARD_SETTINGS": str(stand.file),
        "STEWARD_DRILL_DEATHS": str(folder),
        "TMPDIR": str(stand.temporary),
    }
    with get_client(sync_client=True) as client:
        deployment = client.create_deployment(
            flow_id=client.create_flow_from_name(reconcile_days.name),
            name=reconcile_days.name,
            entrypoint="flows.reconcile_days.reconcile_days",
            work_pool_name=POOL,
            pull_steps=[],
            job_variables={
                "command": f"{sys.executable} -m tests.drills.costs.child",
                "env": told,
                "working_dir": str(ROOT),
            },
        )
        try:
            yield
        finally:
            client.delete_deployment(deployment)
    assert not [*folder.glob("*.json")], "a run of days was to die, and lived"


@contextmanager
def _reaper(stand):
    """The watch's own, over this case's ledger; never over a reconciliation, which the drill takes up by itself."""
    over, watch = threading.Event(), InProcess(stand.settings)

    def reap():
        with connected() as runs:
            while not over.wait(0.5):
                if query(stand.settings, _DEAD_CHILDREN) != [(0,)]:
                    watch.reap(runs)

    thread = threading.Thread(target=reap, name=f"reaper-{secrets.token_hex(2)}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        watch.situation.ledger.close()


KINDS = {
    "days": killed_days,
    "pages": meddled,
    "restated": restated,
    "sealing": killed_sealing,
    "reconciliation": killed_reconciliation,
}
