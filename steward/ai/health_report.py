"""What is told of the providers' health: one verdict, and a page that can be read at 3 a.m."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence

from pydantic import AwareDatetime, BaseModel, ConfigDict

from steward.ai.probing import ANSWERING, COVERS, FAILING, Probe, ProviderState, Standing, Uptime
from steward.verdicts import NotVerified, Verdict, combine

DAY, MONTH = dt.timedelta(days=1), dt.timedelta(days=30)
#: Of the ledger: long enough for a percentile, short enough to be now.
SIGNALS = dt.timedelta(minutes=5)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Signals(_Frozen):
    """What the ledger of attempts has of an account in the last minutes: what its users met."""

    attempts: int = 0
    ended: int = 0
    failed: int = 0
    """By the provider's doing; what callers did wrong is none."""
    completed: int = 0
    slow: int = 0
    """Completed, and later than promised, the provider included."""
    first_token_p50_ms: int | None = None
    first_token_p95_ms: int | None = None


class Watched(_Frozen):
    """An account as the watch saw it."""

    standing: Standing = Standing(state=ProviderState.UNKNOWN)
    probed_at: AwareDatetime | None = None
    newest: Probe | None = None
    day: Uptime = Uptime(unknown=DAY.total_seconds())
    month: Uptime = Uptime(unknown=MONTH.total_seconds())
    signals: Signals = Signals()


class History(_Frozen):
    """What the database has, all of it by its clock."""

    now: AwareDatetime
    accounts: dict[str, Watched] = {}
    workers: tuple[str, ...] = ()
    """Workers of the gateway whose lease is good."""


class NoHistory(_Frozen):
    """The database could not be asked."""

    reason: str
    hint: str = ""


class AccountHealth(_Frozen):
    """One account now."""

    account: str
    provider: str
    state: ProviderState
    since: AwareDatetime | None = None
    """None: nobody knows for how long."""
    probe: Probe | None = None
    """The one that says so."""
    is_asked_now: bool = False
    watched: Watched | None = None
    """None: the database could not be asked."""


class HealthReport(_Frozen):
    """All of them, and who would notice."""

    at: AwareDatetime
    verdict: Verdict
    accounts: tuple[AccountHealth, ...]
    workers: tuple[str, ...] | None = None
    """None: the database could not be asked."""
    findings: tuple[str, ...] = ()


class ProvidersNotWell(NotVerified):
    """An account does not answer, or nobody knows whether it does."""

    def __init__(self, report: HealthReport) -> None:
        first = next(iter(report.findings), "nothing is known")
        super().__init__(
            f"AI providers are {report.verdict}: {first}",
            hint="read the run's artifact ai-health and docs/runbooks/watch-ai-health.md",
            verdict=report.verdict,
            report=report,
        )


def assess_health(
    accounts: Mapping[str, str], fresh: Sequence[Probe], history: History | NoHistory, *, has_gateway: bool
) -> HealthReport:
    """Of *accounts* (name to provider), from probes made just now, if any, and from what the watch and the ledger have.

    VERIFIED: all answer, the watch is at it, and a gateway is there for them where there is to be one.
    """
    asked = {probe.account: probe for probe in fresh}
    seen = tuple(_account(name, kind, asked.get(name), history) for name, kind in sorted(accounts.items()))
    now = history.now if isinstance(history, History) else dt.datetime.now(dt.UTC)
    findings = [(verdict, told) for each in seen for verdict, told in _findings(each, now)]
    if isinstance(history, NoHistory):
        findings.append((Verdict.UNKNOWN, f"what the watch saw cannot be read: {history.reason}"))
    elif has_gateway and not history.workers:
        findings.append((Verdict.UNKNOWN, "no worker of the gateway is alive: nothing goes to any provider"))
    return HealthReport(
        at=now,
        verdict=combine([*(verdict for verdict, _ in findings), *[Verdict.VERIFIED] * bool(seen)]),
        accounts=seen,
        workers=history.workers if isinstance(history, History) else None,
        # The worst first: that is what somebody is paged for.
        findings=tuple(told for _, told in sorted(findings, key=lambda each: each[0] is not Verdict.REFUTED)),
    )


def _account(name: str, kind: str, fresh: Probe | None, history: History | NoHistory) -> AccountHealth:
    watched = history.accounts.get(name, Watched()) if isinstance(history, History) else None
    standing = watched.standing if watched else Standing(state=ProviderState.UNKNOWN)
    if fresh is None:
        known = watched.newest if watched and standing.state is not ProviderState.UNKNOWN else None
        return AccountHealth(
            account=name, provider=kind, state=standing.state, since=standing.since, probe=known, watched=watched
        )
    since = standing.since if standing.state is fresh.state else None
    return AccountHealth(
        account=name,
        provider=kind,
        state=fresh.state,
        since=since,
        probe=fresh,
        is_asked_now=True,
        watched=watched,
    )


def _findings(each: AccountHealth, now: dt.datetime) -> Iterator[tuple[Verdict, str]]:
    probe = each.probe
    why = (probe.told or probe.error_class or "") if probe else ""
    if each.state in FAILING:
        whose = "its provider fails" if each.state is ProviderState.DOWN else "it does not take our key or address"
        since = f" since {_moment(each.since)}, {_length(now - each.since)}" if each.since else ""
        yield Verdict.REFUTED, f"{each.account} is {each.state.upper()}{since}: {whose} ({why})"
    elif each.state is ProviderState.UNKNOWN:
        yield Verdict.UNKNOWN, f"{each.account} is UNKNOWN: {why or 'it was not asked'}"
    if each.watched and (each.watched.probed_at is None or now - each.watched.probed_at > COVERS):
        last = each.watched.probed_at
        ago = f"since {_moment(last)}, {_length(now - last)}" if last else "within the last day"
        yield Verdict.UNKNOWN, f"the watch has not asked {each.account} {ago}: is it running?"


def render_health(report: HealthReport) -> str:
    """Markdown; its line `verdict: …` is what machines and tired people look for."""
    lines = [f"# AI providers at {_moment(report.at)}", "", f"verdict: {report.verdict}", ""]
    lines += [f"- **{finding}**" for finding in report.findings] or ["All accounts answer."]
    lines += [
        "",
        "| account | now | since | answered after | watch asked | up, last 24 h | up, last 30 days |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(_row(each, report.at) for each in report.accounts),
        "",
        "Shares are of the time in which somebody asked; `refused` says nothing of the provider, and counts to neither side.",
        "",
        f"| last {SIGNALS.seconds // 60} min | attempts | failed | first token p50 / p95 | answers after 2 s |",
        "| --- | --- | --- | --- | --- |",
        *(_signals(each) for each in report.accounts),
        "",
        _workers(report),
        "",
    ]
    return "\n".join(lines)


def _row(each: AccountHealth, now: dt.datetime) -> str:
    probe, watched = each.probe, each.watched
    state = each.state if each.state in ANSWERING else f"**{each.state.upper()}**"
    why = f" ({probe.error_class})" if probe and probe.error_class else ""
    since = f"{_moment(each.since)}, {_length(now - each.since)}" if each.since else "not known"
    took = f"{probe.latency_ms:,} ms" if probe and probe.latency_ms is not None else "none"
    took += ", asked now" if each.is_asked_now else ""
    asked = f"{_length(now - watched.probed_at)} ago" if watched and watched.probed_at else "UNKNOWN"
    if watched and watched.probed_at and now - watched.probed_at > COVERS:
        asked = f"UNKNOWN, {asked}"
    day, month = (_uptime(watched.day), _uptime(watched.month)) if watched else ("UNKNOWN", "UNKNOWN")
    return f"| {each.account} ({each.provider}) | {state}{why} | {since} | {took} | {asked} | {day} | {month} |"


def _uptime(seen: Uptime) -> str:
    told = [f"{seen.percent:.3f}%" if seen.percent is not None else "UNKNOWN"]
    parts = {"down": seen.down, "degraded": seen.degraded, "refused": seen.refused, "unknown": seen.unknown}
    # Less than a probe's turn is no gap.
    told += [f"{_length(dt.timedelta(seconds=each))} {name}" for name, each in parts.items() if each >= 1]
    return ", ".join(told)


def _signals(each: AccountHealth) -> str:
    if each.watched is None:
        return f"| {each.account} | UNKNOWN | | | |"
    seen = each.watched.signals
    failed = f"{seen.failed:,} ({_share(seen.failed, seen.ended)})" if seen.ended else "none"
    slow = f"{seen.slow:,} ({_share(seen.slow, seen.completed)})" if seen.completed else "none"
    p50, p95 = seen.first_token_p50_ms, seen.first_token_p95_ms
    first = f"{p50:,} / {p95:,} ms" if p50 is not None and p95 is not None else "none"
    return f"| {each.account} | {seen.attempts:,} | {failed} | {first} | {slow} |"


def _workers(report: HealthReport) -> str:
    if report.workers is None:
        return "Workers of the gateway: UNKNOWN."
    return f"Workers of the gateway that are alive: {len(report.workers)}" + (
        f" ({', '.join(report.workers)})." if report.workers else "."
    )


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%"


def _moment(at: dt.datetime) -> str:
    return f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"


def _length(of: dt.timedelta) -> str:
    seconds = max(0, round(of.total_seconds()))
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.3g} {name}" if name != "min" else f"{seconds // unit} min"
    return f"{seconds} s"
