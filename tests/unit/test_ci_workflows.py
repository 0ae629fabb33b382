"""The workflows for GitHub: their linters can fail, and the scripts in them do what their steps say, run as GitHub runs them."""

import json
import os
import subprocess
import urllib.request
from contextlib import nullcontext
from email.message import Message
from pathlib import Path
from types import SimpleNamespace
from urllib.error import HTTPError

import pytest
import yaml
from standardwebhooks import Webhook

from steward.pipeline.request import CandidateRequest
from steward.rollout.request import RolloutRequest
from steward.webhooks.rules import matching, read_rules
from tests.contract.github.payloads import whole

ROOT = Path(__file__).parents[2]
CI = ROOT / "deployments" / "ci"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def jobs():
    return yaml.safe_load((CI / "pipeline.yaml").read_text())["jobs"]


def script(job, step):
    return next(each["run"] for each in jobs()[job]["steps"] if each["name"] == step)


def checked(folder, **changed):
    """What the linters say of the workflows with *changed* ones in their place."""
    for file in CI.glob("*.yaml"):
        (folder / file.name).write_text(changed.get(file.stem, file.read_text()))
    return subprocess.run([CI / "check", folder], capture_output=True, text=True, check=False)


def test_linters_have_nothing_to_say_of_the_workflows_as_they_are(tmp_path):
    ran = checked(tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("sound", "faulty", "said"),
    [
        ("actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "actions/checkout@v7", "unpinned-uses"),
        ('run: bash -euo pipefail -c "$COMMAND"', "run: ${{ inputs.setup }}", "template-injection"),
        ("permissions: {}", "permissions: write-all", "excessive-permissions"),
        ("@sha256:4ef4dbc939d61acea57712655ddb4b4ab27419c913f94cca0cd57cb3ea3c2280", "", "unpinned-images"),
        ("  workflow_call:\n", "  pull_request_target:\n  workflow_call:\n", "dangerous-triggers"),
        ("shell: bash", "shell: fish", 'shell name "fish" is invalid'),
        ("needs: deploy\n", "needs: deployed\n", 'needs job "deployed" which does not exist'),
        ("steps.wait.outputs.state", "steps.waited.outputs.state", 'property "waited" is not defined'),
        ("jobs:\n  build:", "jobs:\n  build: [", "could not parse as YAML"),
        ('-- "${folders[@]}"', "-- ${folders[@]}", "SC2068"),
    ],
)
def test_linters_find_a_planted_fault(tmp_path, sound, faulty, said):
    text = (CI / "pipeline.yaml").read_text()
    assert sound in text
    ran = checked(tmp_path, pipeline=text.replace(sound, faulty))
    assert ran.returncode == 1
    assert said in ran.stdout + ran.stderr


def test_linters_hold_what_a_caller_says_against_the_inputs_of_the_pipeline(tmp_path):
    text = (CI / "service.yaml").read_text()
    ran = checked(tmp_path, service=text.replace("with: { flag: FLAG }", "with: { biuld: make }"))
    assert ran.returncode == 1
    assert 'input "biuld" is not defined' in ran.stdout


def test_no_job_that_runs_a_commits_code_may_write():
    for name, job in jobs().items():
        runs_code = any("COMMAND" in step.get("env", {}) for step in job["steps"])
        assert not (runs_code and "write" in job["permissions"].values()), name


def test_no_checkout_leaves_the_token_where_a_commits_code_finds_it():
    checkouts = [step for job in jobs().values() for step in job["steps"] if "actions/checkout" in step.get("uses", "")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_every_job_has_a_time_limit():
    assert all("timeout-minutes" in job for job in jobs().values())


def test_what_the_projects_own_pipeline_calls_is_there():
    targets = (ROOT / "Makefile").read_text()
    called = yaml.safe_load((CI / "steward.yaml").read_text())["jobs"]["pipeline"]["with"]
    assert "\nsetup: " in targets
    assert "\ntest-unit: " in targets
    assert (ROOT / called["migrations"].split()[3]).is_file()
    assert all((ROOT / folder).is_dir() for folder in called["sources"].split())


@pytest.fixture
def sender(monkeypatch):
    """The step that sends the signed webhook, to a receiver that answers one by one as it is told."""

    def send(*answers, url="https://steward.example/webhooks/ci"):
        sent, left = [], list(answers)

        def answer(request, timeout):
            assert timeout <= 10  # GitHub's own limit for a webhook
            sent.append(request)
            if (status := left.pop(0)) >= 300:
                raise HTTPError(url, status, "", Message(), None)
            return nullcontext(SimpleNamespace(status=status))

        monkeypatch.setattr(urllib.request, "urlopen", answer)
        monkeypatch.setattr("time.sleep", lambda _: None)
        of = {"GITHUB_SHA": COMMIT, "GITHUB_REPOSITORY": "acme/shop", "GITHUB_REF": "refs/heads/main", "URL": url}
        of |= {"ENVIRONMENT": "production"}
        for name, value in {
            **of,
            "IMAGE": "ghcr.io/acme/shop",
            "DIGEST": "sha256:aa",
            "FLAG": "new-search",
            "SECRET": SECRET,
        }.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            exec(script("deploy", "send the signed webhook"), {})  # noqa: S102 # the project's own file
        return sent, ended.value.code

    return send


def test_the_signed_webhook_is_one_that_the_standards_own_library_takes(sender):
    (request,), code = sender(202)
    assert code == 0
    said = Webhook(SECRET).verify(request.data, {name.lower(): value for name, value in request.header_items()})
    assert said["type"] == "release.candidate"
    assert said["data"] == {
        "repository": "acme/shop",
        "commit": COMMIT,
        "ref": "refs/heads/main",
        "release": COMMIT[:12],
        "flag": "new-search",
        "environment": "production",
        "image": "ghcr.io/acme/shop@sha256:aa",
    }


def test_a_webhook_is_sent_again_under_the_same_id_where_waiting_may_cure(sender):
    sent, code = sender(503, 429, 202)
    assert code == 0
    assert {each.get_header("Webhook-id") for each in sent} == {f"{COMMIT[:12]}/{COMMIT}"}
    assert len(sent) == 3


def test_a_refused_webhook_is_not_sent_again_and_the_key_is_in_no_message(sender):
    sent, code = sender(401)
    assert len(sent) == 1
    assert code == "::error::the receiver answered 401"


def test_a_webhook_goes_nowhere_in_clear(sender):
    sent, code = sender(url="http://steward.example/webhooks/ci")
    assert not sent
    assert "https://" in code


@pytest.mark.parametrize(
    ("candidate", "ended"),
    [(100, None), (90, None), (130, "slower than the certified"), ("noisy", "could not be told")],
)
def test_only_a_release_that_is_surely_no_slower_goes_on(tmp_path, monkeypatch, candidate, ended):
    for release, took in {"candidate": candidate, "certified": 100}.items():
        (tmp_path / release).mkdir()
        # Every third run of a noisy one is twice as slow.
        text = (
            "n=$(cat n 2>/dev/null || echo 0); echo $((n + 1)) >n; took=$((n % 3 ? 100 : 200))"
            if took == "noisy"
            else f"took={took}"
        )
        (tmp_path / release / "measure").write_text(f'{text}; echo "{{\\"milliseconds\\": [$took]}}"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COMMAND", ". ./measure")
    monkeypatch.setenv("TOLERANCE", "0.1")
    compare = script("performance", "compare")
    if ended is None:
        exec(compare, {})  # noqa: S102 # the project's own file
        return
    with pytest.raises(SystemExit, match=ended):
        exec(compare, {})  # noqa: S102 # the project's own file


@pytest.fixture
def shell(tmp_path):
    """Runs a step's script as GitHub does, with a gh that answers from a file of its own: one line a call."""
    programs = tmp_path / "programs"
    programs.mkdir()
    tell = '#!/bin/bash\necho "$*" >>"$ASKED"\nline=$(head -1 "$ANSWERS"); sed -i 1d "$ANSWERS"\n'
    tell += '[[ "$*" = *--input* ]] && cat >"$ASKED.body"\n'
    (programs / "gh").write_text(tell + '[ "$line" = lost ] && exit 1\nprintf "${line:+$line\\n}"\n')
    (programs / "sleep").write_text("#!/bin/bash\n")
    for program in programs.iterdir():
        program.chmod(0o755)

    def run(job, step, *answers, **changed):
        (tmp_path / "answers").write_text("".join(f"{each}\n" for each in answers))
        of = {"GITHUB_REPOSITORY": "acme/shop", "GITHUB_SHA": COMMIT, "GITHUB_OUTPUT": str(tmp_path / "output")}
        known = {**of, "ENVIRONMENT": "production", "DEPLOYMENT": "7", "ANSWERS": str(tmp_path / "answers")}
        known |= {"IMAGE": "ghcr.io/acme/shop", "DIGEST": "sha256:aa", "FLAG": "new-search", **changed}
        ran = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script(job, step)],
            cwd=tmp_path,
            env={"PATH": f"{programs}:{os.environ['PATH']}", "ASKED": str(tmp_path / "asked"), **known},
            check=False,
            capture_output=True,
            text=True,
        )
        output = tmp_path / "output"
        return ran, output.read_text() if output.exists() else ""

    return run


def test_the_gate_waits_for_the_verdict_though_github_is_out_of_reach_for_a_while(shell):
    ran, output = shell("regression-gate", "wait for the rollout's verdict", "queued", "lost", "in_progress", "success")
    assert ran.returncode == 0, ran.stderr
    assert output == "state=success\n"


@pytest.mark.parametrize("state", ["failure", "error", "inactive"])
def test_a_rollout_that_was_taken_back_ends_the_gate_red(shell, state):
    ran, output = shell("regression-gate", "wait for the rollout's verdict", "in_progress", state)
    assert ran.returncode == 1
    assert output == f"state={state}\n"


def test_the_certified_release_is_the_newest_deployment_that_is_in_force(shell):
    ran, output = shell(
        "performance", "find the certified release", r"9 nine\n8 eight\n7 seven", "failure", "success", "success"
    )
    assert ran.returncode == 0, ran.stderr
    assert output == "commit=eight\n"


def test_without_a_certified_release_a_person_has_to_say_so(shell):
    ran, output = shell("performance", "find the certified release", "9 nine", "failure")
    assert ran.returncode == 1
    assert "first: true" in ran.stdout
    assert not output


def test_a_repeated_job_finds_the_deployment_of_its_first_attempt(shell, tmp_path):
    ran, output = shell("deploy", "create the deployment, or find that of an earlier attempt", "41")
    assert ran.returncode == 0, ran.stderr
    assert output == "deployment=41\n"
    assert (tmp_path / "asked").read_text().count("\n") == 1
    assert "POST" not in (tmp_path / "asked").read_text()


def test_a_deployment_is_created_of_the_commit_and_its_image(shell, tmp_path):
    ran, output = shell("deploy", "create the deployment, or find that of an earlier attempt", "", "42")
    assert ran.returncode == 0, ran.stderr
    assert output == "deployment=42\n"
    asked = json.loads((tmp_path / "asked.body").read_text())
    assert asked["ref"] == COMMIT
    assert asked["payload"] == {
        "release": COMMIT[:12],
        "flag": "new-search",
        "image": "ghcr.io/acme/shop@sha256:aa",
    }
    # GitHub would otherwise merge the default branch first, or wait for the very checks that this job is one of.
    assert (asked["auto_merge"], asked["required_contexts"]) == (False, [])


def test_what_is_exposed_behind_no_flag_is_not_deployed(shell, tmp_path):
    ran, _ = shell("deploy", "create the deployment, or find that of an earlier attempt", FLAG="")
    assert ran.returncode == 1
    assert "flag: NAME" in ran.stdout
    assert not (tmp_path / "asked").exists()


def test_what_the_pipeline_asks_for_is_what_the_shipped_rules_start(shell, sender, tmp_path):
    shell("deploy", "create the deployment, or find that of an earlier attempt", "", "42")
    payload = whole("deployment", 0)
    asked = json.loads((tmp_path / "asked.body").read_text())
    payload["deployment"] |= {"sha": COMMIT} | {name: asked[name] for name in ("environment", "task", "payload")}
    (request,), _ = sender(202)
    told = {"github": ("deployment", payload), "ci": ("release.candidate", json.loads(request.data))}
    for source, (event, body) in told.items():
        (start,) = matching(read_rules(None), SimpleNamespace(source=source, event=event, payload=body))
        request = RolloutRequest.model_validate(start.parameters["request"])
        assert (request.release, request.flag, request.environment) == (COMMIT[:12], "new-search", "production")


def test_when_a_services_pipeline_begins_the_flow_that_proves_its_gates_begins_too():
    payload = whole("workflow_run", 0) | {"action": "requested"}
    named = yaml.safe_load((CI / "service.yaml").read_text())["name"]
    payload["workflow_run"] |= {"name": named, "event": "push", "head_branch": "main", "head_sha": COMMIT}
    payload["repository"]["name"] = "shop"
    (start,) = matching(read_rules(None), SimpleNamespace(source="github", event="workflow_run", payload=payload))
    request = CandidateRequest.model_validate(start.parameters["request"])
    assert (request.repository, request.commit, request.ref, request.name) == ("shop", COMMIT, "main", COMMIT[:12])
    for away in ({"event": "pull_request"}, {"head_branch": "try"}, {"name": "other"}):
        elsewhere = payload | {"workflow_run": payload["workflow_run"] | away}
        told = SimpleNamespace(source="github", event="workflow_run", payload=elsewhere)
        assert matching(read_rules(None), told) == []
