"""`check` finds what a start would be refused for, before anything is delivered."""

import pytest

from services.watch.runs import connected
from services.webhooks import dispatching
from services.webhooks.checking import faults_of
from steward.webhooks.rules import read_rules
from tests.integration.dispatch_ground import rules_for
from tests.integration.webhook_dispatcher.ground import decides

pytestmark = pytest.mark.without_search


def test_rules_that_prefect_and_the_settings_can_keep_have_no_fault(settings, target, client):
    with connected() as runs:
        assert not faults_of(rules_for(target), settings.webhooks, runs)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"deployment": "webhook-target/nowhere"}, "Prefect has no deployment webhook-target/nowhere"),
        ({"source": "nobody"}, "the settings have no source nobody; known: ci, github"),
        ({"source": "github"}, "GitHub's release.candidate is not received"),
        ({"parameters": {"request": {"nonce": "x"}}}, "parameters.request.release is missing"),
        ({"parameters": {}}, "parameters.request is missing"),
        ({"parameters": {"request": {"release": "{data.release}"}, "more": 1}}, "parameters.more is not in the form"),
        (
            {"parameters": {"request": {"release": "{data.release}", "relase": "v"}}},
            "parameters.request.relase is not in the form",
        ),
        ({"parameters": {"request": {"release": "NOT ONE"}}}, "parameters.request.release: 'NOT ONE' does not match"),
        (
            {"parameters": {"request": {"release": "v2", "count": "many"}}},
            "parameters.request.count: 'many' is not of type",
        ),
    ],
)
def test_the_check_finds_what_a_start_would_be_refused_for(settings, target, client, changes, fault):
    rules = rules_for(**{"deployment": target, **changes})
    with connected() as runs:
        (found,) = faults_of(rules, settings.webhooks, runs)
    assert found.startswith(f"rule release: {fault}")


def test_the_check_wants_an_api_where_github_is_to_be_answered(silent, client):
    with connected() as runs:
        (found,) = faults_of(decides(), silent.webhooks, runs)
    assert found == "rule protect: decide answers at GitHub, and there is no [webhooks.sources.github.api]"


def test_the_check_names_every_fault_and_ends_with_1(silent, client, in_replica, capsys):
    # This server has none of the deployments that the shipped rules start.
    assert dispatching.check(silent) == 1
    faults = capsys.readouterr().err.splitlines()
    assert {line.split(":")[0] for line in faults} == {f"rule {rule.name}" for rule in read_rules(None).rule}
