"""Prefect drops what it does not know: a limit is then no limit, a trigger fires for everything or never."""

from pathlib import Path

import pytest

from deployments.prefect.__main__ import FILE, main
from deployments.prefect.checking import check, unusable_cron
from deployments.prefect.events import SENT
from deployments.prefect.resting import put_to_rest, resting
from steward.settings import load
from tests.unit.test_settings import WHOLE as SETTINGS

ROOT = Path(__file__).parents[2]
WELL = """\
name: steward
prefect-version: 3.9.1
pull: []

deployments:
  - name: look
    description: Compare and put right.
    entrypoint: tests.unit.prefect_samples.look
    tags: [search]
    work_pool:
      name: steward
    parameters:
      request: {apply: false}
    schedules:
      - cron: "30 1 * * *"
        timezone: UTC
        slug: nightly
    triggers:
      - name: on request
        description: somebody asked
        expect: [steward.snapshot.requested]
"""


@pytest.fixture
def faults(tmp_path):
    def found(text):
        path = tmp_path / "prefect.yaml"
        path.write_text(text)
        return [str(fault) for fault in check(path)[1]]

    return found


def changed(old, new):
    assert WELL.count(old) == 1, old
    return WELL.replace(old, new)


def test_the_files_of_this_project_are_well_described(capsys):
    assert main(["check"]) == 0, capsys.readouterr().err


def test_a_well_described_file_has_no_fault(faults):
    assert faults(WELL) == []


def test_schedules_of_what_the_settings_do_not_have_are_put_to_rest_and_named_once(tmp_path, monkeypatch, capsys):
    path = tmp_path / "settings.toml"
    path.write_text(SETTINGS)
    monkeypatch.setenv("STEWARD_SETTINGS", str(path))
    assert main(["check"]) == 0
    [line, well] = capsys.readouterr().out.splitlines()
    assert line.startswith("schedules not active, for the settings do not have it: backup-keyring needs [keyring] and ")
    assert [line.count(name) for name in ("limit-drift needs [gateway]", "cost-reconciliation needs [costs]")] == [1, 1]
    assert "well described" in well
    described = {each.name: each for each in put_to_rest(check(FILE)[0], resting(load(path)))}
    active = {name: [one.active for one in each.schedules] for name, each in described.items() if each.schedules}
    assert active["nightly-snapshot"] == active["watch-ai-health"] == [True]
    assert active["limit-drift"] == active["reconcile-webhooks"] == [False]
    assert active["cost-reconciliation"] == [False, False]


@pytest.mark.parametrize("command", ["deploy", "verify"])
def test_no_server_is_asked_before_the_settings_are_known(monkeypatch, capsys, command):
    monkeypatch.delenv("STEWARD_SETTINGS", raising=False)
    assert main([command]) == 2
    assert "STEWARD_SETTINGS is not set" in capsys.readouterr().err


# Each: what is written instead of what, the line that is named, and words of the message.
TYPOS = {
    "a misspelt limit": (
        "    tags: [search]",
        "    tags: [search]\n    concurency_limit: 1",
        10,
        "no concurrency slots",
    ),
    "a limit": ("    tags: [search]", "    tags: [search]\n    concurrency_limit: 1", 10, "no concurrency slots"),
    "an unknown key": ("    tags: [search]", "    tag: [search]\n    tags: [search]", 9, "did you mean 'tags'?"),
    "an unknown key of the file": ("pull: []", "pull: []\npush: []", 4, "unknown key 'push'"),
    "expects for expect": ("        expect: [", "        expects: [", 21, "did you mean 'expect'?"),
    "an empty trigger": ("[steward.snapshot.requested]", "[]", 21, "saw []"),
    "an event that nobody sends": (
        "snapshot.requested]",
        "snapshot.request]",
        21,
        "did you mean 'steward.snapshot.requested'?",
    ),
    "a text for a list": ("[steward.snapshot.requested]", "steward.snapshot.requested", 21, "valid list"),
    "a quoted boolean": (
        "        description: somebody asked",
        '        enabled: "no"\n        description: x',
        20,
        "saw 'no'",
    ),
    "a local time zone": ("timezone: UTC", "timezone: Europe/Berlin", 16, "expected 'UTC'"),
    "no time zone": ("        timezone: UTC\n", "", 15, "timezone: the key is not there"),
    "no slug": ("        slug: nightly\n", "", 15, "slug: the key is not there"),
    "a day that never comes": ('"30 1 * * *"', '"0 0 30 2 *"', 15, "Bad day-of-month"),
    "a minute too many": ('"30 1 * * *"', '"61 1 * * *"', 15, "'61 1 * * *'"),
    "seconds in a cron": ('"30 1 * * *"', '"0 30 1 * * *"', 15, "6 fields"),
    "a random cron": ('"30 1 * * *"', '"R 1 * * *"', 15, "'R 1 * * *'"),
    "a module that is not there": (
        "tests.unit.prefect_samples.look",
        "flows.provision_serch.x",
        8,
        "ModuleNotFoundError",
    ),
    "a flow that is not there": (
        "samples.look",
        "samples.loook",
        8,
        "did you mean 'look'?",
    ),
    "a file for an entrypoint": (
        "tests.unit.prefect_samples.look",
        "tests/unit/prefect_samples.py:look",
        8,
        "package.module.flow",
    ),
    "a name that is not the flow's": ("- name: look", "- name: provision", 6, "own name 'look'"),
    "an unknown pool": ("      name: steward", "      name: stewart", 11, "did you mean 'steward'?"),
    "an unknown job variable": (
        "      name: steward",
        "      name: steward\n      job_variables: {comand: x}",
        12,
        "did you mean 'command'?",
    ),
    "an unknown parameter": ("request: {apply", "reqest: {apply", 12, "did you mean 'request'?"),
    "an unknown field of a parameter": ("{apply: false}", "{aply: false}", 12, "aply"),
    "no description": ("    description: Compare and put right.\n", "", 6, "description: the key is not there"),
    "no pull": ("pull: []\n", "", 1, "pull: the key is not there"),
    "a pull step": ("pull: []", "pull: [{git_clone: {}}]", 3, "nothing is pulled"),
    "another Prefect": ("3.9.1", "3.0.0", 2, "expected the installed"),
    "a secret by name": (
        "request: {apply: false}",
        "request: {apply: false, password: hunter2}",
        13,
        "looks like a secret",
    ),
    "a secret by shape": ("somebody asked", "see https://u:hunter2@host/", 20, "looks like a secret"),
}


@pytest.mark.parametrize(("old", "new", "line", "words"), TYPOS.values(), ids=TYPOS)
def test_a_typo_is_told_with_its_line(faults, old, new, line, words):
    told = faults(changed(old, new))
    assert any(f"prefect.yaml:{line} " in each and words in each for each in told), told
    assert "hunter2" not in "".join(told)


def test_two_schedules_at_the_same_time_are_refused(faults):
    again = '      - cron: "30  1 * * *"\n        timezone: UTC\n        slug: again\n'
    [told] = faults(changed("    triggers:", again + "    triggers:"))
    assert "prefect.yaml:18" in told
    assert "saw '30 1 * * *' again, after prefect.yaml:15" in told


def test_two_deployments_of_one_name_are_refused(faults):
    deployment = WELL[WELL.index("  - name:") :]
    [told] = faults(WELL + deployment)
    assert "the later one would replace the earlier one" in told


def test_a_key_that_stands_twice_is_refused(faults):
    assert any(
        "the key stands twice" in each for each in faults(changed("tags: [search]", "tags: [a]\n    tags: [search]"))
    )


def test_what_a_schedule_leaves_out_nobody_fills_in(faults):
    text = WELL.replace("look", "mute").replace("    parameters:\n      request: {apply: false}\n", "")
    told = [each for each in faults(text) if "which nobody fills in" in each]
    assert [each.partition(":")[2].split()[0] for each in told] == ["15", "19"] or len(told) == 2


def test_a_form_that_says_nothing_of_itself_is_refused(faults):
    told = faults(WELL.replace("look", "mute"))
    assert any("the form's field word says nothing of itself" in each for each in told)


def test_all_faults_are_told_at_once_in_the_order_of_their_lines(faults):
    unreadable = changed("timezone: UTC", "timezone: CET").replace("tags: [search]", "tags: []")
    other = WELL[WELL.index("  - name:") :].replace("name: steward", "name: x").replace("samples.look", "samples.lok")
    told = faults(unreadable + other)
    assert [int(each.partition(":")[2].split()[0]) for each in told] == [9, 16, 24, 27]


@pytest.mark.parametrize("text", ["", "[]", "deployments: [1]", "deployments: {}", "name: [", "\tname: x"])
def test_a_file_that_is_something_else_is_a_fault_and_no_traceback(faults, text):
    assert faults(text)


def test_a_file_that_is_not_there_is_a_fault(tmp_path, capsys):
    assert main(["check", "--file", str(tmp_path / "prefect.yaml")]) == 1
    assert "No such file" in capsys.readouterr().err


@pytest.mark.parametrize("cron", ["30 1 * * *", "*/5 * * * *", "0 0 29 2 *", "0 6 * * MON-FRI"])
def test_a_cron_that_comes_due_is_taken(cron):
    assert unusable_cron(cron) is None


def test_every_event_that_a_task_or_the_watch_names_is_known():
    senders = (ROOT / "tasks", ROOT / "services" / "watch", ROOT / "services" / "webhooks")
    texts = [path.read_text() for folder in senders for path in folder.glob("*.py")]
    known = [name for name in SENT if any(f'"{name}"' in text for text in texts)]
    made = {
        "steward.snapshot.{report.verdict.lower()}": ("verified", "refuted", "unknown"),
        "steward.recovery.{report.verdict.lower()}": ("verified", "refuted", "unknown"),
        "steward.release.{report.verdict.lower()}": ("verified", "refuted", "unknown"),
        "steward.ai.costs.{stated.verdict.lower()}": ("verified", "refuted", "unknown"),
        "steward.ai.budget.{decision.kind}": ("alert", "stop"),
        "steward.rollout.{'certified' if report.certified else 'rolled-back'}": ("certified", "rolled-back"),
    }
    assert all(any(f'f"{template}"' in text for text in texts) for template in made)
    ends = {template.partition("{")[0] + end for template, words in made.items() for end in words}
    assert set(known) | ends == SENT


def test_the_night_begins_at_half_past_one_and_can_be_asked_for():
    described, _ = check(FILE)
    [night] = [each for each in described if each.name == "nightly-snapshot"]
    assert [(each.cron, each.timezone) for each in night.schedules] == [("30 1 * * *", "UTC")]
    assert [each.expect for each in night.triggers] == [["steward.snapshot.requested"]]


@pytest.mark.parametrize(
    "variables", ["{secret_name: steward-secrets}", "{env: {DB_PASSWORD_FILE: /run/x, TOKEN: 'file:/run/y'}}"]
)
def test_where_a_secret_is_is_no_secret(faults, variables):
    assert faults(changed("      name: steward", f"      name: steward\n      job_variables: {variables}")) == []
