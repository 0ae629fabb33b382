"""The tasks of a report on AI providers: they ask and read, and change nothing. None is tried again: the next report is."""

from __future__ import annotations

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture

from steward.ai.health_report import HealthReport, History, NoHistory, assess_health, render_health
from steward.ai.probing import Probe
from steward.clients.ai_health import read_history
from steward.clients.connections import KeptConnections
from steward.clients.postgres import open_connection, worded
from steward.clients.provider_probes import probe_providers
from steward.errors import StewardError
from steward.settings import load

#: A month of probes is read in less than a second.
_READ_SECONDS = 3
#: Whoever waits for a report has 5 s.
ANSWER_SECONDS = 4.5


@task(name="ask providers", cache_policy=NO_CACHE, persist_result=False)
def ask_providers() -> list[Probe]:
    """Each account for its models, unbilled, side by side; not entered, for the watch's own rows are the uptime."""
    return probe_providers(load())


@task(name="read what the watch saw", cache_policy=NO_CACHE, persist_result=False)
def read_watch() -> History | NoHistory:
    """A database that is away does not keep the report from telling what providers answer now."""
    settings = load()
    kept = KeptConnections(
        lambda: open_connection(settings, statement_timeout_seconds=_READ_SECONDS), most=1, wait_seconds=0
    )
    try:
        with kept.one(_READ_SECONDS) as db, worded(settings), db.transaction():
            return read_history(db, settings.providers)
    except StewardError as error:
        return NoHistory(reason=error.message, hint=error.hint)
    finally:
        kept.close()


def in_time(reading: PrefectFuture[History | NoHistory]) -> History | NoHistory:
    """What `read_watch` came to, or that it came to nothing yet: a database that hangs is given up a little later."""
    try:
        return reading.result(timeout=ANSWER_SECONDS)
    except TimeoutError:
        return NoHistory(reason=f"the database gave no answer within {ANSWER_SECONDS:g} s")


@task(name="publish", cache_policy=NO_CACHE, persist_result=False)
def publish_health(fresh: list[Probe], history: History | NoHistory) -> HealthReport:
    """The report, and what people read of it."""
    settings = load()
    accounts = {name: each.kind for name, each in settings.providers.items()}
    report = assess_health(accounts, fresh, history, has_gateway=settings.gateway is not None)
    told = f"AI providers: {report.verdict}"
    create_markdown_artifact(render_health(report), key="ai-health", description=told)
    return report
