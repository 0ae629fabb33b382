"""The watch's loop over AI providers: each account is asked twice a minute, what came of it is kept, and news are told.

A loop of its own: a provider, a vault or a database that hangs holds up nothing but it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta

from services.watch.journal import Reminder, say
from services.watch.situation import ProbeSeen, Situation
from steward.ai.probing import ANSWERING, EVERY_SECONDS, Probe, ProviderState, Standing, news
from steward.clients.ai_probes import keep_probes, newest_probes, read_spans
from steward.clients.postgres import connect
from steward.clients.provider_probes import probe_providers
from steward.errors import StewardError, is_transient
from steward.operations.provider_alarms import record_news

_REMIND_SECONDS = 24 * 3600.0
#: As far back as a failure, and the one before it, may lie.
_LOOKED_BACK = timedelta(minutes=15)
_EVENTS: Mapping[ProviderState, str] = {
    ProviderState.UP: "steward.ai.provider_recovered",
    ProviderState.DOWN: "steward.ai.provider_down",
    ProviderState.REFUSED: "steward.ai.provider_refused",
}


class Providers:
    """Two of them side by side ask twice as often, and tell everything once."""

    def __init__(self, situation: Situation) -> None:
        self._at = situation
        self._settings = situation.ledger.settings
        self._reminder = Reminder(_REMIND_SECONDS)

    def run(self) -> None:
        """Round after round until the watch is told to stop; at once over where the settings name no provider."""
        while self._settings.providers and not self._at.stopped.is_set():
            began = time.monotonic()
            self.round()
            self._at.stopped.wait(max(0.0, EVERY_SECONDS - (time.monotonic() - began)))

    def round(self) -> None:
        """Ask all, and keep it; a database that is away costs the uptime of that round, and nothing else."""
        try:
            probes = probe_providers(self._settings)
            self._see(probes)
            self._keep(probes)
        except Exception as error:  # noqa: BLE001  a fault in one round must not end the watch
            self._lost(error)
        self._at.rounds["providers"] = time.monotonic()

    def _see(self, probes: list[Probe]) -> None:
        for probe in probes:
            before = self._at.probes.get(probe.account)
            self._at.probes[probe.account] = ProbeSeen(probe, time.monotonic(), time.time())
            if before is None or before.probe.state is not probe.state:
                say(
                    "provider",
                    account=probe.account,
                    state=probe.state,
                    was=before.probe.state if before else None,
                    because=probe.told or probe.error_class,
                    milliseconds=probe.latency_ms,
                )

    def _keep(self, probes: list[Probe]) -> None:
        with connect(self._settings) as db:
            keep_probes(db, probes)
            _, spans = read_spans(db, _LOOKED_BACK)
            newest = newest_probes(db)
        for account in self._settings.providers:
            if (found := news(spans.get(account, []))) and account in newest:
                self._tell(newest[account][1], found)
        if self._reminder.forget("kept"):
            say("probes are kept again")

    def _tell(self, probe: Probe, found: Standing) -> None:
        if record_news(self._at.ledger, _EVENTS[found.state], probe, found):
            name = "PROVIDER WELL" if found.state in ANSWERING else f"PROVIDER {found.state.upper()}"
            say(name, account=probe.account, since=f"{found.since:%Y-%m-%dT%H:%M:%SZ}", because=probe.error_class)

    def _lost(self, error: Exception) -> None:
        told = error.message if isinstance(error, StewardError) else f"{type(error).__name__}: {error}"
        hint = error.hint if isinstance(error, StewardError) and not is_transient(error) else ""
        if self._reminder.is_news("kept", type(error).__name__):
            say("probes are not kept", reason=told, hint=hint or None)
