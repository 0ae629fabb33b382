"""What clients send and what they are shown. A refusal names fields and never a value: it travels through logs."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PastDate, ValidationError
from starlette.requests import Request

from demo.customers.tables import Order


def _address(text: str) -> str:
    """In the one form in which it is stored and searched: a blind index finds what is equal, and nothing else."""
    address = text.strip().lower()
    name, at, host = address.partition("@")
    if not (name and at and host) or "@" in host or len(address.split()) != 1:
        msg = "expected an address such as name@example.net"
        raise ValueError(msg)
    return address


Address = Annotated[str, Field(max_length=254), AfterValidator(_address)]
Plan = Literal["free", "silver", "gold"]
Notes = Annotated[str, Field(max_length=10_000)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class NewCustomer(_Body):
    """POST /customers."""

    plan: Plan = "free"
    email: Address
    born: PastDate | None = None
    notes: Notes | None = None


class CustomerChange(_Body):
    """PATCH /customers/{id}. What is absent stays as it is; the defaults here stand for nothing."""

    plan: Plan = "free"
    email: Address = ""
    born: PastDate | None = None
    notes: Notes | None = None


class Search(_Body):
    """POST /customers/search."""

    email: Address


class InputRefused(Exception):
    """The client's body is not what the request needs. Carries {pointer, detail} of each fault, without values."""

    def __init__(self, faults: list[dict[str, str]]) -> None:
        super().__init__(f"{len(faults)} faults in a request's body")
        self.faults = faults


_Given = TypeVar("_Given", bound=BaseModel)


async def given(model: type[_Given], request: Request) -> _Given:
    """The body of *request*. Raises InputRefused."""
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        faults = [_fault(each) for each in error.errors(include_input=False, include_url=False, include_context=False)]
    # Not chained: pydantic's error holds what the client sent.
    raise InputRefused(faults)


def _fault(error: Any) -> dict[str, str]:
    # The name of a field that there is not is the client's own text, and may be a value in the wrong place.
    known = error["loc"][:-1] if error["type"] == "extra_forbidden" else error["loc"]
    return {"pointer": "".join(f"/{part}" for part in known), "detail": error["msg"]}


def shown(customer: Any) -> dict[str, Any]:
    """For the client. Each encrypted attribute is read once, for each reading decrypts."""
    born: date | None = customer.born
    return {
        "id": str(customer.id),
        "plan": customer.plan,
        "email": customer.email,
        "born": born and born.isoformat(),
        "notes": customer.notes,
    }


def shown_order(order: Order) -> dict[str, Any]:
    """Beside its customer. Money is text: JSON's numbers are floats to most who read them."""
    return {
        "number": order.number,
        "placed_on": order.placed_on.isoformat(),
        "status": order.status,
        "total": str(order.total),
    }
