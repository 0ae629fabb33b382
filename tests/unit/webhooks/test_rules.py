"""Rules: what fits starts what its file says, and a file that says something else is refused by rule and field."""

import json
import tomllib
from dataclasses import dataclass
from importlib.resources import files

import jsonschema
import pytest
import tomli_w

from deployments.webhooks.__main__ import main
from steward.pipeline.request import CandidateRequest
from steward.rollout.request import RolloutRequest
from steward.webhooks.rules import Decide, Rule, RulesUnusable, Start, Unfit, matching, read_rules, rules_of
from tests.contract.github.payloads import whole

FORMAT = "steward-webhook-rules-v1"
SHIPPED = files("deployments") / "webhooks" / "rules.toml"
RULE = {"name": "one", "source": "ci", "event": "git.push", "deployment": "flow/deployment"}
DECIDES = {
    "name": "answer",
    "source": "github",
    "event": "deployment_protection_rule",
    "decide": "quality-gates",
    "release": "{deployment.sha}",
}
ASKED_FOR = {
    "production-rollout/production-rollout": RolloutRequest,
    "release-candidate/release-candidate": CandidateRequest,
}


@dataclass
class Told:
    source: str
    event: str
    payload: dict


def made(*rules):
    return rules_of({"format": FORMAT, "rule": list(rules)})


def write(folder, *rules, **more):
    path = folder / "rules.toml"
    path.write_text(tomli_w.dumps({"format": FORMAT, **more, "rule": list(rules)}))
    return path


def deployment(**changes):
    payload = whole("deployment", 0)
    payload["deployment"] |= {
        "environment": "production",
        "task": "deploy",
        "payload": {"flag": "new-search"},
    } | changes
    return Told("github", "deployment", payload)


def signed(event, **data):
    return Told("ci", event, {"type": event, "timestamp": "2026-11-27T10:00:00Z", "data": data})


def started(told):
    """What the shipped rules start, by the flow's own form."""
    (start,) = matching(read_rules(None), told)
    assert isinstance(start, Start)
    return ASKED_FOR[start.deployment].model_validate(start.parameters["request"])


def test_a_deployment_to_production_starts_its_rollout_with_what_its_payload_names():
    told = deployment()
    asked, of = started(told), told.payload["deployment"]
    assert (asked.release, asked.flag, asked.variant) == (of["sha"][:12], "new-search", "")
    assert (asked.environment, asked.deployment) == ("production", of["id"])
    assert asked.because == f"deployment {of['id']} by {of['creator']['login']}"


def test_a_payload_that_is_a_text_of_json_is_read_as_well():
    asked = started(deployment(payload=json.dumps({"flag": "new-search", "release": "2.1.0", "variant": "bold"})))
    assert (asked.release, asked.flag, asked.variant) == ("2.1.0", "new-search", "bold")


def test_a_deployment_without_a_flag_is_for_the_rule_and_says_what_it_lacks():
    (unfit,) = matching(read_rules(None), deployment(payload={}))
    assert isinstance(unfit, Unfit)
    assert (unfit.rule, unfit.why) == ("deploy", "the payload has no deployment.payload.flag")


@pytest.mark.parametrize("changes", [{"environment": "staging"}, {"task": "migrate"}, {"environment": "Production"}])
def test_a_deployment_elsewhere_or_of_another_task_starts_nothing(changes):
    assert matching(read_rules(None), deployment(**changes)) == []


def test_a_job_that_waits_is_answered_by_the_evidence_of_what_it_would_deploy():
    payload = whole("deployment_protection_rule", 0) | {"environment": "production"}
    (decide,) = matching(read_rules(None), Told("github", "deployment_protection_rule", payload))
    expected = Decide(
        "protect",
        release=payload["deployment"]["sha"][:12],
        environment="production",
        callback_url=payload["deployment_callback_url"],
        wait_minutes=60,
    )
    assert decide == expected


@pytest.mark.parametrize(
    "told",
    [
        signed("git.push", repository="shop", commit="a" * 40),
        signed("git.push", repository="shop", commit="a" * 40, ref="refs/heads/main", release="good", because="x"),
        signed("release.candidate", release="good", commit="a" * 40, flag="new-search"),
        signed("release.candidate", release="good", flag="new-search", environment="production", because="x"),
    ],
)
def test_what_other_tools_send_is_what_the_flow_they_start_asks_for(told):
    asked = started(told)
    assert asked.because == told.payload["data"].get("because", "")


def test_rules_fit_in_the_order_of_their_file():
    rules = made(RULE | {"name": "two"}, RULE, RULE | {"name": "three", "source": "cd"}, DECIDES)
    assert [each.rule for each in matching(rules, signed("git.push"))] == ["two", "one"]
    assert rules.events_of("ci") == {"git.push"}
    assert rules.events_of("nobody") == frozenset()


@pytest.mark.parametrize(
    ("when", "fits"),
    [
        ({}, True),
        ({"a.b": "x"}, True),
        ({"a.b": ["y", "x"]}, True),
        ({"a.b": "y"}, False),
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
    told = Told("ci", "git.push", {"a": {"b": "x", "n": 1, "t": True}})
    assert Rule.model_validate(RULE | {"when": when}).is_for(told) is fits


def without(rule, name):
    return {key: value for key, value in rule.items() if key != name}


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (RULE | {"name": "Two"}, r"rule 1 \(Two\): name: "),
        (RULE | {"decide": "quality-gates"}, r"rule 1 \(one\): expected either deployment or decide"),
        (without(RULE, "deployment"), "expected either deployment or decide"),
        (RULE | {"deployment": "flow"}, r"rule 1 \(one\): deployment: "),
        (RULE | {"when": {"a b": "x"}}, r"rule 1 \(one\): when"),
        (RULE | {"when": {"a": []}}, r"rule 1 \(one\): when\.a"),
        (RULE | {"parameter": {}}, r"rule 1 \(one\): parameter: Extra inputs"),
        (RULE | {"parameters": {"a": {"b": "{b c}"}}}, r"parameters\.a\.b: \{b c\} is no reference"),
        (RULE | {"release": "{a}"}, "release and wait_minutes go with decide"),
        (without(DECIDES, "release"), "it wants `release` and no parameters"),
        (DECIDES | {"event": "deployment"}, "decide is for the event deployment_protection_rule"),
        (DECIDES | {"parameters": {"a": 1}}, "no parameters"),
        (DECIDES | {"release": "{a"}, "a brace without its other"),
        (without(RULE, "name"), "rule 1: name: Field required"),
    ],
)
def test_a_rule_that_means_nothing_is_refused_by_its_number_its_name_and_the_field(tmp_path, rule, told):
    path = write(tmp_path, rule)
    with pytest.raises(RulesUnusable, match=told) as refused:
        read_rules(path)
    assert str(path) in refused.value.message
    assert refused.value.hint


def test_a_file_that_is_none_or_of_another_format_or_says_a_name_twice_is_refused(tmp_path):
    with pytest.raises(RulesUnusable, match="No such file"):
        read_rules(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("rule = [")
    with pytest.raises(RulesUnusable, match=r"bad\.toml is not TOML"):
        read_rules(tmp_path / "bad.toml")
    with pytest.raises(RulesUnusable, match="one: a name is there twice"):
        read_rules(write(tmp_path, RULE, RULE))
    with pytest.raises(RulesUnusable, match="format"):
        read_rules(write(tmp_path, RULE, format="steward-webhook-rules-v2"))


def test_the_schema_beside_the_shipped_rules_is_theirs_and_tells_a_misspelt_field(tmp_path, capsys):
    (tmp_path / "rules.toml").write_text(SHIPPED.read_text())
    assert main(["render", "--check"]) == 0
    assert main(["render", "--check", "--folder", str(tmp_path)]) == 1
    assert "HINT: python -m deployments.webhooks render" in capsys.readouterr().err
    assert main(["render", "--folder", str(tmp_path)]) == 0
    assert main(["render", "--check", "--folder", str(tmp_path)]) == 0

    schema = json.loads((tmp_path / "rules.schema.json").read_text())
    shipped = tomllib.loads(SHIPPED.read_text())
    jsonschema.validate(shipped, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(shipped | {"rule": [RULE | {"nmae": "x"}]}, schema)
    write(tmp_path, RULE | {"nmae": "x"})
    assert main(["render", "--check", "--folder", str(tmp_path)]) == 2
    assert "nmae" in capsys.readouterr().err
