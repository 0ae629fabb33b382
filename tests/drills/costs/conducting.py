"""A case from its first death to its judgement."""

import json
import secrets
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

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
from tests.drills.costs.cases import DAYS
from tests.drills.costs.ground import restate
from tests.drills.costs.judgement import Judgement
from tests.flows.killed_runs import run_killed
from tests.flows.provider_ground import written
from tests.integration.costs_ground import cut, meddling
from tests.keyring_ground import query
from tests.watching.ground import InProcess

ROOT = Path(__file__).parents[3]
READING, LATER = "T+1", "T+3"
#: Reached by any bill.
BUDGETS = [
    {"name": "provider", "provider": "{account}", "monthly_usd": "0.01", "hard_stop": True},
    {"name": "tenant", "tenant": "acme", "monthly_usd": "0.01"},
]
DECIDED = [("provider", "100"), ("provider", "stop"), ("tenant", "100")]
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


def clean_figures(ground, account, monkeypatch):
    """What a run that nothing happened to comes to, in a ledger of its own, with what the twins state now."""
    named = (account, ground.restated)
    if named not in ground.clean:
        with ground.copied(ground.sealed) as (settings, folder), monkeypatch.context() as patched:
            stand = Stand(ground, settings, folder, patched)
            stand.run(reconcile_days, asked(account, ground.days), "clean")
            rows = query(settings, "SELECT day, figures FROM steward.cost_days")
        ground.clean[named] = dict(rows)
        assert sorted(ground.clean[named]) == list(ground.days)
    return ground.clean[named]


def asked(account, days, reading=READING):
    return DaysRequest(account=account, days=days, reading=reading, final=False)


def expected(case, reading, clean):
    return {(case.account, day, reading): figures for day, figures in clean.items()}


def conduct(case, ground, monkeypatch):
    """The judgement of *case*."""
    before = clean_figures(ground, case.account, monkeypatch)
    with ground.copied(ground.opened if case.kind == "sealing" else ground.sealed) as (settings, folder):
        with monkeypatch.context() as patched:
            stand = Stand(ground, settings, folder, patched)
            judgement = Judgement(settings)
            KINDS[case.kind](case, stand, judgement, before)
            judgement.objects()
            judgement.closed()
            judgement.tidy(stand.temporary)
        return judgement


def killed_days(case, stand, judgement, clean):
    request = asked(case.account, stand.ground.days)
    stand.killed(reconcile_days, request, "night", case.deaths)
    assert stand.run(reconcile_days, request, "night").verdict is Verdict.VERIFIED
    judgement.days(expected(case, READING, clean))
    judgement.focus(case.account, clean)


def meddled(case, stand, judgement, clean):
    """A page is damaged on its way; whatever the run then comes to, no figure is another, and the next has them all."""
    request, settings = asked(case.account, stand.ground.days), stand.settings
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
    # Of a day that is known its pages are not asked for again, so that not each death is met.
    again = request.model_copy(update={"days": tuple(reversed(request.days))[:1]})
    stand.killed(reconcile_days, again, "mended", [each for each in case.deaths if each not in _READING])
    stand.run(reconcile_days, request, "whole")
    stand.run(reconcile_days, again, "mended")
    judgement.days(expected(case, READING, clean))
    judgement.focus(case.account, clean)


#: Points that a day which is read already does not come to.
_READING = DAYS[DAYS.index(next(each for each in DAYS if each.step.endswith("_page#2"))) :][:4]


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
    first, later = asked(case.account, stand.ground.days), asked(case.account, stand.ground.days, LATER)
    stand.killed(reconcile_days, first, "night", case.deaths[:1])
    stand.run(reconcile_days, first, "night")
    restate(stand.ground, case.account, stand.ground.days[0], 1000 + case.number)
    after = clean_figures(stand.ground, case.account, stand._environment)
    stand.settle(stand.settings)
    assert after != clean
    stand.killed(reconcile_days, later, "later", case.deaths[1:])
    stand.run(reconcile_days, later, "later")
    judgement.days(expected(case, READING, clean) | expected(case, LATER, after))
    judgement.focus(case.account, after)


def killed_sealing(case, stand, judgement, clean):
    """A ledger that is not whole has no costs; once it is, it has just those."""
    days = stand.ground.days[-1:]
    request = asked(case.account, days)
    for number, death in enumerate(case.deaths):
        stand.killed(seal_ai_attempts, SealRequest(), "seal", [death])
        if number == 0:
            _not_sealed(stand, request, judgement)
    while stand.run(seal_ai_attempts, SealRequest(), "seal").begun.left:
        pass
    stand.run(reconcile_days, request, "after")
    judgement.days(expected(case, READING, {days[0]: clean[days[0]]}))
    judgement.evidence("seal-ai-attempts")


def _not_sealed(stand, request, judgement):
    whole = query(stand.settings, "SELECT count(*) FROM steward.ai_hours WHERE sealed_at >= now() - interval '10 min'")
    try:
        stand.run(reconcile_days, request, "between")
    except DaysNotKnown as unknown:
        assert "not sealed" in unknown.report.days[0].reason
    else:
        judgement.equal("differing_totals", f"hours sealed: {whole}", _is_whole(stand), True)


def _is_whole(stand):
    end = stand.ground.span.end
    return bool(query(stand.settings, "SELECT 1 FROM steward.ai_hours WHERE hour = %s AND sealed_at IS NOT NULL", end))


def killed_reconciliation(case, stand, judgement, clean):
    """Its children run on the replica's worker, and whoever of them dies is taken up by the watch."""
    _budgets(case, stand)
    first, last = stand.ground.days[0], stand.ground.days[-1]
    request = ReconciliationRequest(accounts=(case.account,), first=first, last=last, reading=READING)
    with _worker(stand, case.children), _reaper(stand):
        stand.killed(cost_reconciliation, request, "2026-01-01" if False else _today(), case.deaths)
        try:
            stand.run(cost_reconciliation, request, _today())
        except CostsNotVerified as finding:
            assert finding.verdict is Verdict.REFUTED, finding.report  # noqa: PT017  both are ends; figures are judged
    judgement.days(expected(case, READING, clean))
    judgement.statement("cost-reconciliation", clean, DECIDED)


def _today():
    import datetime as dt

    return str(dt.datetime.now(dt.UTC).date())


def _budgets(case, stand):
    file = stand.folder / "budgets.toml"
    told = [{name: value if value != "{account}" else case.account for name, value in each.items()} for each in BUDGETS]
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
