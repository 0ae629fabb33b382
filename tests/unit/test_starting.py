"""What a flow's process imports before its first step: each of these would be waited for by whoever asked for the run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import flows

pytestmark = pytest.mark.without_search

#: Of no flow: what is imported, and when it is needed instead.
_LATER = {
    "alembic": "migrations are a command's",
    "boto3": "0.1 s: with the first object that is written",
    "botocore.config": "0.09 s: with boto3",
    "grpc": "applications listen to flags by it, flows do not",
    "matplotlib": "with a night's picture",
    "numpy": "0.1 s: with the first look of the judge",
    "optuna": "nothing here optimizes",
    "pandas": "nothing here needs it",
    "prefect.server.database": "a run talks to a server, and is none",
    "pyarrow": "DuckDB writes Parquet",
    "scipy": "0.2 s: with the first look of the judge",
}
#: Of a release's flows, whose start somebody waits for: only what a rollout's first step needs.
_LATER_IN_RELEASES = {
    "azure": "with the first secret of the vault",
    "duckdb": "costs and parquet",
    "elasticsearch": "search",
    "redis": "limits",
}
#: Imported first, so that what they bring along is theirs.
_RELEASES = ["production_rollout", "release_candidate", "roll_back_now"]
_IMPORT = """
import importlib, json, sys
import prefect.flow_engine
new, seen = {}, set(sys.modules)
for name in sys.argv[1:]:
    importlib.import_module("flows." + name)
    new[name] = sorted(set(sys.modules) - seen)
    seen |= set(sys.modules)
print(json.dumps(new))
"""


def test_a_run_starts_without_what_only_later_steps_need() -> None:
    found = {
        f"{name} imports {module}": reason
        for name, modules in _imported().items()
        for module, reason in (_LATER | (_LATER_IN_RELEASES if name in _RELEASES else {})).items()
        if module in modules
    }
    assert not found, f"{found}: import it in the function that needs it"


def _imported() -> dict[str, list[str]]:
    """By each flow, beyond Prefect and the flows before it: in one process, for a process a flow takes half a minute."""
    others = {path.stem for path in Path(flows.__path__[0]).glob("[a-z]*.py")} - set(_RELEASES)
    command = [sys.executable, "-c", _IMPORT, *_RELEASES, *sorted(others)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)
