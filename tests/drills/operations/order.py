"""A flow with every kind of effect, deployed to the real server for the drill.

Failure semantics: an order that is out of stock is turned back, and ends undone. A message in doubt ends it Failed, for
a person to look whether it arrived. Killed anywhere, a new run goes on at the step in flight.
"""

import smtplib
from contextlib import contextmanager
from email.message import EmailMessage

import httpx
from prefect import flow
from pydantic import BaseModel

from steward.clients.before_writing import in_context_of_opening, is_write
from steward.clients.postgres import connect
from steward.errors import Unavailable
from steward.operations.claims import Terms, turning_back
from steward.operations.effects import forget_effects, note_effects, own_effects
from steward.operations.errors import TurnedBack
from steward.operations.fencing import fence
from steward.operations.holding import guard
from steward.operations.steps import Doubt, Kind, current_step
from steward.settings import load
from steward.verdicts import Verdict
from tasks.durable import durable, ledger, operation, step

#: A gate may hold for as long as a lease and a new attempt take, and then some.
HELD_SECONDS = 600.0


class Order(BaseModel):
    """What a run is told: its name, where the outside world is, and whether it is to be turned back."""

    name: str
    http: int
    smtp: int
    out_of_stock: bool = False


class Receipt(BaseModel):
    """VERIFIED: fulfilled. REFUTED: out of stock, and undone."""

    verdict: Verdict


class OutOfStock(Exception):
    """The order cannot be fulfilled."""


@flow(name="drill-order", flow_run_name="{order.name}", persist_result=False)
@durable(subject="{order.name}", period=lambda **_: "once", terms=Terms(deadline_seconds=1800, max_attempts=8))
def drill_order(order: Order) -> Receipt:
    """Fulfil the order, or undo what was done for it."""
    try:
        gate(order, "prepare")
        prepare(order)
        fulfil(order)
    except (OutOfStock, TurnedBack) as reason:
        with turning_back(ledger(), operation(), reason):
            gate(order, "release")
            release(order)
            gate(order, "refund")
            refund(order)
        return Receipt(verdict=Verdict.REFUTED)
    finally:
        gate(order, "clear")
        clear(order)
        gate(order, "end")
    return Receipt(verdict=Verdict.VERIFIED)


def fulfil(order):
    """The forward steps."""
    gate(order, "reserve")
    reserve(order)
    gate(order, "post")
    post(order)
    gate(order, "allocate")
    allocate(order)
    if order.out_of_stock:
        raise OutOfStock(order.name)
    gate(order, "notify")
    notify(order)


@step("prepare")
def prepare(order: Order) -> None:
    """A workspace, noted before it is made; a second try makes another, and `clear` removes them all."""
    name = f"{case(order)}/{operation().token}-{current_step().tries}"
    note_effects("workspace", [name])
    gate(order, "prepare begun")
    with world(order, "prepare done") as outside:
        outside.put(f"/workspaces/{name}").raise_for_status()


@step("reserve")
def reserve(order: Order) -> None:
    """Idempotent by name: the store makes a file of this name once."""
    gate(order, "reserve begun")
    with world(order, "reserve done") as outside:
        answer = outside.put(f"/files/{case(order)}", headers={"If-None-Match": "*"})
    if answer.status_code not in {201, 412}:
        answer.raise_for_status()


@step("post")
def post(order: Order) -> None:
    """Conditional: the token is compared in the transaction that writes."""
    gate(order, "post begun")
    book(order, "posted")
    gate(order, "post done")


def find_resource(order):
    """By the tag that it was made with."""
    with world(order, "allocate found") as outside:
        found = outside.get(f"/resources?tag={case(order)}").raise_for_status().json()
    return found[0] if found else None


@step("allocate", find=find_resource)
def allocate(order: Order) -> str:
    """The server chooses the id: a second try looks for the tag first."""
    gate(order, "allocate begun")
    with world(order, "allocate done") as outside:
        return outside.post(f"/resources/{case(order)}").raise_for_status().json()


@step("notify", doubt=Doubt.STOP)
def notify(order: Order) -> None:
    """E-mail can neither be looked up nor taken back: in doubt a person looks."""
    gate(order, "notify begun")
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "drill@localhost", "customer@localhost", order.name
    message["Message-ID"] = f"<{case(order)}@drill>"
    for name, value in marks(order, "notify done").items():
        message[name] = value
    with smtplib.SMTP("127.0.0.1", order.smtp, timeout=HELD_SECONDS) as server:
        guard()
        server.send_message(message)


@step("release", kind=Kind.UNDO)
def release(order: Order) -> None:
    """Gone is gone: a second try finds nothing."""
    found = find_resource(order)
    gate(order, "release begun")
    if found:
        with world(order, "release done") as outside:
            outside.delete(f"/resources/{found}")


@step("refund", kind=Kind.UNDO)
def refund(order: Order) -> None:
    """Conditional, as `post` is."""
    gate(order, "refund begun")
    book(order, "refunded")
    gate(order, "refund done")


@step("clear", kind=Kind.ALWAYS)
def clear(order: Order) -> None:
    """Always: what any attempt has noted."""
    gate(order, "clear begun")
    left = own_effects("workspace")
    with world(order, "clear done") as outside:
        for effect in left:
            outside.delete(f"/workspaces/{effect.effect_id}")
    forget_effects(left)


def case(order):
    """The operation's name outside."""
    return f"{order.name}@{operation().period}"


def book(order, what):
    """One row an operation, by its own condition: no constraint would hide a second one."""
    with connect(load()) as db:
        fence(db)
        db.execute(
            "INSERT INTO drill.postings (subject, effect, token, attempt) SELECT %(case)s, %(what)s, %(token)s, %(attempt)s"
            " WHERE NOT EXISTS (SELECT FROM drill.postings WHERE subject = %(case)s AND effect = %(what)s)",
            {"case": case(order), "what": what, "token": operation().token, "attempt": operation().attempt},
        )


def marks(order, point):
    """What the effect log writes down of each request, and the gate at which the answer may be withheld."""
    held = operation()
    return {"X-Case": case(order), "X-Point": point, "X-Token": str(held.token), "X-Attempt": str(held.attempt)}


def gate(order, point):
    """Where the drill may hold this process. No effect, so it is let through unguarded, as a breakpoint would be."""
    with httpx.Client(base_url=f"http://127.0.0.1:{order.http}", timeout=HELD_SECONDS) as outside:
        outside.post(f"/gates/{point}", headers=marks(order, point))


@contextmanager
def world(order, point):
    """The outside world's HTTP, each write guarded as it leaves."""
    ask = in_context_of_opening(guard)
    hooks = {"request": [lambda request: ask() if is_write(request.method) else None]}
    base = f"http://127.0.0.1:{order.http}"
    headers = marks(order, point)
    with httpx.Client(base_url=base, timeout=HELD_SECONDS, headers=headers, event_hooks=hooks) as outside:
        try:
            yield outside
        except httpx.TransportError as error:
            raise Unavailable(f"the outside world does not answer: {error}") from error
