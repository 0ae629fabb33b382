"""Base job templates: what the worker ignores is refused, and what safety rests on is not left to a form."""

import json
import shutil
import tomllib
from pathlib import Path

import pytest

from deployments.prefect import templates

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path):
    copy = tmp_path / "work_pools"
    shutil.copytree(templates.FOLDER, copy)
    return copy


def change(folder, name, at, value):
    """Put *value* at the path *at* of the template *name*; None takes it away."""
    path = folder / f"{name}.json"
    template = json.loads(path.read_text())
    *parents, last = at.split("/")
    inner = template
    for step in parents:
        inner = inner[int(step)] if isinstance(inner, list) else inner[step]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    path.write_text(json.dumps(template))


def test_the_templates_of_this_project_have_no_fault():
    assert templates.check() == []


CONTAINER = "job_configuration/job_manifest/spec/template/spec/containers/0"
CHANGES = {
    "a misspelt key": ("kubernetes", "job_configuration/finished_job_tll", 5, "unknown key 'finished_job_tll'"),
    "a near key": ("docker", "job_configuration/networkmode", "host", "did you mean 'network_mode'?"),
    "a misspelt placeholder": ("docker", "job_configuration/image", "{{ imgae }}", "did you mean 'image'?"),
    "a variable that nothing uses": ("process", "job_configuration/working_dir", None, "a variable that nothing uses"),
    "a default of another type": (
        "kubernetes",
        "variables/properties/finished_job_ttl/default",
        "1d",
        "'1d' is not of type",
    ),
    "a variable without a word": (
        "process",
        "variables/properties/name/description",
        None,
        "no title or no description",
    ),
    "no schema": ("process", "variables/type", "objekt", "variables"),
    "a tag that moves": ("docker", "variables/properties/image/default", "host:5000/steward", "a tag that stays"),
    "the latest": ("kubernetes", "variables/properties/image/default", "steward:latest", "a tag that stays"),
    "retries by Kubernetes": ("kubernetes", "job_configuration/job_manifest/spec/backoffLimit", 3, "saw 3"),
    "retries by form": ("kubernetes", "job_configuration/job_manifest/spec/backoffLimit", "{{ name }}", "expected 0"),
    "no retries by a boolean": ("kubernetes", "job_configuration/job_manifest/spec/backoffLimit", False, "saw False"),
    "a writable root": ("kubernetes", f"{CONTAINER}/securityContext/readOnlyRootFilesystem", False, "expected True"),
    "all capabilities": ("kubernetes", f"{CONTAINER}/securityContext/capabilities", None, "expected ['ALL']"),
    "another container name": ("kubernetes", f"{CONTAINER}/name", "flow", "the worker refuses"),
    "privileges": ("docker", "job_configuration/privileged", True, "expected False"),
    "root": ("docker", "job_configuration/container_create_kwargs/user", "0:0", "expected '10001:10001'"),
    "a secret": ("docker", "variables/properties/env/default", {"DB_PASSWORD": "hunter2"}, "looks like a secret"),
    "a secret in the form": (
        "docker",
        "variables/properties/db_password",
        {"title": "x", "description": "x", "default": "hunter2"},
        "looks like a secret",
    ),
    "a part that Prefect ignores": ("process", "variable", {}, "keys ['job_configuration', 'variable', 'variables']"),
}


@pytest.mark.parametrize(("name", "at", "value", "words"), CHANGES.values(), ids=CHANGES)
def test_a_bad_template_is_told(folder, name, at, value, words):
    change(folder, name, at, value)
    told = [str(fault) for fault in templates.check(folder)]
    assert any(each.startswith(f"{name}.json") and words in each for each in told), told
    assert "hunter2" not in "".join(told)


def test_a_missing_a_strange_and_a_broken_template_are_told(folder):
    (folder / "docker.json").rename(folder / "dokcer.json")
    (folder / "process.json").write_text("{")
    told = "\n".join(str(fault) for fault in templates.check(folder))
    assert "docker.json: no template" in told
    assert "rename it to docker.json" in told
    assert "process.json: not JSON" in told


def test_images_carry_the_version_of_the_project():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    images = [templates.load(name)["variables"]["properties"]["image"]["default"] for name in ("docker", "kubernetes")]
    assert images == [f"steward:{version}"] * 2
