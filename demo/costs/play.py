"""A month of AI traffic, explained to the cent: what the ledger has, what the providers bill, and the cause of every difference.

What an operator does, by the same ways: invoices are imported, and one run of the deployment `cost-reconciliation` holds a
month that is over against them. The month is laid down (`demo.costs.laying`), for no clock can be told that it is October;
users ask through the gateway as well, today, and are found in the ledger.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from demo.acts import closing, prepare, read_certificate, run, say, timed, verdict_in
from demo.costs import today
from demo.costs.incidents import ACCOUNTS, INCIDENTS, OPENAI, told
from demo.costs.kept import draw, evidence_of, statement_of
from demo.costs.laying import TENANTS, Laid, lay_month
from demo.costs.sides import Span
from demo.costs.twins import TwinsAdministration
from demo.costs.users import admit, ask, await_answers, knock
from demo.stage import Stage
from replica.servers import SERVERS, gateway
from replica.state import open_place
from steward.costs.statements.statement_page import cause_table
from steward.verdicts import Verdict

RECONCILIATION = "cost-reconciliation/cost-reconciliation"
CERTIFICATE = "ai-costs"
#: As many days of an account as there are: a process for each handful would take longer to start than its days.
DAYS_A_RUN = 31
#: For half a minute: answers take their time, so that a reader can leave one; and a few streams break off.
DIALS = (
    {"kind": "pace", "milliseconds": 5, "seconds": 30},
    {"kind": "truncate", "stream": True, "times": 5, "seconds": 30},
)
#: What OpenAI's invoice takes off, for the waterfall to have it.
CREDIT = {"provider": "openai", "account": OPENAI, "description": "Promotional credit", "amount": "25.00"}
_FINDINGS = 8
LOOK = (
    "to look at: the run's artifacts ai-costs and ai-costs-causes in the UI; docs/costs-month.md, which explains each step;",
    "python -m steward.evidence list --operation cost-reconciliation; docs/runbooks/cost-reconciliation.md",
)


def last_month(now: dt.datetime) -> str:
    """The last one that is over (YYYY-MM), and with it the hour after it, which a reconciliation asks for."""
    return f"{(now - dt.timedelta(hours=2)).replace(day=1) - dt.timedelta(days=1):%Y-%m}"


def play(stage: Stage, month: str, attempts: int, requests: int) -> Verdict:
    """The whole of it. The statement's verdict; REFUTED where the ledger says otherwise of today than the providers."""
    state = stage.shell.logs.parent
    folder = state / "demo" / "costs"
    folder.mkdir(parents=True, exist_ok=True)
    with TwinsAdministration.of_replica(state) as twins:
        # Before anything is deployed: sealing that is due would begin the ledger with the present hour.
        stage.shell.run("migrate", sys.executable, "-m", "steward", "migrate")
        key, url = admit(state / "gateway" / "callers.toml", folder / "caller"), gateway_url(state)
        # Before the month is laid: what is asked now is answered in a minute.
        knock(url, key)
        lay(stage, twins, month, attempts)
        prepare(stage)
        entered = use_gateway(stage, twins, url, key, requests)
        import_invoices(stage, twins, folder, month)
    with timed(f"costs of {month} reconciled"):
        ended = run(stage, RECONCILIATION, {"request": {"month": month, "days_a_run": DAYS_A_RUN}}, must_complete=False)
    certificate = read_certificate(stage, ended, CERTIFICATE)
    print(closing(stage, "\n".join([*first_lines(certificate), "", *left(stage, month, folder), "", *LOOK])))
    verdict = verdict_in(certificate)
    is_entered = entered.attempts >= requests and not entered.apart
    return verdict if is_entered or verdict is not Verdict.VERIFIED else Verdict.REFUTED


def first_lines(certificate: str) -> list[str]:
    """Those before its pictures: what has to be known; and what speaks against it, where anything does."""
    known, _, rest = certificate.partition("\n![")
    findings = [line for line in rest.splitlines() if line.startswith("- ")]
    return [*known.strip().splitlines(), *([] if verdict_in(certificate) is Verdict.VERIFIED else findings[:_FINDINGS])]


def left(stage: Stage, month: str, folder: Path) -> Iterator[str]:
    """Where the rest lies."""
    picture, statement = folder / f"waterfall-{month}.svg", statement_of(stage, month)
    draw(statement, picture)
    yield from (f"  {row['what']:<32} {row['amount']:>12}" for row in cause_table(statement))
    yield ""
    yield f"from the ledger to the bill, as a picture: {picture}"
    yield from evidence_of(stage, month)


def lay(stage: Stage, twins: TwinsAdministration, month: str, attempts: int) -> Laid:
    """The month on both sides, and what is wrong with it."""
    with timed(f"{month} laid: {attempts:,} attempts, billed by the providers and sealed in the ledger"):
        laid = lay_month(stage.settings, twins, Span.of_month(month), attempts)
    say(f"  {laid.hours:,} hours sealed" if laid.hours else "  its hours were there, and are taken as they are")
    say("  what went wrong in it, beside streams that broke off and attempts without an end:")
    for line in told(INCIDENTS, laid.span.first):
        say(f"    {line}")
    return laid


def use_gateway(stage: Stage, twins: TwinsAdministration, url: str, key: str, requests: int) -> today.Entered:
    """Users of today, whose day is not over: in the ledger, and on no bill yet."""
    with timed("gateway answers: its limiter knows its providers by now"):
        await_answers(url, key)
    for each in DIALS:
        twins.dial(**each)
    since = today.now(stage.settings)
    with timed(f"{requests:,} requests through the gateway, by the providers' own clients"):
        answered = ask(url, key, TENANTS, requests)
    say("  " + ", ".join(f"{count:,} {kind}" for kind, count in sorted(answered.items())))
    say("  streams that were given up the gateway has read to their end all the same")
    entered = today.entered_since(stage.settings, twins, since)
    for line in entered.lines():
        say(f"  {line}")
    say("  their day is not over: no provider bills it yet, and it is no part of what follows")
    return entered


def gateway_url(state: Path) -> str:
    """Of the replica's gateway."""
    return gateway.address(open_place(state, SERVERS))


def import_invoices(stage: Stage, twins: TwinsAdministration, folder: Path, month: str) -> None:
    """As they would come by mail: written to files, which a person imports."""
    if not twins.invoice(OPENAI, month)["credits"]:
        twins.grant({**CREDIT, "month": month})
    for theirs, ours in ACCOUNTS.items():
        file, invoice = folder / f"invoice-{ours}-{month}.json", twins.invoice(theirs, month)
        file.write_text(json.dumps(invoice, indent=1) + "\n")
        say(f"invoice of {ours}: {invoice['total']} dollars to pay, {len(invoice['lines'])} lines ({file})")
        command = (sys.executable, "-m", "steward", "costs", "import-invoice", ours, month, str(file))
        for line in stage.shell.lines("invoice", *command):
            say(f"  {line}")
