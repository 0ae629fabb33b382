"""Whether rules can be kept: every source is in the settings, every deployment at Prefect, every parameter in its form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from jsonschema import Draft202012Validator

from services.watch.runs import DeploymentGone, Runs
from steward.settings import Webhooks
from steward.webhooks.github import EVENTS
from steward.webhooks.rules import Rule, Rules

_Schema = Mapping[str, Any]


def faults_of(rules: Rules, webhooks: Webhooks, runs: Runs) -> list[str]:
    """In words, each with its rule; none: the rules can be kept. Raises PrefectAway."""
    return [
        f"rule {rule.name}: {fault}"
        for rule in rules.rule
        for fault in (*_of_its_source(rule, webhooks), *_of_its_deployment(rule, runs))
    ]


def _of_its_source(rule: Rule, webhooks: Webhooks) -> Iterator[str]:
    source = webhooks.sources.get(rule.source)
    if source is None:
        known = ", ".join(sorted(webhooks.sources)) or "none"
        yield f"the settings have no source {rule.source}; known: {known}"
        return
    if source.kind == "github" and rule.event not in EVENTS:
        yield f"GitHub's {rule.event} is not received; known: {', '.join(sorted(EVENTS))}"
    if rule.decide and (source.kind != "github" or source.api is None):
        yield f"decide answers at GitHub, and there is no [webhooks.sources.{rule.source}.api]"


def _of_its_deployment(rule: Rule, runs: Runs) -> Iterator[str]:
    if rule.deployment is None:
        return
    try:
        form = runs.form(rule.deployment)
    except DeploymentGone:
        yield f"Prefect has no deployment {rule.deployment}; python -m deployments.prefect deploy brings those of prefect.yaml"
        return
    # Top-level parameters are the flow's arguments: one that it does not have would be refused at each start.
    yield from _compare(dict(rule.parameters), {**form, "additionalProperties": False}, form, "parameters")


def _compare(tree: object, schema: _Schema, form: _Schema, at: str) -> Iterator[str]:
    schema = _resolved(schema, form)
    properties = cast("Mapping[str, _Schema]", schema.get("properties", {}))
    if isinstance(tree, dict) and properties:
        named = cast("dict[str, Any]", tree)
        if schema.get("additionalProperties") is False:
            for key in named.keys() - properties.keys():
                yield f"{at}.{key} is not in the form; known: {', '.join(sorted(properties))}"
        for key in sorted(set(schema.get("required", [])) - named.keys()):
            yield f"{at}.{key} is missing; the form demands it"
        for key in named.keys() & properties.keys():
            yield from _compare(named[key], properties[key], form, f"{at}.{key}")
    elif not _is_template(tree):
        # The form's $defs, for references inside of it.
        defined = {"$defs": form.get("$defs", {}), "definitions": form.get("definitions", {})}
        for error in Draft202012Validator({**schema, **defined}).iter_errors(cast("Any", tree)):
            yield f"{at}: {error.message}"


def _resolved(schema: _Schema, form: _Schema) -> _Schema:
    """What a reference, or the one member of an allOf, stands for."""
    inner = schema.get("allOf", [])
    if "$ref" not in schema and len(inner) == 1:
        return _resolved(inner[0], form)
    found: Any = form
    for key in str(schema.get("$ref", "#")).removeprefix("#").strip("/").split("/"):
        found = found.get(key, {}) if key else found
    return found if "$ref" in schema else schema


def _is_template(tree: object) -> bool:
    """Whether only a delivery says what it will be."""
    match tree:
        case str():
            return "{" in tree
        case dict():
            return any(_is_template(each) for each in cast("dict[str, Any]", tree).values())
        case list():
            return any(_is_template(each) for each in cast("list[Any]", tree))
        case _:
            return False
