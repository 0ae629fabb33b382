"""A question to a person, for which the run ends and is started again: no process and no lease while a person thinks.

The operation is `waiting` and keeps its resource. The answer is recorded as a step, so it is asked for once, whatever
dies after it was given. Prefect's server has one password and no users: who answered is what the answer says.
"""

from __future__ import annotations

import hashlib
import json
import math
from http import HTTPStatus
from typing import Any, TypeVar
from uuid import UUID, uuid4

from prefect import suspend_flow_run
from prefect.context import FlowRunContext
from prefect.exceptions import PrefectHTTPStatusError
from prefect.input import RunInput
from prefect.input.run_input import keyset_from_base_key
from pydantic import BaseModel, Field

from steward.errors import BadInput, StewardError
from steward.operations.steps import Step, run_step
from steward.operations.tries import tries
from tasks.durable import operation
from tasks.prefect_away import prefect_client

A = TypeVar("A", bound=RunInput)

DAY_SECONDS = 24 * 3600.0


class Answer(RunInput):
    """The form of a plain question. Prefect and the ledger keep what is filled in, in clear: never a secret."""

    approved: bool = Field(description="go on")
    by: str = Field(min_length=1, max_length=200, description="your name, for the record")
    remark: str = Field(default="", max_length=2000, description="why, for whoever reads the record")


class Unanswered(StewardError):
    """Nobody answered in time. The flow decides what follows: to turn back, or to end here."""


class _Outcome(BaseModel):
    answer: dict[str, Any] | None
    run: str | None = None


def approve(question: str, form: type[A] = Answer, *, key: str = "", within_seconds: float = DAY_SECONDS) -> A:
    """What a person answers to *question*, filled into *form* in Prefect's UI.

    Ends this process where there is no answer yet; the run is started again by the answer, and comes back to here.
    Only in the body of a deployed durable flow: a step, a subflow, or a run that no worker can start again cannot ask.

    Args:
        question: As people read it, above the form.
        form: What to fill in; checked by Prefect's server before the run is resumed.
        key: What tells it apart where the words vary from attempt to attempt (a measured figure); absent: the words.
        within_seconds: Counted from when it was first asked, over all attempts.

    Raises Unanswered, in every later attempt of the round too; BadInput where there is no answer yet and it cannot ask.
    """
    key = key or question
    base = f"suspended-{_pause_key(key)}"
    outcome = run_step(
        Step(
            name="approve",
            key=key,
            body=lambda: _ask(question, form, key, within_seconds),
            find=lambda: _answered(keyset_from_base_key(base)["response"]),
            inputs={"form": form.__name__},
            # Each call its own, so that two questions in the same words are refused and not answered by one answer.
            caller=str(uuid4()),
            decode=_Outcome.model_validate,
        )
    )
    if outcome.answer is None:
        raise Unanswered(
            f"nobody answered within {within_seconds:,.0f} s: {question}",
            hint=f"to ask again, begin another round: `python -m steward.operations reopen {operation().id} --anew`",
        )
    return form.model_validate(outcome.answer)


def _check_deployed() -> None:
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None or run.deployment_id is None:
        raise BadInput(
            "a run that waits for a person ends its process, and only a deployed flow's run is started again by a worker",
            hint="deploy the flow and start it there; a question in a subflow belongs into its parent, or into a child run",
        )


def _pause_key(key: str) -> str:
    # The same in every run of the round, and made of what Prefect allows in a key.
    held = operation()
    return hashlib.sha256(f"{held.id}/{held.round}/{key}".encode()).hexdigest()[:24]


def _ask(question: str, form: type[A], key: str, within_seconds: float) -> _Outcome:
    left = within_seconds - tries().seconds
    if left <= 0:
        return _Outcome(answer=None)
    _check_deployed()
    # Leaves by Prefect's Pause, and the ledger then waits for as long as the pause may last.
    suspend_flow_run(
        wait_for_input=form.with_initial_data(description=question),
        timeout=math.ceil(left),
        key=_pause_key(key),
    )
    # Here only if Prefect resumed the run without an answer that can be read.
    raise Unanswered(
        f"the run was resumed, but no answer to it is stored: {question}", hint="start a new run to be asked again"
    )


def _answered(response: str) -> _Outcome | None:
    """The answer, if a run of this round was given one: the run that asked may have died after that."""
    with prefect_client() as client:
        for run in tries().flow_run_ids:
            try:
                answer = json.loads(client.read_flow_run_input(UUID(run), response))
            except PrefectHTTPStatusError as error:
                if error.response.status_code != HTTPStatus.NOT_FOUND:
                    raise
                continue
            return _Outcome(answer=answer, run=run)
    return None
