"""A question to a person while the run stays at work: users are exposed meanwhile, so it goes on judging and renewing.

The run is shown as Paused, with the form. Prefect is where it is asked, not where it is decided: the same may be said by
the API or by a command, and a server that is away keeps nobody from answering there.
"""

from __future__ import annotations

from types import TracebackType
from typing import Generic, Self, TypeVar
from uuid import UUID, uuid4

from prefect.client.orchestration import SyncPrefectClient
from prefect.context import FlowRunContext
from prefect.exceptions import PrefectHTTPStatusError
from prefect.input import RunInput
from prefect.input.run_input import Keyset, keyset_from_paused_state
from prefect.logging import get_run_logger
from prefect.states import Paused, Running
from pydantic import Field, ValidationError

from tasks.prefect_away import PrefectAway, prefect_client

A = TypeVar("A", bound=RunInput)


class StepApproval(RunInput):
    """The form of an approval point. Prefect keeps what is filled in, in clear: never a secret."""

    approved: bool = Field(description="go on to the next step; else the rollout is rolled back")
    by: str = Field(min_length=1, max_length=200, description="your name, for the record")
    why: str = Field(min_length=1, max_length=2000, description="for whoever reads the evidence")


class Override(RunInput):
    """The form for going on without proof. Prefect keeps what is filled in, in clear: never a secret."""

    go_on_without_proof: bool = Field(description="go on although nothing is proved; else the rollout is rolled back")
    by: str = Field(min_length=1, max_length=200, description="your name, for the record")
    why: str = Field(min_length=1, max_length=2000, description="what makes you sure; it is part of the evidence")


class Question(Generic[A]):
    """Open from entering to leaving. What cannot be asked, since Prefect is away, is asked again at the next look."""

    def __init__(self, question: str, form: type[A], within_seconds: float) -> None:
        context = FlowRunContext.get()
        self._run: UUID | None = context.flow_run.id if context and context.flow_run else None
        self._question, self._form, self._within = question, form, within_seconds
        self._asked: Keyset | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The run is shown at work again, whoever answered."""
        if self._asked is None or self._run is None:
            return
        try:
            with prefect_client() as client:
                if _is_paused(client, self._run):
                    client.set_flow_run_state(self._run, Running(), force=True)
        except PrefectAway as away:
            get_run_logger().warning("the run is still shown as paused: %s", away)

    def answer(self) -> A | None:
        """What was filled in, if anybody did."""
        if self._run is None:
            return None
        try:
            with prefect_client() as client:
                if self._asked is None:
                    self._ask(client, self._run)
                    return None
                return None if _is_paused(client, self._run) else self._read(client, self._run, self._asked)
        except PrefectAway as away:
            get_run_logger().warning("%s cannot be asked in Prefect for now: %s", self._question, away)
            return None

    def _ask(self, client: SyncPrefectClient, run: UUID) -> None:
        # A key of its own for each asking: Prefect fires no pause twice.
        paused = Paused(timeout_seconds=max(1, round(self._within)), reschedule=False, pause_key=uuid4().hex)
        keyset = keyset_from_paused_state(paused)
        paused.state_details.run_input_keyset = {str(name): key for name, key in keyset.items()}
        # Before the pause, so that a run that is seen paused has its form.
        self._form.with_initial_data(description=self._question).save(keyset, flow_run_id=run)
        client.set_flow_run_state(run, paused)
        self._asked = keyset

    def _read(self, client: SyncPrefectClient, run: UUID, keyset: Keyset) -> A | None:
        # Resumed without a form, or set to another state: it is asked again.
        self._asked = None
        try:
            return self._form.model_validate_json(client.read_flow_run_input(run, keyset["response"]))
        except (PrefectHTTPStatusError, ValidationError):
            return None


def _is_paused(client: SyncPrefectClient, run: UUID) -> bool:
    state = client.read_flow_run(run).state
    return state is not None and state.is_paused()
