"""The worked month of docs/costs-month.md: `python -m bench.costs.month [--to DIR] [--statement FILE] [--page FILE]`.

The month of `make demo-costs`, both sides of it, reconciled day by day as the flow does and held against the twins' own
invoices, without a server; or, with --statement, a statement that a run has stored. Writes waterfall.svg, statement.md (as
people read it), statement.json, and table.md, which --page puts between the two marks of a page. The same arguments make the same month.
"""

from __future__ import annotations

import argparse
import datetime as dt
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import duckdb

from bench.costs.pages import Bills
from bench.costs.planted_prices import PlantedPrices
from demo.costs.incidents import INCIDENTS, Incident, told
from demo.costs.laying import SEED, TENANTS
from demo.costs.sides import ACCOUNTS, Sides, Span, hours_between
from replica.providers.billing import invoices
from replica.providers.billing.usage import DAY, Held, Usage
from replica.providers.configuration import Account
from replica.providers.exchange import dumps
from replica.providers.month import ACCOUNTS as TWINS
from steward.ai.sealing import HOUR
from steward.clients.costs_ledger import SealedDay
from steward.costs.attribution.days import explain
from steward.costs.causes import Cause
from steward.costs.cells import DEFAULT_TIERS, MINUTE
from steward.costs.kept import RawPage
from steward.costs.money import shown, signed, total
from steward.costs.period import Period
from steward.costs.pricing.prices import PriceBook, load_prices
from steward.costs.reports.reading import read_bill
from steward.costs.results import DayResult
from steward.costs.statements.figures import Figures
from steward.costs.statements.invoices import Invoice, read_invoice
from steward.costs.statements.labels import LABELS, label
from steward.costs.statements.statement import Statement, state
from steward.costs.statements.statement_page import plain, render_statement
from steward.costs.statements.waterfall import draw_waterfall
from steward.costs.values import Bill, Terms

PRICES = Path(__file__).parents[2] / "deployments" / "costs" / "prices.toml"
MONTH, ATTEMPTS = "2026-10", 100_000
#: Dollars that OpenAI granted.
CREDIT = "25.00"
_READ_DAYS_AFTER = 35
MARKS = ("<!-- the month -->", "<!-- /the month -->")

#: Each cause in one sentence, for who has read no code.
WORDS: Mapping[Cause, str] = {
    Cause.PAST_GATEWAY: "Somebody used a key of our account that is not the gateway's: the provider bills it, and our ledger cannot know of it.",
    Cause.CACHE_WRITE_LIFE: "Text was kept at the provider for an hour, and we had entered the cheaper five minutes; or the reverse.",
    Cause.CACHE_SPLIT: "We had entered text as new that the provider had read before and bills at a fraction; or the reverse.",
    Cause.BOUNDARY_SHIFT: "A request at the turn of the hour is in the neighbouring hour of the bill: it costs the same, on another day at most.",
    Cause.SERVED_TIER: "Requests were billed at a dearer or cheaper class of service than their answers named.",
    Cause.BILLED_MODEL: "Requests were billed as another model than their answers named.",
    Cause.STATED_TWICE: "The provider has one of our requests twice.",
    Cause.UNKNOWN_ATTEMPTS: "We sent a request, the connection broke, and nobody told us whether it was served; the bill says that it was.",
    Cause.ESTIMATED_STREAMS: "A reader left before an answer ended, so that we had to guess its length; the bill has the true one.",
    Cause.WEB_SEARCH: "The provider counts more, or fewer, web searches than its answers told us.",
    Cause.NOT_YET_STATED: "We have used it, and the provider has not billed it yet.",
    Cause.LONG_CONTEXT: "Very long questions have a rate of their own, and more of them, or fewer, were billed at it.",
    Cause.PRICE_CHANGE: "A price changed, and the provider billed the new one, or the old one, on other days than its list says.",
    Cause.REGIONAL_RATE: "Data that has to stay in a region costs so much more.",
    Cause.DISCOUNT: "All prices are lower, or higher, by one share.",
    Cause.COMMITMENT: "It was used under a commitment, which is paid by another contract and is on no line of this bill.",
    Cause.OTHER_ITEM: "Something is billed that is neither text nor a search.",
    Cause.RESTATED: "The provider has corrected its own statement since it sent the invoice.",
    Cause.ROUNDING: "The invoice rounds each of its lines to a cent.",
    Cause.CREDIT: "The provider granted it, and took it off.",
    Cause.TAX: "On what is left.",
    Cause.UNEXPLAINED: "Nobody knows; found by subtraction.",
}
assert WORDS.keys() == set(Cause)


def state_month(attempts: int, folder: Path) -> Statement:
    """Both sides below *folder*, explained, and held against the invoices."""
    span = Span.of_month(MONTH)
    sides = Sides(span, attempts, SEED, INCIDENTS, TENANTS)
    try:
        sides.write_usage(folder)
        hours = hours_between(span.begin - HOUR, span.end)
        for hour, body in sides.write_hours(hours, folder):
            (folder / f"{hour:%Y%m%dT%H}.parquet").write_bytes(body)
        keys = {(each.account, each.fingerprint): (each.key_id, each.project) for each in sides.gateway_keys()}
    finally:
        sides.close()
    month = _Month(span, folder, keys)
    days = [span.begin + n * dt.timedelta(days=1) for n in range(span.days)]
    results = [month.explained(account, day) for account in TWINS for day in days]
    billed = [month.invoice(account) for account in TWINS]
    return state(Period.of_month(MONTH), list(ACCOUNTS.values()), results, invoices=billed)


class _Month:
    def __init__(self, span: Span, folder: Path, keys: Mapping[tuple[str, str], tuple[str, str]]) -> None:
        self._folder, self._keys, self._book = folder, keys, load_prices(PRICES)
        with duckdb.connect() as database:
            rows = database.execute("SELECT * FROM read_parquet(?)", [str(folder / "usage.parquet")]).fetchall()
        begin = int(span.begin.timestamp())
        self._held, self._prices = Held((Usage(*row) for row in rows), float("inf")), PlantedPrices(begin, clean=True)
        self._bills = Bills(self._held, self._prices, begin, clean=True)

    def explained(self, account: Account, day: dt.datetime) -> DayResult:
        bill = self._bill(account, day)
        ledger, keys = self._ledger(bill, day)
        try:
            terms = Terms(gateway_keys=frozenset(key for key, _ in keys.values()))
            found = explain(bill, ledger, self._book, terms, final=True)
        finally:
            ledger.close()
        return DayResult.of(found, bill, reading=f"T+{_READ_DAYS_AFTER}", final=True, prices=self._book.version)

    def invoice(self, account: Account) -> Invoice:
        granted = [{"description": "Promotional credit", "amount": CREDIT}] if account.provider == "openai" else []
        told = invoices.invoice(self._prices, self._held, account, MONTH, granted)
        return read_invoice(dumps(told), account=ACCOUNTS[account.name], provider=account.provider, month=MONTH)

    def _bill(self, account: Account, day: dt.datetime) -> Bill:
        pages = list[RawPage]()
        for name, body in self._bills.pages(account, int(day.timestamp())):
            report = "usage_report/messages" if name == "usage_report" else name
            pages.append(RawPage(report, 1 + sum(page.report == report for page in pages), body))
        at = day + dt.timedelta(days=_READ_DAYS_AFTER, hours=6)
        return read_bill(ACCOUNTS[account.name], account.provider, day.date(), pages, read_at=at, bucket=MINUTE)

    def _ledger(self, bill: Bill, day: dt.datetime) -> tuple[SealedDay, dict[str, tuple[str, str]]]:
        hours = hours_between(day - HOUR, day + dt.timedelta(seconds=DAY))
        files = [self._folder / f"{hour:%Y%m%dT%H}.parquet" for hour in hours]
        keys = {fingerprint: key for (account, fingerprint), key in self._keys.items() if account == bill.account}
        long = _long_contexts(self._book, bill)
        tier = DEFAULT_TIERS[bill.provider]
        return SealedDay(files, bill.account, bill.day, keys, long, default_tier=tier), keys


def _long_contexts(book: PriceBook, bill: Bill) -> dict[str, int]:
    models = sorted({each.cell.model for each in bill.usage})
    told = {model: book.long_context_above(bill.provider, model, on=bill.day) for model in models}
    return {model: above for model, above in told.items() if above}


def table(figures: Figures, incidents: Sequence[Incident]) -> Iterator[str]:
    """From the ledger to the amount paid, with what it has come to so far, and what had happened where that is known."""
    yield "| step | in plain words | amount | so far | for example |"
    yield "| --- | --- | ---: | ---: | --- |"
    so_far = figures.ledger
    yield f"| **Our ledger** | All that our own records have of it, at list prices | **{shown(so_far)}** | {shown(so_far)} | |"
    for each in figures.above:
        so_far = total((so_far, each.amount))
        name = label(each.cause, agreed=each.agreed)
        happened = told([one for one in incidents if one.cause == each.cause], Span.of_month(MONTH).first)
        yield _row(name, WORDS[each.cause], each.amount, so_far, "; ".join(happened) or each.evidence)
    so_far = total((so_far, figures.unexplained))
    yield _row(LABELS[Cause.UNEXPLAINED], WORDS[Cause.UNEXPLAINED], figures.unexplained, so_far, "")
    yield f"| **Billed** | All lines of the invoices | **{shown(figures.billed)}** | {shown(so_far)} | |"
    for each in figures.below:
        so_far = total((so_far, each.amount))
        yield _row(label(each.cause, agreed=each.agreed), WORDS[each.cause], each.amount, so_far, each.evidence)
    yield f"| **To be paid** | What leaves the bank account | **{shown(figures.end)}** | {shown(so_far)} | |"


def _row(name: str, words: str, amount: Decimal, so_far: Decimal, example: str) -> str:
    return f"| {name} | {words} | {signed(amount)} | {shown(so_far)} | {plain(example)} |"


def _write(statement: Statement, to: Path) -> Iterator[Path]:
    figures, incidents = statement.figures, INCIDENTS if str(statement.period) == MONTH else ()
    texts = {
        "waterfall.svg": draw_waterfall(statement),
        "statement.md": render_statement(statement),
        "statement.json": statement.to_json().decode(),
        "table.md": "\n".join(table(figures, incidents) if figures else ()) + "\n",
    }
    to.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (to / name).write_text(text, encoding="utf-8")
        yield to / name


def put(rows: str, page: Path) -> None:
    """Between its marks; and the picture beside it."""
    before, _, rest = page.read_text(encoding="utf-8").partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    page.write_text(f"{before}{MARKS[0]}\n{rows}{MARKS[1]}{after}", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="bench.costs.month", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--to", type=Path, default=Path("costs-month"), metavar="DIR")
    parser.add_argument("--statement", type=Path, metavar="FILE", help="one that a run has stored, as it was stored")
    parser.add_argument("--page", type=Path, metavar="FILE", help="docs/costs-month.md: its table and picture")
    parser.add_argument("--attempts", type=int, default=ATTEMPTS)
    chosen = parser.parse_args(arguments)
    if chosen.statement:
        statement = Statement.from_json(chosen.statement.read_bytes())
    else:
        with tempfile.TemporaryDirectory(prefix="steward-month-") as folder:
            statement = state_month(chosen.attempts, Path(folder))
    for file in _write(statement, chosen.to):
        print(file)
    if chosen.page:
        put((chosen.to / "table.md").read_text(encoding="utf-8"), chosen.page)
        shutil.copy(chosen.to / "waterfall.svg", chosen.page.with_suffix(".svg"))
    print(f"verdict: {statement.verdict}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
