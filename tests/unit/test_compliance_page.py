"""Every command, flow and figure that docs/compliance.md cites is there."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest
import yaml

import steward.__main__ as steward_command
from deployments.prefect import __main__ as prefect_command
from steward.evidence import __main__ as evidence_command
from steward.operations import __main__ as operations_command

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "compliance.md").read_text()
FLOWS = {each["name"] for each in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]}
#: Where each statement's figures are written: module, and the functions in it.
STATEMENTS = {
    "nightly-snapshot": [("tasks/evidence.py", "_figures")],
    "restore-from-offsite": [("tasks/recovery_statement.py", "_figures")],
    "backup-keyring": [("tasks/keyring_statements.py", "backup_statement")],
    "shred-tenant": [("tasks/keyring_statements.py", "erasure_statement")],
    "monthly-key-rotation": [("tasks/key_statements.py", "_figures"), ("tasks/key_statements.py", "_statement")],
    "audit-keys": [
        ("tasks/audit_evidence.py", "_figures"),
        ("tasks/audit_evidence.py", "audit_statement"),
        *(("steward/keys/audit_figures.py", f"_{part}figures") for part in ("vault_", "keyring_", "access_")),
        ("steward/keys/audit_figures.py", "figures"),
    ],
    "seal-ai-attempts": [("tasks/sealing_statement.py", "sealing_statement")],
    "rotate-provider-keys": [("tasks/provider_key_statements.py", "rotation_statement")],
    "limit-drift": [("tasks/limit_statement.py", "limit_statement")],
    "reconcile-webhooks": [("tasks/webhook_statement.py", "webhook_statement")],
    "cost-reconciliation": [("tasks/cost_evidence.py", "cost_statement"), ("tasks/cost_evidence.py", "_figures")],
    "release-candidate": [("steward/pipeline/report.py", "figures_of")],
    "production-rollout": [("tasks/rollout_publishing.py", "_figures")],
    "roll-back-now": [("tasks/roll_backs.py", "_figures")],
    "enrol-tenant": [("steward/enrolment.py", "_statement")],
}
PARSERS = {
    "steward": steward_command._parser,
    "steward.evidence": evidence_command._parser,
    "steward.operations": operations_command._parser,
}
CITED = sorted(set(re.findall(r"`([a-z]+(?:-[a-z]+)+)/([a-z_]+)`", PAGE)))
_COMMAND = r"(?:python -m|prefect deployment) "
COMMANDS = sorted(
    {
        cited.split("#")[0].strip()
        for cited in re.findall(rf"^{_COMMAND}.*", PAGE, re.MULTILINE) + re.findall(rf"`({_COMMAND}[^`]*)`", PAGE)
    }
)


def figures_of(statement):
    """Names in the dictionaries that the functions write, and no others'."""
    names = set()
    for path, function in STATEMENTS[statement]:
        tree = ast.parse((ROOT / path).read_text())
        (found,) = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == function]
        names |= {
            key.value
            for node in ast.walk(found)
            if isinstance(node, ast.Dict)
            for key in node.keys
            if isinstance(key, ast.Constant)
        }
    return names


def test_figures_are_cited_at_all():
    assert len(CITED) > 50
    assert len(COMMANDS) > 10


@pytest.mark.parametrize(("statement", "figure"), CITED)
def test_each_cited_figure_is_one_that_its_statement_has(statement, figure):
    assert figure in figures_of(statement)


def test_every_flow_that_is_deployed_is_on_the_page_and_no_other():
    table = re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE)
    assert set(table) == FLOWS
    without = set(re.findall(r"^\| `([a-z-]+)` \|[^|]*\| \*\*no\*\*", PAGE, re.MULTILINE))
    assert {*table} - without == STATEMENTS.keys() - {"enrol-tenant"}
    recording = {path.stem for path in (ROOT / "tasks").glob("*.py") if "evidence.store import" in path.read_text()}
    assert "search" not in recording


@pytest.mark.parametrize("command", COMMANDS)
def test_each_cited_command_is_one_that_is_taken(command):
    words = shlex.split(command)
    if words[0] == "prefect":
        flow, _, deployment = words[3].partition("/")
        assert (words[1:3], flow, {deployment} <= FLOWS) == (["deployment", "run"], deployment, True)
        return
    assert words[:2] == ["python", "-m"]
    # A command that is only named is cited without what it needs.
    if words[2:] == ["steward", "keys", "coverage"]:
        words += ["--vault-log", "FILE"]
    if words[2] == "deployments.prefect":
        # Its help ends well only where it knows the command.
        with pytest.raises(SystemExit, match="0"):
            prefect_command.main([*words[3:], "--help"])
        return
    PARSERS[words[2]]().parse_args(words[3:])


def test_every_article_and_criterion_that_was_asked_for_is_answered():
    rows = re.findall(r"^\| \*\*([^*]+)\*\*", PAGE, re.MULTILINE)
    answered = " ".join(rows)
    wanted = ["5(2)", "17", "25", "30", "32(1)(a)", "32(1)(b), (c)", "32(1)(d)", "33"]
    wanted += ["CC6.1", "CC6.6", "CC6.7", "CC7.1", "CC7.2", "CC8.1", "CC9.2", "A1.2", "A1.3", "C1.1", "C1.2"]
    wanted += [f"164.{each}" for each in ("308(a)(7)", "312(a)(2)(iv)", "312(b)", "312(c)", "312(e)", "310(d)")]
    assert [each for each in wanted if each not in answered] == []


def test_each_demand_says_what_its_evidence_does_not_answer():
    for row in re.findall(r"^\| \*\*(?:\d|CC|A1|C1).*$", PAGE, re.MULTILINE):
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) == 4, row[:60]
        assert all(cells), row[:60]
