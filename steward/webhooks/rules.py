"""Rules: which delivery starts which of Prefect's deployments, with which parameters. They are data; the file's schema is here."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from steward.errors import BadInput
from steward.webhooks.templating import PATH, RuleDoesNotFit, check_template, fill, look_up

FORMAT = "steward-webhook-rules-v1"
_SHIPPED = Path(str(files("deployments"))) / "webhooks" / "rules.toml"

Scalar = bool | int | float | str
Expected = Scalar | Annotated[list[Scalar], Field(min_length=1)]
Path_ = Annotated[str, Field(pattern=f"^{PATH}$")]


class RulesUnusable(BadInput):
    """The file of rules cannot be read, or says something that no rule can."""


class Told(Protocol):
    """What rules are matched with; a `Delivery` is one."""

    @property
    def source(self) -> str: ...
    @property
    def event(self) -> str: ...
    @property
    def payload(self) -> Mapping[str, JsonValue]: ...


@dataclass(frozen=True, slots=True)
class Start:
    """A run of *deployment* is to be made."""

    rule: str
    deployment: str
    parameters: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Decide:
    """A protection rule at GitHub waits for an answer, which the evidence of *release* gives."""

    rule: str
    release: str
    environment: str
    callback_url: str
    wait_minutes: float


@dataclass(frozen=True, slots=True)
class Unfit:
    """The rule is for this delivery, and nothing can be made of it. *why* says what the payload lacks."""

    rule: str
    why: str


class Rule(BaseModel):
    """What one kind of delivery starts. Exactly one of `deployment` and `decide`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]{0,62}$",
        description="part of what a start is known by: a rule of another name may start again",
    )
    source: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="as the settings call it: [webhooks.sources.NAME]"
    )
    event: str = Field(
        pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$",
        description="X-GitHub-Event, or the signed form's type",
    )
    when: dict[Path_, Expected] = Field(
        default={}, description="dotted path in the payload: the value there, or a list of those that will do"
    )
    deployment: str | None = Field(default=None, pattern=r"^[^/]+/[^/]+$", description="FLOW/DEPLOYMENT of Prefect's")
    parameters: dict[str, JsonValue] = Field(default={}, description="of its run; {dotted.path} is the payload's value")
    decide: Literal["quality-gates"] | None = Field(
        default=None, description="answer a deployment_protection_rule by the release's evidence"
    )
    release: str = Field(default="", description="with decide: whose evidence; a reference into the payload")
    wait_minutes: float = Field(
        default=60, gt=0, le=24 * 60, description="with decide: how long evidence that is missing is waited for"
    )

    @model_validator(mode="after")
    def _one_effect(self) -> Self:
        if (self.deployment is None) == (self.decide is None):
            msg = "expected either deployment or decide"
            raise ValueError(msg)
        if self.decide and (self.event != "deployment_protection_rule" or not self.release or self.parameters):
            msg = "decide is for the event deployment_protection_rule; it wants `release` and no parameters"
            raise ValueError(msg)
        if self.deployment and {"release", "wait_minutes"} & self.model_fields_set:
            msg = "release and wait_minutes go with decide; a deployment has parameters"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _templates(self) -> Self:
        try:
            check_template(dict(self.parameters))
            check_template(self.release, "release")
        except BadInput as error:
            # As pydantic wants it.
            raise ValueError(str(error)) from None
        return self

    def is_for(self, told: Told) -> bool:
        """Whether its source, event and every condition are those of *told*."""
        return (self.source, self.event) == (told.source, told.event) and all(
            _is_one_of(look_up(told.payload, path), expected) for path, expected in self.when.items()
        )


class Rules(BaseModel):
    """All of them, in their file's order."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="Rules of webhooks")

    format: Literal["steward-webhook-rules-v1"]
    rule: tuple[Rule, ...] = ()

    @model_validator(mode="after")
    def _once_each(self) -> Self:
        names = [each.name for each in self.rule]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            msg = f"{', '.join(twice)}: a name is there twice; what a start is known by needs it once"
            raise ValueError(msg)
        return self

    def events_of(self, source: str) -> frozenset[str]:
        """The events of *source* that a rule names."""
        return frozenset(each.event for each in self.rule if each.source == source)


def read_rules(path: Path | None) -> Rules:
    """Of *path*, or those that are shipped. Raises RulesUnusable, which names the file, the rule and the field."""
    path = path or _SHIPPED
    try:
        return rules_of(tomllib.loads(path.read_text()))
    except OSError as error:
        raise RulesUnusable(
            f"cannot read {path}: {error.strerror}", hint="`rules` in [webhooks] must name a file"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RulesUnusable(f"{path} is not TOML: {error}", hint="mend the line it names") from None
    except RulesUnusable as error:
        raise RulesUnusable(f"{path}: {error.message}", hint=error.hint) from None


def rules_of(read: Mapping[str, object]) -> Rules:
    """What a file says. Raises RulesUnusable."""
    try:
        return Rules.model_validate(read)
    except ValidationError as error:
        faults = "; ".join(
            f"{_place(read, fault['loc'])}{fault['msg'].removeprefix('Value error, ')}" for fault in error.errors()
        )
        raise RulesUnusable(faults, hint="see docs/webhook-rules.md, and rules.schema.json") from None


def matching(rules: Rules, told: Told) -> list[Start | Decide | Unfit]:
    """What *told* starts, in the order of the file; nothing where no rule is for it."""
    return [_applied(rule, told) for rule in rules.rule if rule.is_for(told)]


def _applied(rule: Rule, told: Told) -> Start | Decide | Unfit:
    try:
        if rule.deployment is not None:
            # A table is filled as a table.
            parameters = fill(dict(rule.parameters), told.payload)
            return Start(rule.name, rule.deployment, parameters if isinstance(parameters, dict) else {})
        return Decide(
            rule.name,
            release=_text(rule.release, told),
            environment=_text("{environment}", told),
            callback_url=_text("{deployment_callback_url}", told),
            wait_minutes=rule.wait_minutes,
        )
    except RuleDoesNotFit as error:
        return Unfit(rule.name, error.message)


def _text(template: str, told: Told) -> str:
    found = fill(template, told.payload)
    if not isinstance(found, str):
        raise RuleDoesNotFit(f"{template} is no text")
    return found


def _is_one_of(found: object, expected: Expected) -> bool:
    # True is no 1 here, as it is none in JSON.
    wanted = expected if isinstance(expected, list) else [expected]
    return any(found == each and isinstance(found, bool) == isinstance(each, bool) for each in wanted)


def _place(read: Mapping[str, object], loc: tuple[int | str, ...]) -> str:
    return "".join(f"{part}: " for part in _parts(read, loc))


def _parts(read: Mapping[str, object], loc: tuple[int | str, ...]) -> Iterator[str]:
    """`rule 2 (deploy)`, then the field: whoever mends it looks for the name."""
    match loc:
        case ("rule", int(index), *rest):
            listed = read.get("rule")
            one = listed[index] if isinstance(listed, list) and index < len(listed) else None
            name = one.get("name") if isinstance(one, dict) else None
            yield f"rule {index + 1} ({name})" if isinstance(name, str) else f"rule {index + 1}"
            if rest:
                yield ".".join(map(str, rest))
        case ():
            return
        case _:
            yield ".".join(map(str, loc))
