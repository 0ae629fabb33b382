"""What people do about rollouts over HTTP: go back, approve, override. By a writer's token, or by a form of a page of rollouts.

Going back is done by the server itself, in a thread that whoever asked need not wait for: killed in it, the guardian ends it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import wraps
from typing import Any, TypeVar

import psycopg
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from services.flags.bodies import read_body
from services.flags.rollouts import RolloutPages, asked_for_a_token, read_form, trouble
from services.flags.tokens import Tokens
from services.problems import Refused
from steward.clients import roll_backs, rollouts
from steward.clients.application_host import ReleaseDidNotStart
from steward.clients.postgres import connect
from steward.clients.rollouts_return import roll_back
from steward.clients.rollouts_telling import tell_of_return
from steward.clients.rollouts_words import say_of
from steward.errors import BadInput, StewardError
from steward.rollout.record import NoRollout, Saying
from steward.rollout.returning import By, Returned
from steward.rollout.state import State
from steward.settings import Settings

#: Whoever asks for the way back is answered by then: with what was done, or where to see it.
_ANSWER_SECONDS = 20.0
_MOST_BYTES = 32_768
_NO_STORE = {"Cache-Control": "no-store"}
_log = logging.getLogger(__name__)
_SERVER, _NOBODY = 500, 401

Answering = Callable[[Request], Awaitable[Response]]


class Wish(BaseModel):
    """The body of each POST."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    because: str = Field(min_length=1, max_length=2000)


class WayBack(Wish):
    """Of POST /rollouts/{environment}/roll-back."""

    leave: str = Field(default="", max_length=100)
    """Only this release; empty: whichever is live."""


Asked = TypeVar("Asked", bound=Wish)


class RolloutActs:
    """Of one server."""

    def __init__(self, settings: Settings, tokens: Tokens, pages: RolloutPages) -> None:
        self._settings, self._tokens, self._sessions = settings, tokens, pages.sessions
        self._at_work = dict[asyncio.Task[Returned], str]()
        self._failed = dict[str, str]()

    def routes(self) -> list[Route]:
        """For the server's application."""
        return [
            Route("/rollouts/{environment}/roll-back", _answered(self.roll_back), methods=["POST"]),
            Route("/rollouts/{environment}/roll-back", _answered(self.standing), methods=["GET"]),
            Route("/rollouts/{id:int}/approve", _answered(self.approve), methods=["POST"]),
            Route("/rollouts/{id:int}/override", _answered(self.override), methods=["POST"]),
        ]

    async def roll_back(self, request: Request) -> Response:
        """200 with what was done; 202 and where to see it, where it takes long."""
        environment: str = request.path_params["environment"]
        who, wish, is_form = await self._asked(request, WayBack)
        if environment not in self._settings.balancers:
            raise Refused(404, f"there is no environment {environment[:100]!r}", hint="they are those of [balancers]")
        by = By(who=who, why=wish.because, via=_via(is_form=is_form))
        task = asyncio.create_task(_apart(lambda: roll_back(self._settings, environment, by, wish.leave)))
        self._at_work[task] = environment
        task.add_done_callback(self._over)
        done, _ = await asyncio.wait({task}, timeout=_ANSWER_SECONDS)
        returned = task.result() if done else None
        if is_form:
            following = f"/rollouts/{returned.rollout}" if returned and returned.rollout else "/rollouts"
            return RedirectResponse(following, status_code=303)
        if returned is None:
            where = f"/rollouts/{environment}/roll-back"
            return _json({"done": False, "see": where}, 202, {"Location": where, "Retry-After": "2"})
        return _json({"done": True, **returned.model_dump(mode="json", exclude={"ended_here"})})

    async def standing(self, request: Request) -> Response:
        """Whether something is on its way back there, what was gone last, and why what this server was asked for failed."""
        environment: str = request.path_params["environment"]
        if self._sessions.caller(request) is None:
            raise Refused(401, "this needs a token of [flags.tokens]", headers={"WWW-Authenticate": "Bearer"})

        def read() -> dict[str, Any]:
            with connect(self._settings) as db:
                rollout = next(iter(rollouts.newest(db, environment, 1)), None)
                back = next(iter(roll_backs.newest(db, environment, 1)), None)
            told = {"id", "release", "state", "exposure", "who", "why", "withdrawn_at", "ended_at"}
            return {
                "environment": environment,
                "under_way": environment in self._at_work.values()
                or bool(back and back.ended_at is None)
                or bool(rollout and rollout.state is State.WITHDRAWING),
                "failed": self._failed.get(environment),
                "rollout": rollout.model_dump(mode="json", include=told) if rollout else None,
                "roll_back": back.model_dump(mode="json") if back else None,
            }

        return _json(await run_in_threadpool(read))

    async def approve(self, request: Request) -> Response:
        """409 where nobody waits for it."""
        return await self._say(request, "approve")

    async def override(self, request: Request) -> Response:
        """409 where nobody waits for it."""
        return await self._say(request, "override")

    async def _say(self, request: Request, saying: Saying) -> Response:
        number: int = request.path_params["id"]
        who, wish, is_form = await self._asked(request, Wish)
        by = By(who=who, why=wish.because, via=_via(is_form=is_form))
        rollout = await run_in_threadpool(lambda: say_of(self._settings, number, saying, by))
        if is_form:
            return RedirectResponse(f"/rollouts/{number}", status_code=303)
        return _json(
            {"rollout": number, "step": rollout.step, "exposure": rollout.exposure, "said": saying, "who": who}
        )

    async def _asked(self, request: Request, kind: type[Asked]) -> tuple[str, Asked, bool]:
        """Who asks, for what, and whether by a page's form. Raises Refused."""
        if request.headers.get("authorization"):
            caller = self._tokens.find(request.headers["authorization"])
            self._tokens.demand_writer(caller)
            return caller.name, await read_body(request, kind), False
        if not _is_form(request):
            raise Refused(401, "this needs a writer's token of [flags.tokens]", headers={"WWW-Authenticate": "Bearer"})
        form = await read_form(request, _MOST_BYTES)
        caller = self._sessions.demand_form(request, form.pop("seal", ""))
        try:
            return caller.name, kind.model_validate(form), True
        except ValidationError:
            raise Refused(422, "the form needs a reason", hint="go back, say why, and send it again") from None

    def _over(self, task: asyncio.Task[Returned]) -> None:
        environment = self._at_work.pop(task)
        self._failed.pop(environment, None)
        if task.cancelled():
            return
        if error := task.exception():
            self._failed[environment] = error.message if isinstance(error, StewardError) else type(error).__name__
            _log.error("the way back of %s is not done: %s", environment, error)
        elif task.result().ended_here:
            returned = task.result()
            threading.Thread(target=lambda: tell_of_return(self._settings, returned), daemon=True).start()


def _answered(act: Answering) -> Answering:
    """In whatever way it was asked: a page for a form, a problem for a program."""

    @wraps(act)
    async def told(request: Request) -> Response:
        try:
            return await act(request)
        except StewardError as error:
            status = _status_of(error)
            refused = Refused(
                status, error.message, hint=error.hint, headers={"Retry-After": "1"} if status >= _SERVER else {}
            )
        except Refused as error:
            refused = error
        except psycopg.Error as error:
            refused = Refused(503, f"the database broke this off: {type(error).__name__}", hint="ask again")
        if not _is_form(request):
            raise refused
        if refused.status == _NOBODY:
            return asked_for_a_token("", f"{refused.detail}; {refused.hint}")
        return trouble(refused.status, "Not done", refused.detail, refused.hint, stays=True)

    return told


async def _apart(work: Callable[[], Returned]) -> Returned:
    """In a thread of its own: none of the server's few is taken by what may last a minute, and none waits for it at the end."""
    loop, outcome = asyncio.get_running_loop(), Future[Returned]()

    def run() -> None:
        # Nobody waits any more where the server is ending.
        with suppress(InvalidStateError):
            try:
                outcome.set_result(work())
            except Exception as error:  # noqa: BLE001  whoever waits is told
                outcome.set_exception(error)

    threading.Thread(target=run, name="roll back", daemon=True).start()
    return await asyncio.wrap_future(outcome, loop=loop)


def _status_of(error: StewardError) -> int:
    match error:
        case NoRollout():
            return 404
        case BadInput():
            return 409
        case ReleaseDidNotStart():
            return 502
        case _:
            return 503 if error.transient else 500


def _via(*, is_form: bool) -> str:
    return "page" if is_form else "api"


def _is_form(request: Request) -> bool:
    """From a page. Whoever shows a token is a program, whatever it calls its JSON: curl calls it a form."""
    if request.headers.get("authorization"):
        return False
    return request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")


def _json(told: Any, status: int = 200, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse(told, status, headers={**_NO_STORE, **(headers or {})})
