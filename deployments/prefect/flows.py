"""What a deployment says of its flow, held against the flow itself."""

from __future__ import annotations

import contextlib
import importlib
import logging
from collections.abc import Generator, Iterable
from typing import Any

from prefect.exceptions import ParameterTypeError, SignatureMismatchError
from prefect.flows import Flow
from prefect.utilities.callables import ParameterSchema, parameter_schema
from pydantic.errors import PydanticUserError

from deployments.prefect.faults import nearest

AnyFlow = Flow[Any, Any]


class NoFlow(Exception):
    """An entrypoint does not lead to a flow; the text says how far it led."""


def load(entrypoint: str) -> AnyFlow:
    """The flow that *entrypoint* (`package.module.flow`) names; NoFlow."""
    module_name, _, name = entrypoint.rpartition(".")
    if not module_name or ":" in entrypoint:
        raise NoFlow(f"the entrypoint {entrypoint!r} is not of the form package.module.flow")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        # Whatever the import raised, here it is a finding; on a worker it would be a crashed night.
        raise NoFlow(f"{module_name} cannot be imported: {type(error).__name__}: {error}") from error
    found = getattr(module, name, None)
    if not isinstance(found, Flow):
        flows = [key for key, value in vars(module).items() if isinstance(value, Flow)]
        meant = nearest(name, flows)
        raise NoFlow(f"{module_name} has no flow {name!r}" + (f"; did you mean {meant!r}?" if meant else ""))
    return found


def schema(flow: AnyFlow) -> dict[str, Any]:
    """The form that the UI shows, as a JSON schema."""
    return dict(parameter_schema(flow).model_dump())


def form(flow: AnyFlow) -> dict[str, Any]:
    """The same as `prefect deploy` sends it, and the server keeps it."""
    return dict(parameter_schema(flow).model_dump(exclude_unset=True))


def untold(flow: AnyFlow) -> list[str]:
    """Fields of the flow's form that no description explains."""
    told: ParameterSchema = parameter_schema(flow)
    names = [name for name, field in told.properties.items() if not (field.get("description") or "$ref" in field)]
    for model, definition in told.definitions.items():
        fields: dict[str, dict[str, Any]] = definition.get("properties", {})
        # An enumeration's title stands where it is defined.
        names += [
            f"{model}.{name}"
            for name, field in fields.items()
            if not (field.get("description") and (field.get("title") or "$ref" in field))
        ]
    return names


def misfits(flow: AnyFlow, parameters: dict[str, Any], *, complete: bool) -> list[str]:
    """Why *flow* would refuse *parameters*; *complete* when nobody adds what is missing (a schedule, a trigger).

    Values with a template in them are known only when the event is there: of those, the name is checked.
    """
    known = list(schema(flow)["properties"])
    strangers = [name for name in parameters if name not in known]
    if strangers:
        return [_stranger(name, known) for name in strangers]
    required: list[str] = schema(flow)["required"]
    missing = [name for name in required if name not in parameters]
    if complete and missing:
        return [f"the flow requires {', '.join(missing)}, which nobody fills in"]
    given = {name: value for name, value in parameters.items() if not _has_template(value)}
    absent = set(required) - set(given)
    return [refusal for refusal in _refusals(flow, given) if refusal.partition(":")[0] not in absent]


def _stranger(name: str, known: Iterable[str]) -> str:
    meant = nearest(name, known)
    return f"the flow has no parameter {name!r}" + (f"; did you mean {meant!r}?" if meant else "")


def _refusals(flow: AnyFlow, parameters: dict[str, Any]) -> list[str]:
    try:
        with _quiet():
            flow.validate_parameters(parameters)
    except (ParameterTypeError, SignatureMismatchError) as error:
        return [line.strip(" -") for line in str(error).splitlines()[1:]] or [str(error)]
    except PydanticUserError as error:
        # A decorator between the flow and its function hides where the annotations' names are defined.
        return [f"no parameters can be checked: {error.message}"]
    return []


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """Prefect logs the values that it refuses, and a secret may be among them."""
    logger = logging.getLogger("prefect.flows")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _has_template(value: Any) -> bool:
    if isinstance(value, dict):
        return "__prefect_kind" in value or any(_has_template(item) for item in value.values())
    if isinstance(value, list):
        return any(_has_template(item) for item in value)
    return isinstance(value, str) and "{{" in value
