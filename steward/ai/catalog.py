"""What may be asked for, and who serves it: aliases and their routes, from a file (deployments/gateway/catalog.toml)."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from steward.ai.errors import CatalogUnusable

_Name = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RouteLimits(_Frozen):
    """Of a provider, for an account and a model, in a minute. Absent: no such limit."""

    requests: int = Field(ge=1)
    input_tokens: int | None = Field(default=None, ge=1)
    output_tokens: int | None = Field(default=None, ge=1)
    tokens: int | None = Field(default=None, ge=1, description="input and output together")


class Route(_Frozen):
    """One model of one account."""

    account: _Name
    model: _Name
    weight: float = Field(default=1.0, gt=0, le=1000)
    most_output_tokens: int = Field(ge=0, description="where the caller names none, and never more")
    first_byte_seconds: float = Field(
        default=30.0, ge=1, le=120, description="a stream that did not begin is asked elsewhere"
    )
    limits: RouteLimits

    @property
    def name(self) -> str:
        """As metrics, limits and health call it."""
        return f"{self.account}:{self.model}"


class Alias(_Frozen):
    """What callers name as `model`."""

    name: _Name
    route: tuple[Route, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        _once("route", (route.name for route in self.route))
        return self


class Catalog(_Frozen):
    """All of them."""

    alias: tuple[Alias, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        _once("alias", (alias.name for alias in self.alias))
        limits: dict[str, RouteLimits] = {}
        for alias in self.alias:
            for route in alias.route:
                if limits.setdefault(route.name, route.limits) != route.limits:
                    msg = f"route {route.name} has two different limits; they share one count"
                    raise ValueError(msg)
        return self

    def routes(self, alias: str) -> tuple[Route, ...]:
        """Those of *alias*; none where there is no such alias."""
        return next((each.route for each in self.alias if each.name == alias), ())

    @property
    def accounts(self) -> frozenset[str]:
        """Accounts that the settings have to name."""
        return frozenset(route.account for alias in self.alias for route in alias.route)


def load_catalog(path: Path) -> Catalog:
    """Raises CatalogUnusable, with every fault."""
    try:
        return Catalog.model_validate(tomllib.loads(path.read_text()))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise CatalogUnusable(f"{path} cannot be read: {error}", hint=_HINT) from None
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'the file'}: {each['msg']}" for each in error.errors())
        raise CatalogUnusable(f"{path}: {faults}", hint=_HINT) from None


_HINT = "see deployments/gateway/catalog.toml for one that works"


def _once(what: str, names: Iterable[str]) -> None:
    for name, times in Counter(names).items():
        if times > 1:
            msg = f"{what} {name} is there twice"
            raise ValueError(msg)
