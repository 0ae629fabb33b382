"""Rules: what fits starts what its file says, and a file that says something else is refused by rule and field."""

import json
import tomllib
from importlib.resources import files

import jsonschema
import pytest
import tomli_w

from deployments.webhooks.__main__ import SCHEMA, main, schema
from flows.production_rollout import production_rollout
from flows.release_candidate import release_candidate
from steward.errors import BadInput
from steward.pipeline.request import CandidateRequest
from steward.rollout.request import RolloutRequest
from steward.settings import Webhooks
from steward.webhooks.errors import RuleDoesNotFit
from steward.webhooks.rules import Rule, Rules, load_rules
from tests.contract.github.payloads import whole

RULE = {"name": "one", "source": "ci", "event": "git.push", "deployment": "flow/deployment"}
DECIDES = {"name": "answer", "source": "github", "event": "deployment_protection_rule", "decide": "quality-gates"}
REQUESTS = {
    "production-rollout/production-rollout": RolloutRequest,
    "release-candidate/release-candidate": CandidateRequest,
}


def made(*rules):
    return Rules.model_validate({"format": "steward-webhook-rules-v1", "rule": list(rules)})


def write(folder, *rules, **more):
    path = folder / "rules.toml"
    path.write_text(tomli_w.dumps({"format": "steward-webhook-rules-v1", **more, "rule": list(rules)}))
    return path


def deployment(**changes):
    payload = whole("deployment", 0)
    payload["deployment"] |= {
        "environment": "production",
        "task": "deploy",
        "payload": {"flag": "new-search"},
        **changes,
    }
    return payload


def test_a_deployment_to_production_starts_its_rollout_with_what_its_payload_names():
    payload = deployment()
    (rule,) = load_rules(None).matching("github", "deployment", payload)
    start = rule.start(payload)
    asked = RolloutRequest.model_validate(start.parameters["request"])
    told = payload["deployment"]
    assert start.deployment == "production-rollout/production-rollout"
    assert (asked.release, asked.flag, asked.variant, asked.environment) == (
        told["sha"],
        "new-search",
        "",
        "production",
    )
    assert asked.deployment == told["id"]
    assert asked.because == f"GitHub deployment {told['id']} of {told['ref']} by {told['creator']['login']}"


def test_a_payload_that_is_a_text_of_json_is_read_as_well():
    payload = deployment(payload=json.dumps({"flag": "new-search", "release": "2.1.0", "variant": "bold"}))
    (rule,) = load_rules(None).matching("github", "deployment", payload)
    asked = RolloutRequest.model_validate(rule.start(payload).parameters["request"])
    assert (asked.release, asked.flag, asked.variant) == ("2.1.0", "new-search", "bold")


def test_a_deployment_without_a_flag_fits_and_says_what_it_lacks():
    payload = deployment(payload={})
    (rule,) = load_rules(None).matching("github", "deployment", payload)
    with pytest.raises(RuleDoesNotFit, match=r"has no deployment\.payload\.flag"):
        rule.start(payload)


@pytest.mark.parametrize("changes", [{"environment": "staging"}, {"task": "migrate"}, {"environment": "Production"}])
def test_a_deployment_elsewhere_or_of_another_task_starts_nothing(changes):
    assert load_rules(None).matching("github", "deployment", deployment(**changes)) == ()


def test_a_job_that_waits_is_answered_by_the_evidence_of_what_it_would_deploy():
    payload = whole("deployment_protection_rule", 0)
    payload["environment"] = "production"
    (rule,) = load_rules(None).matching("github", "deployment_protection_rule", payload)
    assert rule.decide == "quality-gates"
    assert rule.release_of(payload) == payload["deployment"]["sha"]


@pytest.mark.parametrize(
    ("event", "data"),
    [
        ("git.push", {"repository": "shop", "commit": "a" * 40}),
        ("git.push", {"repository": "shop", "commit": "a" * 40, "ref": "refs/heads/main", "release": "good"}),
        ("release.candidate", {"release": "good", "commit": "a" * 40, "flag": "new-search"}),
        (
            "release.candidate",
            {"release": "good", "commit": "a" * 40, "flag": "new-search", "environment": "production"},
        ),
    ],
)
def test_what_other_tools_send_is_what_the_flow_they_start_asks_for(event, data):
    payload = {"type": event, "timestamp": "2026-11-27T10:00:00Z", "data": data}
    (rule,) = load_rules(None).matching("ci", event, payload)
    start = rule.start(payload)
    asked = REQUESTS[start.deployment].model_validate(start.parameters["request"])
    assert asked.because


def test_the_shipped_rules_start_flows_that_are_there():
    known = {f"{flow.name}/{flow.name}" for flow in (production_rollout, release_candidate)}
    assert {rule.deployment for rule in load_rules(None).rules if rule.deployment} == known


def test_rules_fit_in_the_order_of_their_file_and_only_those_that_are_enabled():
    other, off = RULE | {"name": "two"}, RULE | {"name": "three", "enabled": False}
    elsewhere = RULE | {"name": "four", "source": "cd"}
    rules = made(other, RULE, off, elsewhere)
    assert [each.name for each in rules.matching("ci", "git.push", {})] == ["two", "one"]
    assert rules.types("ci") == {"git.push"}
    assert made(off).types("ci") == {"git.push"}, "its sender is taken, though nothing starts"
    assert made(off).matching("ci", "git.push", {}) == ()


@pytest.mark.parametrize(
    ("when", "fits"),
    [
        ({}, True),
        ({"a.b": "x"}, True),
        ({"a.b": ["y", "x"]}, True),
        ({"a.b": "y"}, False),
        ({"a.b": []}, False),
        ({"a.n": 1}, True),
        ({"a.n": True}, False),
        ({"a.n": "1"}, False),
        ({"a.t": True}, True),
        ({"a.t": 1}, False),
        ({"a.none": "x"}, False),
        ({"a.b.c": "x"}, False),
        ({"a.b": "x", "a.n": 2}, False),
    ],
)
def test_a_rule_fits_where_every_value_is_the_same_and_of_the_same_type(when, fits):
    rule = Rule.model_validate(RULE | {"when": when})
    assert rule.fits({"a": {"b": "x", "n": 1, "t": True}}) is fits


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (RULE | {"deployment": None}, r"rule 1 \(one\)"),
        ({**RULE, "name": "Two"}, r"rule 1 \(Two\): name"),
        ({**RULE, "decide": "quality-gates"}, "expected one of deployment"),
        ({k: v for k, v in RULE.items() if k != "deployment"}, "expected one of deployment"),
        ({**RULE, "deployment": "flow"}, "deployment"),
        ({**RULE, "when": {"a b": "x"}}, r"rule 1 \(one\): when"),
        ({**RULE, "when": {"a": 1.5}}, r"rule 1 \(one\): when\.a"),
        ({**RULE, "parameter": {}}, r"rule 1 \(one\): parameter: Extra inputs"),
        ({**RULE, "parameters": {"a": "{b c}"}}, "is no path"),
        ({**RULE, "release": "{a}"}, "release belongs to decide"),
        (DECIDES, "expected release"),
        ({**DECIDES, "release": "{a}", "event": "deployment"}, "decide is for the event"),
        ({**DECIDES, "release": "{a}", "parameters": {"a": 1}}, "no parameters"),
        ({**DECIDES, "release": "{a", "wait_minutes": 1}, "a brace without its other"),
    ],
)
def test_a_rule_that_means_nothing_is_refused_by_its_number_its_name_and_the_field(tmp_path, rule, told):
    path = write(tmp_path, {name: value for name, value in rule.items() if value is not None})
    with pytest.raises(BadInput, match=told) as refused:
        load_rules(path)
    assert str(path) in refused.value.message
    assert refused.value.hint == "docs/webhook-rules.md"


def test_a_file_that_is_none_or_of_another_format_or_says_a_name_twice_is_refused(tmp_path):
    with pytest.raises(BadInput, match="No such file"):
        load_rules(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("rule = [")
    with pytest.raises(BadInput, match=r"bad\.toml"):
        load_rules(tmp_path / "bad.toml")
    with pytest.raises(BadInput, match="two rules are called one"):
        load_rules(write(tmp_path, RULE, RULE))
    with pytest.raises(BadInput, match="format"):
        load_rules(write(tmp_path, RULE, format="steward-webhook-rules-v2"))
    with pytest.raises(BadInput, match="rule: List should have at least 1 item"):
        load_rules(write(tmp_path))


def sources(**made_sources):
    return Webhooks.model_validate({"url": "https://hooks.example.net", "sources": made_sources})


def test_rules_and_sources_that_do_not_go_together_are_told_before_anything_comes():
    github = {"kind": "github", "secrets": ["file:/run/secrets/github"]}
    api = {"repository": "octo/shop", "token": "file:/run/secrets/token"}
    load_rules(None).require(sources(github=github | {"api": api}))
    load_rules(None).require(sources())
    with pytest.raises(BadInput, match=r"github-protection answers GitHub, and \[webhooks.sources.github\] has no api"):
        load_rules(None).require(sources(github=github))
    with pytest.raises(BadInput, match="GitHub's event push is not received; known: deployment, "):
        made(RULE | {"source": "github", "event": "push"}).require(sources(github=github))


def test_the_schema_beside_the_rules_is_theirs_and_holds_them(tmp_path, capsys, monkeypatch):
    assert main(["render", "--check"]) == 0
    shipped = tomllib.loads((files("deployments") / "webhooks" / "rules.toml").read_text())
    jsonschema.validate(shipped, json.loads(schema()))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(shipped | {"rule": [{**RULE, "nmae": "x"}]}, json.loads(schema()))
    other = tmp_path / "rules.schema.json"
    other.write_text(SCHEMA.read_text().replace("quality-gates", "quality-gate"))
    monkeypatch.setattr("deployments.webhooks.__main__.SCHEMA", other)
    assert main(["render", "--check"]) == 1
    assert "HINT: python -m deployments.webhooks render" in capsys.readouterr().err
    assert main(["render"]) == 0
    assert main(["render", "--check"]) == 0


def test_a_signed_sender_is_told_the_types_that_rules_name():
    assert load_rules(None).types("ci") == {"git.push", "release.candidate"}
    assert load_rules(None).types("nobody") == frozenset()
