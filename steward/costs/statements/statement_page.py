"""The statement as people read it: markdown, of which the first ten lines say what has to be known."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from steward.costs.causes import Cause
from steward.costs.money import less, share_of, shown, signed
from steward.costs.statements.figures import TOLERATED_PERCENT, CauseAmount, Figures, is_borne
from steward.costs.statements.labels import LABELS, label
from steward.costs.statements.picture import data_uri
from steward.costs.statements.statement import Statement
from steward.verdicts import Verdict

_CLAIM = {
    Verdict.VERIFIED: "held against our ledger of every attempt, and every cent between the two has a cause",
    Verdict.REFUTED: "held against our ledger of every attempt, and it is NOT what ledger and terms allow",
    Verdict.UNKNOWN: "could NOT be told: something is missing, and what is missing is not nothing",
}
_MARKUP = re.compile(r"([\\`*{}\[\]<>|#~])")


def render_statement(statement: Statement, pictures: Mapping[str, str] | None = None) -> str:
    """Its line `verdict: …` is what machines and tired people look for. Of one that is UNKNOWN there is no amount in it.

    *pictures*: SVGs by what each shows; they stand behind the summary.
    """
    return "\n".join(
        [
            f"# Costs of {plain(', '.join(statement.accounts))}, {statement.period}",
            "",
            f"verdict: {statement.verdict}",
            "",
            *(_unknown(statement) if statement.figures is None else _known(statement, statement.figures)),
            "",
            *(
                line
                for shows, picture in (pictures or {}).items()
                for line in (f"![{plain(shows)}]({data_uri(picture)})", "")
            ),
            *_findings(statement),
            *(() if statement.figures is None else _tables(statement, statement.figures)),
            *_basis(statement),
        ]
    )


def cause_table(statement: Statement) -> list[dict[str, str | int]]:
    """One row a step from the ledger to where the statement ends; none where nothing is known."""
    figures = statement.figures
    if figures is None:
        return []
    rest = f"by subtraction; day by day {shown(figures.unexplained_daily)}, rounding comes to {shown(figures.bound)} at most"
    return [
        _row("Our ledger, at list prices", shown(figures.ledger)),
        *(_step(each, figures) for each in figures.above),
        _row(
            LABELS[Cause.UNEXPLAINED],
            signed(figures.unexplained),
            share_of(figures.unexplained, figures.billed, sign=True),
            0,
            rest,
        ),
        _row("Billed, before credits and tax", shown(figures.billed)),
        *(_step(each, figures) for each in figures.below),
        *([] if figures.payable is None else [_row("To be paid", shown(figures.payable))]),
    ]


def _step(each: CauseAmount, figures: Figures) -> dict[str, str | int]:
    percent = share_of(each.amount, figures.billed, sign=True)
    return _row(label(each.cause, agreed=each.agreed), signed(each.amount), percent, each.shares, each.evidence)


def _row(what: str, amount: str, percent: str = "", shares: int = 0, evidence: str = "") -> dict[str, str | int]:
    return {"what": what, "amount": amount, "of the bill": percent, "shares": shares or "", "the largest": evidence}


def _known(statement: Statement, figures: Figures) -> Iterator[str]:
    yield f"{_paid(figures)}, {_CLAIM[statement.verdict]}."
    yield ""
    yield from _refuted(figures)
    yield f"- {_difference(figures)}"
    yield f"- {_agreed(figures)}"
    yield f"- {_rest(figures)}"
    if figures.payable is not None:
        yield f"- {_below(figures)}"
    yield from _provisional(statement)


def _tables(statement: Statement, figures: Figures) -> Iterator[str]:
    yield from ("## From the ledger to the bill", "", *_causes(statement), "")
    if len(figures.accounts) > 1:
        yield from ("## By account", "", *_accounts(figures), "")


def _paid(figures: Figures) -> str:
    if figures.payable is None:
        return f"**{shown(figures.billed)}** is billed (no invoice yet: before credits and tax)"
    return f"**{shown(figures.payable)}** has to be paid"


def _refuted(figures: Figures) -> Iterator[str]:
    reasons: list[str] = []
    for each in figures.accounts:
        parts = [] if is_borne(each.variance, each.billed) else ["its variance"]
        parts += ["amounts without a cause"] if each.unexplained_daily > each.bound else []
        reasons += [f"{plain(each.account)} by {' and '.join(parts)}"] if parts else []
    if reasons:
        yield f"- Refuted: {'; '.join(reasons)}."


def _difference(figures: Figures) -> str:
    difference = less(figures.billed, figures.ledger)
    counted = f"We counted **{shown(figures.ledger)}** of use at list prices; **{shown(figures.billed)}** is billed"
    if not difference:
        return f"{counted}: the same."
    more = "more" if difference > 0 else "less"
    causes = (f"{label(each.cause, agreed=each.agreed).lower()} {signed(each.amount)}" for each in figures.above[:2])
    why = f" The largest: {', '.join(causes)}." if figures.above else ""
    return f"{counted}: {shown(abs(difference))} {more}.{why}"


def _agreed(figures: Figures) -> str:
    percent = f" ({share_of(figures.variance, figures.billed, sign=True)} of the bill)" if figures.billed else ""
    variance = (
        f"variance {signed(figures.variance)}{percent}; less than {TOLERATED_PERCENT} % of each account's bill is borne"
    )
    parts = [
        f"{label(each.cause, agreed=True).lower()} {signed(each.amount)}"
        for each in figures.above
        if each.agreed and each.amount
    ]
    if not parts:
        return f"Nothing was agreed beforehand: {variance}."
    return f"Agreed beforehand: {', '.join(parts)}. Without it: {variance}."


def _rest(figures: Figures) -> str:
    bound = f"rounding can come to {shown(figures.bound)}"
    if not figures.unexplained_daily:
        return f"Nothing is unexplained ({bound})."
    if figures.unexplained_daily <= figures.bound:
        return f"{shown(figures.unexplained_daily)} is unexplained, which rounding may be: {bound}."
    return f"**{shown(figures.unexplained_daily)} has no cause**, day by day; {bound}."


def _below(figures: Figures) -> str:
    parts = (f"{label(each.cause, agreed=True).lower()} {signed(each.amount)}" for each in figures.below)
    return f"Below the lines: {', '.join(parts) or 'no credits and no tax'}."


def _provisional(statement: Statement) -> Iterator[str]:
    if statement.provisional:
        yield (
            f"- Provisional: {statement.provisional} of {len(statement.readings)} account-days may still be stated "
            "otherwise by the provider."
        )


def _findings(statement: Statement) -> Iterator[str]:
    if statement.findings:
        yield from ("## Findings", "", *(f"- {plain(each)}" for each in statement.findings), "")


def _causes(statement: Statement) -> Iterator[str]:
    # Without the evidence, which findings have: a table as wide as that is read by nobody.
    yield from ("| what | amount | of the bill | shares |", "| --- | ---: | ---: | ---: |")
    for row in cause_table(statement):
        shares = f"{row['shares']:,}" if isinstance(row["shares"], int) else ""
        yield f"| {row['what']} | {row['amount']} | {row['of the bill']} | {shares} |"


def _accounts(figures: Figures) -> Iterator[str]:
    yield "| account | verdict | ledger | billed | variance | unexplained, day by day | to be paid |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: |"
    for each in figures.accounts:
        paid = "" if each.payable is None else shown(each.payable)
        yield (
            f"| {plain(each.account)} | {each.verdict} | {shown(each.ledger)} | {shown(each.billed)} | "
            f"{signed(each.variance)} | {shown(each.unexplained_daily)} | {paid} |"
        )


def _unknown(statement: Statement) -> Iterator[str]:
    days = sum(gap.day is not None for gap in statement.gaps)
    invoices = len(statement.gaps) - days
    wanted = len(statement.accounts) * len(statement.period.days)
    missing = [f"{days} of {wanted} account-days"] if days else []
    missing += [f"{invoices} invoice{'s' if invoices > 1 else ''}"] if invoices else []
    yield f"What this period costs {_CLAIM[Verdict.UNKNOWN]}. Missing: {' and '.join(missing)}."
    yield "No amount is shown until all of it is there; accounts that are whole have statements of their own."


def _basis(statement: Statement) -> Iterator[str]:
    yield "## What it rests on"
    yield ""
    yield f"- {len(statement.readings)} readings of account-days, each with its raw pages kept under their SHA-256"
    yield from (f"- list prices: {plain(each)}" for each in statement.prices)


def plain(content: str) -> str:
    """Names are a provider's and a person's: none of them is markup, or ends a row of a table."""
    return _MARKUP.sub(r"\\\1", " ".join(content.split()))
