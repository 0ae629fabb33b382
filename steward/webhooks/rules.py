"""Which delivery starts what. Rules are data: a TOML file whose schema is `deployments/webhooks/rules.schema.json`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from steward.errors import BadInput
from steward.settings import Webhooks
from steward.webhooks import github
from steward.webhooks.delivery import Payload
from steward.webhooks.templating import PATH, faults_of, fill, fill_text, look_up

FORMAT = "steward-webhook-rules-v1"
PROTECTION = "deployment_protection_rule"
_HINT = "docs/webhook-rules.md"

Value = str | int | bool
Path_ = Annotated[str, Field(pattern=f"^{PATH}$", max_length=200)]


class _Part(BaseModel):
    # Strict: a rule that wants `"1"` is not fitted by 1.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


@dataclass(frozen=True)
class Start:
    """A run that a rule asks for."""

    deployment: str
    parameters: dict[str, JsonValue]


class Rule(_Part):
    """What is done with the deliveries of one source and event that fit: a run is started, or GitHub is answered."""

    name: str = Field(pattern="^[a-z0-9][a-z0-9-]{0,62}$", description="part of the run's idempotency key: keep it")
    source: str = Field(pattern="^[a-z0-9][a-z0-9-]{0,62}$", description="[webhooks.sources.NAME] of the settings")
    event: str = Field(pattern="^[a-z0-9_.]{1,100}$", description="GitHub's event, or the signed form's type")
    enabled: bool = Field(default=True, description="false: what fits is stored and starts nothing")
    when: dict[Path_, Value | list[Value]] = Field(
        default={}, description="path in the payload → its value, or one of several; all must fit"
    )
    deployment: str | None = Field(
        default=None, pattern="^[^/{}]{1,200}/[^/{}]{1,200}$", description="FLOW/DEPLOYMENT of Prefect's to start"
    )
    parameters: dict[str, JsonValue] = Field(
        default={}, description="of the run; {path} in a text is looked up in the payload"
    )
    decide: Literal["quality-gates"] | None = Field(
        default=None, description="answer a deployment_protection_rule by the release's evidence"
    )
    release: str | None = Field(default=None, max_length=500, description="where `decide`: whose evidence")
    wait_minutes: float = Field(
        default=60, gt=0, le=10_080, strict=False, description="where `decide`: for missing evidence, then no"
    )

    @model_validator(mode="after")
    def _does_one_thing(self) -> Self:
        if (self.deployment is None) == (self.decide is None):
            msg = "expected one of deployment (what to start) and decide (what to answer)"
            raise ValueError(msg)
        if self.decide and (self.event != PROTECTION or self.release is None or self.parameters):
            msg = f"decide is for the event {PROTECTION}: expected release, the template of whose evidence, and no parameters"
            raise ValueError(msg)
        if self.deployment and self.release is not None:
            msg = "release belongs to decide; a run is told in its parameters"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _templates_can_be_filled(self) -> Self:
        if found := next(iter(faults_of([self.release or "", self.parameters])), None):
            raise ValueError(found)
        return self

    def fits(self, payload: Payload) -> bool:
        """Whether *payload* has all that it wants."""
        return all(_is(look_up(payload, path), wanted) for path, wanted in self.when.items())

    def start(self, payload: Payload) -> Start:
        """The run that it asks for. Raises RuleDoesNotFit where *payload* lacks what a parameter needs."""
        assert self.deployment  # noqa: S101  a rule that decides starts nothing
        return Start(self.deployment, fill(self.parameters, payload))

    def release_of(self, payload: Payload) -> str:
        """Whose evidence it decides by. Raises RuleDoesNotFit."""
        return fill_text(self.release or "", payload)


class Rules(_Part):
    """All of them, in the order of their file."""

    format: Literal["steward-webhook-rules-v1"]
    rules: Annotated[list[Rule], Field(alias="rule", min_length=1, max_length=200)]

    @model_validator(mode="after")
    def _each_has_a_name_of_its_own(self) -> Self:
        names = [each.name for each in self.rules]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            msg = f"two rules are called {twice[0]}; a run is known by the rule's name"
            raise ValueError(msg)
        return self

    def matching(self, source: str, event: str, payload: Payload) -> tuple[Rule, ...]:
        """Those that begin something for this delivery."""
        return tuple(
            each
            for each in self.rules
            if each.enabled and (each.source, each.event) == (source, event) and each.fits(payload)
        )

    def types(self, source: str) -> frozenset[str]:
        """The events of *source* that a rule names, whether or not it is enabled."""
        return frozenset(each.event for each in self.rules if each.source == source)

    def require(self, webhooks: Webhooks) -> None:
        """Raises BadInput for a rule whose source cannot send its event, or whose answer has nowhere to go."""
        for rule in self.rules:
            source = webhooks.sources.get(rule.source)
            if source is None:
                # The shipped rules are for platforms with and without GitHub.
                continue
            if source.kind == "github" and rule.event not in github.EVENTS:
                raise BadInput(
                    f"rule {rule.name}: GitHub's event {rule.event} is not received; known: {', '.join(sorted(github.EVENTS))}",
                    hint=_HINT,
                )
            if rule.decide and (source.kind != "github" or source.api is None):
                raise BadInput(
                    f"rule {rule.name} answers GitHub, and [webhooks.sources.{rule.source}] has no api",
                    hint="add its api with a GitHub App; docs/settings.md",
                )


def load_rules(path: Path | None) -> Rules:
    """Those of the file at *path*; None: the shipped ones. Raises BadInput, which names the rule and the field."""
    named = str(path) if path else "the shipped rules"
    try:
        text = path.read_text() if path else (files("deployments") / "webhooks" / "rules.toml").read_text()
        read = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"{named}: {error}", hint=_HINT) from None
    try:
        return Rules.model_validate(read)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        told = "; ".join(f"{_place(fault['loc'], read)}{fault['msg']}" for fault in faults[:5])
        raise BadInput(f"{named}: {told}", hint=_HINT) from None


def _place(path: tuple[int | str, ...], read: Mapping[str, Any]) -> str:
    """`rule 2 (release-candidate): when.action: `, counted as people count."""
    match path:
        case ("rule", int(number), *rest):
            given = read["rule"][number]
            name = given.get("name") if isinstance(given, dict) else None
            where = f"rule {number + 1}" + (f" ({name})" if isinstance(name, str) else "")
            return ": ".join([where, *([".".join(map(str, rest))] if rest else []), ""])
        case ():
            return ""
        case _:
            return ".".join(map(str, path)) + ": "


def _is(found: JsonValue, wanted: Value | list[Value]) -> bool:
    return any(
        type(found) is type(each) and found == each for each in (wanted if isinstance(wanted, list) else [wanted])
    )
