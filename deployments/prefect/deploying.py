"""Put what `prefect.yaml` and the templates say onto a Prefect server."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import yaml
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolUpdate

from deployments.prefect import templates
from deployments.prefect.description import POOL, Deployment
from deployments.prefect.held import read_pool
from steward.errors import StewardError


class DeployFailed(StewardError):
    """`prefect deploy` ended with an error; what it printed says why."""

    def __init__(self, status: int) -> None:
        hint = "read what it printed above; nothing is lost by deploying again"
        super().__init__(f"prefect deploy ended with status {status}, expected 0", hint=hint)


def put_template(client: SyncPrefectClient) -> None:
    """The base job template of the pool's type, so that a pool made years ago runs flows as this version says."""
    pool = read_pool(client)
    template = templates.load(pool.type)
    if pool.base_job_template != template:
        client.update_work_pool(POOL, WorkPoolUpdate(base_job_template=template))


def deploy(path: Path, described: Iterable[Deployment] = ()) -> None:
    """Every deployment of *path*, those of *described* with their schedules active or not as it says, by Prefect's own command. DeployFailed."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        copy.write_text(_with_schedules_of(path, described))
        command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(copy)]
        status = subprocess.run(command, cwd=path.parent, check=False).returncode
    if status:
        raise DeployFailed(status)


def _with_schedules_of(path: Path, described: Iterable[Deployment]) -> str:
    content = yaml.safe_load(path.read_text())
    active = {(each.name, schedule.slug): schedule.active for each in described for schedule in each.schedules}
    for deployment in content["deployments"]:
        for schedule in deployment.get("schedules", []):
            # Of each, for one that was at rest is active again once its part is there.
            schedule["active"] = active.get((deployment["name"], schedule["slug"]), schedule.get("active", True))
    return str(yaml.safe_dump(content, sort_keys=False))
