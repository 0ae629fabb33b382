"""A flag: its variants, who always gets one, how the others are split, until when, and whether it was killed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    model_validator,
)

from steward.flags.errors import FlagDocumentRefused

#: The attribute of an evaluation's context that names the user's tenant. The user is its targeting key.
TENANT = "tenant"

#: JavaScript has no whole numbers beyond, so its SDKs would round them; flagd's schema refuses them.
SAFE_INTEGER = 2**53 - 1

#: What weights are of: hundredths, or hundredths of a hundredth where a step of 1 % is too coarse.
_COARSE, _FINE = 100, 10_000

# ASCII, for SDKs hash a flag's key, and those of JavaScript hash other letters otherwise than the rest.
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
_Word = Annotated[str, Field(min_length=1, max_length=200)]
Scalar = StrictStr | StrictBool | StrictInt | StrictFloat
Kind = Literal["boolean", "number", "string", "object"]

_HINT = "docs/flags.md shows a flag that works"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Audience(_Frozen):
    """Who gets a variant whatever the split says: on purpose, so no lease ends it. The kill switch does."""

    variant: _Name
    tenants: tuple[_Word, ...] = Field(default=(), max_length=1000)
    users: tuple[_Word, ...] = Field(default=(), max_length=1000)

    @model_validator(mode="after")
    def _of_somebody(self) -> Self:
        if not self.tenants and not self.users:
            raise FlagDocumentRefused(
                f"the audience of variant {self.variant} is nobody",
                expected="tenants or users",
                hint="name some, or leave the audience out",
            )
        return self


class Split(_Frozen):
    """How users are split: each variant's weight of the total, the growing one first, the off variant last.

    A user's place is fixed by the flag's key and the targeting key, so a growing first weight takes users in and
    lets none out.
    """

    weights: tuple[tuple[_Name, Annotated[StrictInt, Field(ge=0, le=_FINE)]], ...] = Field(min_length=2, max_length=20)

    @model_validator(mode="after")
    def _of_a_whole(self) -> Self:
        twice = [name for name, times in Counter(name for name, _ in self.weights).items() if times > 1]
        if twice:
            raise FlagDocumentRefused(
                f"the split names {', '.join(twice)} twice", expected="each variant once", hint=_HINT
            )
        if self.total not in (_COARSE, _FINE):
            raise FlagDocumentRefused(
                f"the weights {self} come to {self.total:,}",
                expected="100, or 10,000 where 1 % is too coarse",
                hint="give the rest to the off variant",
            )
        return self

    @classmethod
    def percentage(cls, variant: str, percent: float, off: str, total: int = _FINE) -> Self:
        """*percent* of users get *variant*, the rest *off*.

        In ten thousandths unless told, so that a rollout from 0.5 to 5 % keeps its total. Raises FlagDocumentRefused
        for a percentage outside 0 to 100, or finer than the total has it.
        """
        exact = percent * total / 100
        weight = round(exact) if math.isfinite(exact) else -1
        if not 0 <= weight <= total or not math.isclose(weight, exact, abs_tol=1e-6):
            raise FlagDocumentRefused(
                f"{percent} % of users", expected=f"0 to 100, in steps of {100 / total:g}", hint="round it"
            )
        return cls(weights=((variant, weight), (off, total - weight)))

    @property
    def total(self) -> int:
        """What the weights are of."""
        return sum(weight for _, weight in self.weights)

    @property
    def growing(self) -> str:
        """The variant that a rollout exposes."""
        return self.weights[0][0]

    @property
    def off(self) -> str:
        """What all others get."""
        return self.weights[-1][0]

    @property
    def exposure_percent(self) -> float:
        """Of users, how many get a variant that is not the off one."""
        return 100 * (self.total - self.weights[-1][1]) / self.total

    def withdrawn(self) -> Self:
        """The same order and total with everybody in the off variant: a roll back."""
        nobody = tuple((name, 0) for name, _ in self.weights[:-1])
        return type(self)(weights=(*nobody, (self.off, self.total)))

    def __str__(self) -> str:
        return ", ".join(f"{name} {weight}" for name, weight in self.weights)


class Flag(_Frozen):
    """One feature, as the store keeps it and as `steward.flags.documents` tells it to SDKs.

    Made from code or, by `Flag.read`, from JSON. What contradicts itself is refused with FlagDocumentRefused either
    way; from code, a value of a wrong type raises pydantic's own error.
    """

    key: _Name
    description: str = Field(default="", max_length=2000)
    #: By name, all of one kind.
    variants: Mapping[_Name, JsonValue] = Field(min_length=1, max_length=20)
    #: The variant of everybody while the flag is killed, and of whoever is in no audience and not split.
    off: _Name
    #: The first that a user belongs to counts.
    audiences: tuple[Audience, ...] = Field(default=(), max_length=50)
    split: Split | None = None
    #: Unix seconds. From then on the split gives the off variant to everybody, whoever is left to say so.
    lease_until: Annotated[StrictInt, Field(ge=0, le=SAFE_INTEGER)] | None = None
    killed: StrictBool = False
    #: Reaches applications with every evaluation, as `flag_metadata`: `rollout`, `step`, `slow_ms`.
    metadata: Mapping[_Name, Scalar] = Field(default_factory=dict, max_length=20)

    @classmethod
    def read(cls, state: object) -> Self:
        """From what `state()` gave, or somebody wrote: raises FlagDocumentRefused for whatever is not a flag."""
        try:
            return cls.model_validate(state)
        except ValidationError as error:
            first, count = error.errors(include_input=False, include_url=False)[0], error.error_count()
            where = ".".join(str(part) for part in first["loc"]) or "the flag"
            more = f" ({count - 1} more)" if count > 1 else ""
            message = f"{where} cannot be read: {first['msg']}{more}"
            raise FlagDocumentRefused(message, expected="a flag's fields, each of its type", hint=_HINT) from None

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return self.model_dump(mode="json")

    @property
    def kind(self) -> Kind:
        """Of its values: which of an SDK's calls asks for it."""
        return _kind(self.key, next(iter(self.variants.values())))

    def changed(self, **fields: Any) -> Self:
        """The same flag with other *fields*, checked anew."""
        return type(self)(**{**dict(self), **fields})

    def exposing(self, percent: float, variant: str) -> Self:
        """The same flag with *variant* for *percent* of users, of the same total while somebody is exposed."""
        total = self.split.total if self.split and self.split.exposure_percent else _FINE
        return self.changed(split=Split.percentage(variant, percent, self.off, total))

    def withdrawn(self) -> Self:
        """The same flag with its split rolled back to nobody."""
        return self.changed(split=self.split.withdrawn() if self.split else None)

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        kinds = {_kind(self.key, value) for value in self.variants.values()}
        if len(kinds) > 1:
            raise FlagDocumentRefused(
                f"flag {self.key} has variants that are {' and '.join(sorted(kinds))}",
                expected="values of one kind",
                hint="an application asks for a flag by its kind, and would get its own default for the others",
            )
        _demand_portable(self.key, [self.description, *self.variants.values(), *self.metadata.values()])
        return self

    @model_validator(mode="after")
    def _of_its_variants(self) -> Self:
        named = {self.off, *(audience.variant for audience in self.audiences)}
        if self.split:
            named.update(name for name, _ in self.split.weights)
        missing = sorted(named - set(self.variants))
        if missing:
            raise FlagDocumentRefused(
                f"flag {self.key} gives {', '.join(missing)}, which it does not have",
                expected=f"one of {', '.join(self.variants)}",
                hint="add the variant and its value, or name another",
            )
        if self.split and self.split.off != self.off:
            raise FlagDocumentRefused(
                f"the split of flag {self.key} ends with {self.split.off}",
                expected=f"its off variant, {self.off}, at the end",
                hint="the first weight grows into the last one",
            )
        return self


def _kind(key: str, value: JsonValue) -> Kind:
    match value:
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case dict():
            return "object"
        case _:
            raise FlagDocumentRefused(
                f"flag {key} has the value {'null' if value is None else 'of a list'}",
                expected="true or false, a number, a text or an object",
                hint="put a list into an object",
            )


def _demand_portable(key: str, values: list[Any]) -> None:
    """Raises FlagDocumentRefused for what a database, or SDKs of another language, cannot keep as it is."""
    for value in values:
        match value:
            case str() if "\0" in value or not _is_text(value):
                seen = "a text with a NUL or half a surrogate"
            case int() | float() if not math.isfinite(value) or abs(value) > SAFE_INTEGER:
                seen = f"the number {value}"
            case dict():
                _demand_portable(key, [*value, *value.values()])
                continue
            case list():
                _demand_portable(key, value)
                continue
            case _:
                continue
        raise FlagDocumentRefused(
            f"flag {key} has {seen}",
            expected="texts of Unicode, and numbers that JavaScript has",
            hint=f"numbers go up to {SAFE_INTEGER:,}; write a larger one as a text",
        )


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
