"""What was agreed with a provider beside its list prices, from a file (deployments/costs/terms.toml)."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from steward.costs.values import Terms
from steward.errors import BadInput


class TermsUnusable(BadInput):
    """The file of terms is not what it ought to be: a discount that is not read would look like a variance."""


# As many digits as `multipliers` tells rates apart by.
_Share = Annotated[Decimal, Field(ge=0, lt=1, decimal_places=9)]
_Multiplier = Annotated[Decimal, Field(gt=0, decimal_places=9)]
_Name = Annotated[str, Field(min_length=1)]


class AgreedTerms(BaseModel):
    """Of one account."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    organization: _Name | None = None
    """As the provider's invoices call it."""
    discount: _Share = Decimal(0)
    """Share of the list price that is not billed: 0.1 is ten per cent."""
    committed_tiers: frozenset[_Name] = frozenset()
    """Tiers that are paid by a commitment, and are in no cost report."""
    regional_multipliers: tuple[_Multiplier, ...] = (Decimal("1.1"),)

    def with_keys(self, gateway_keys: Collection[str]) -> Terms:
        """As the attribution takes them, for an account whose *gateway_keys* (ids at the provider) only the gateway has."""
        return Terms(
            gateway_keys=frozenset(gateway_keys),
            discount=self.discount,
            committed_tiers=self.committed_tiers,
            regional_multipliers=self.regional_multipliers,
        )


class AllTerms(dict[str, AgreedTerms]):
    """By account; one that nobody named has agreed on nothing."""

    def __missing__(self, account: str) -> AgreedTerms:
        return AgreedTerms()


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    accounts: Mapping[str, AgreedTerms] = {}


def load_terms(path: Path | None, accounts: Collection[str] | None = None) -> AllTerms:
    """The terms at *path*; without one, none. An account that is not among *accounts* is refused. Raises TermsUnusable."""
    terms = AllTerms(_read(path).accounts) if path else AllTerms()
    if path and accounts is not None and (strange := terms.keys() - set(accounts)):
        raise TermsUnusable(
            f"{path.name} has terms of {min(strange)!r}, and the accounts are {', '.join(sorted(accounts)) or 'none'}",
            hint="name it as its [providers.NAME] in the settings does",
        )
    return terms


def _read(path: Path) -> _File:
    try:
        return _File.model_validate(tomllib.loads(path.read_text(), parse_float=Decimal))
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        reason = f"{'.'.join(map(str, found['loc']))}: {found['msg']}"
    except (OSError, ValueError, ArithmeticError) as error:
        reason = str(error)
    raise TermsUnusable(
        f"{path.name} cannot be read as terms: {reason}", hint="deployments/costs/terms.toml shows an entry"
    )
