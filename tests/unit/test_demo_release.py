"""What the demo of releases tells the platform, and nothing else than that."""

from __future__ import annotations

import tomllib
from pathlib import Path

from demo.release.ground import RULES, described, with_plan
from replica.state import checkout
from steward.rollout.plan import Plan
from steward.webhooks.rules import rules_of

SETTINGS = {
    "postgres": {"url": "postgresql://a@b/c"},
    "pipeline": {
        "folder": "/p",
        "announce": {"url": "http://127.0.0.1:1/webhooks/ci", "secret": "file:/s"},
        "repositories": {"shop": {"url": "/laid", "flag": "new-search"}},
    },
    "webhooks": {
        "url": "http://127.0.0.1:1",
        "sources": {
            "github": {
                "kind": "github",
                "api": {"url": "http://127.0.0.1:2", "repository": "example/shop", "hook": 1, "token": "file:/t"},
            }
        },
    },
}
SHIPPED = tomllib.loads((checkout() / RULES).read_text())


def test_a_proved_release_is_told_by_github_alone_or_it_would_be_rolled_out_twice():
    told = described(SETTINGS, Path("/bare"), "http://127.0.0.1:3", Path("/rules"))
    assert "announce" not in told["pipeline"]
    assert told["pipeline"]["repositories"] == {"shop": {"url": "/bare", "flag": "new-search", "github": "github"}}
    assert told["notices"]["targets"]["github"] == {
        "kind": "github",
        "url": "http://127.0.0.1:2",
        "repository": "example/shop",
        "token": "file:/t",
    }
    assert told["webhooks"]["sources"] == SETTINGS["webhooks"]["sources"]
    assert told["postgres"] == SETTINGS["postgres"]


def test_of_the_shipped_rules_the_plan_alone_is_other():
    plan = Plan(steps=(50, 100))
    rules = with_plan(SHIPPED, plan)
    assert rules_of(rules)
    (deploy,) = [each for each in rules["rule"] if each["name"] == "deploy"]
    told = deploy["parameters"]["request"].pop("plan")
    assert Plan.model_validate(told) == plan
    assert rules == SHIPPED
