"""A question to a person while the run stays at work: users are exposed meanwhile, so it goes on judging and renewing.

The run is shown as Paused, with the form. Prefect is where it is asked, not where it is decided: the same may be said by
the API or by a command, and a server that is away keeps nobody from answering there. It is talked to beside the looks, which
never wait for it: users would be off by then.
"""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from datetime import UTC, datetime
from typing import Self
from uuid import UUID, uuid4

from prefect.client.orchestration import SyncPrefectClient
from prefect.context import FlowRunContext
from prefect.exceptions import PrefectHTTPStatusError
from prefect.input import RunInput
from prefect.input.run_input import Keyset, keyset_from_paused_state
from prefect.logging import get_run_logger
from prefect.settings import PREFECT_API_REQUEST_TIMEOUT, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Paused, Running
from pydantic import Field, ValidationError

from steward.notices.notice import Happened
from steward.rollout.passing import Asks
from steward.rollout.record import Rollout, Said, Saying
from tasks.prefect_away import PrefectAway, prefect_client
from tasks.rollout_telling import Announcements

#: Of one request. Nothing is repeated at once: the next look does.
_PATIENCE_SECONDS = 5.0
#: At a step's end, for the run to be shown at work again.
_CLOSING_SECONDS = 2.0
# One thread: what is said is said in order, by the question of the step before, too.
_talking = ThreadPoolExecutor(1, thread_name_prefix="questions")


class Word(RunInput):
    """A person's word on a step. Prefect keeps what is filled in, in clear: never a secret."""

    go_on: bool = Field(description="to the next step; else the rollout is rolled back")
    by: str = Field(min_length=1, max_length=200, pattern=r"\S", description="your name, for the record")
    why: str = Field(min_length=1, max_length=2000, pattern=r"\S", description="for whoever reads the evidence")


class Questions:
    """What a person may be asked about the step at which *rollout* is, one question open at a time. Use it in `with`."""

    def __init__(self, rollout: Rollout) -> None:
        self._rollout = rollout
        self._announce = Announcements(rollout)
        self._open: _Form | None = None
        self._answers: Future[list[Said]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Whoever is being told still is: nobody waits for a receiver while users are exposed.
        self._close()

    def ask(self, asks: Asks | None) -> list[Said]:
        """What was answered since the last look, one decision at most. Another question closes the one before."""
        if asks is None and self._open is not None and self._open.asks is Asks.APPROVAL:
            # Proof may blink from look to look. Whoever fills in the form is not to lose it: the word counts once it is back.
            asks = Asks.APPROVAL
        if self._open is None or self._open.asks is not asks:
            self._close()
            if asks is None:
                return []
            self._open = _Form(asks, self._rollout)
            self._announce(_HAPPENED[asks])
        if self._answers is None:
            self._answers = _talking.submit(copy_context().run, self._open.answers)
        if not self._answers.done():
            return []
        found, self._answers = self._answers.result(), None
        if found:
            # Whoever answered is not asked the same again while his word waits for proof.
            self._open = None
        return found

    def _close(self) -> None:
        if self._open is not None:
            wait([_talking.submit(copy_context().run, self._open.close)], _CLOSING_SECONDS)
            self._open = self._answers = None


_HAPPENED = {Asks.APPROVAL: Happened.APPROVAL_ASKED, Asks.OVERRIDE: Happened.OVERRIDE_ASKED}
_SAYING: dict[Asks, Saying] = {Asks.APPROVAL: "approve", Asks.OVERRIDE: "override"}
_QUESTION = {
    Asks.APPROVAL: "It has proved itself at this step. Go on?",
    Asks.OVERRIDE: "Too few users come to prove anything before the deadline. Go on without proof? The evidence will say so.",
}


class _Form:
    """One question, shown by the run's pause; what Prefect could not be told is told again at the next look."""

    def __init__(self, asks: Asks, rollout: Rollout) -> None:
        context = FlowRunContext.get()
        self._run: UUID | None = context.flow_run.id if context and context.flow_run else None
        self.asks, self._rollout = asks, rollout
        self._keys: Keyset | None = None

    def answers(self) -> list[Said]:
        """What was filled in, if anybody did."""
        if self._run is None:
            return []
        try:
            with _impatient() as client:
                if self._keys is None:
                    self._show(client, self._run)
                    return []
                return [] if _is_paused(client, self._run) else self._read(client, self._run, self._keys)
        except PrefectAway as away:
            get_run_logger().warning("nobody can be asked in Prefect for now: %s", away.message)
            return []

    def close(self) -> None:
        """The run is shown at work again, whoever answered."""
        if self._keys is None or self._run is None:
            return
        try:
            with _impatient() as client:
                if _is_paused(client, self._run):
                    client.set_flow_run_state(self._run, Running(), force=True)
        except PrefectAway as away:
            get_run_logger().warning("the run is still shown as paused: %s", away.message)

    def _show(self, client: SyncPrefectClient, run: UUID) -> None:
        rollout, within = self._rollout, self._rollout.plan.deadline_seconds
        # A key of its own for each asking: Prefect fires no pause twice.
        paused = Paused(timeout_seconds=max(1, round(within)), reschedule=False, pause_key=uuid4().hex)
        keys = keyset_from_paused_state(paused)
        paused.state_details.run_input_keyset = {str(name): key for name, key in keys.items()}
        told = f"**{rollout.release}** in {rollout.environment}: {rollout.exposure} % of users have it. {_QUESTION[self.asks]}"
        if _is_paused(client, run):
            # A try that died before its form was there: nobody could answer it.
            client.set_flow_run_state(run, Running(), force=True)
        client.set_flow_run_state(run, paused)
        # After the pause, which removes what was stored under its keys before.
        Word.with_initial_data(description=told).save(keys, flow_run_id=run)
        self._keys = keys

    def _read(self, client: SyncPrefectClient, run: UUID, keys: Keyset) -> list[Said]:
        # Resumed without a form, or set to another state: it is asked again.
        self._keys = None
        try:
            word = Word.model_validate_json(client.read_flow_run_input(run, keys["response"]))
        except (PrefectHTTPStatusError, ValidationError):
            return []
        decision: Saying = _SAYING[self.asks] if word.go_on else "roll_back"
        at = datetime.now(UTC)
        return [Said(step=self._rollout.step, decision=decision, who=word.by, why=word.why, via="prefect", at=at)]


@contextmanager
def _impatient() -> Generator[SyncPrefectClient]:
    """Raises PrefectAway within seconds, also where the server is frozen."""
    with (
        temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0, PREFECT_API_REQUEST_TIMEOUT: _PATIENCE_SECONDS}),
        prefect_client() as client,
    ):
        yield client


def _is_paused(client: SyncPrefectClient, run: UUID) -> bool:
    state = client.read_flow_run(run).state
    return state is not None and state.is_paused()
