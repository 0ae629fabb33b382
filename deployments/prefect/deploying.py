"""Put what `prefect.yaml` and the templates say onto a Prefect server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolUpdate

from deployments.prefect import templates
from deployments.prefect.description import POOL
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


def deploy(path: Path) -> None:
    """Every deployment of *path*, by Prefect's own command. DeployFailed."""
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(path)]
    status = subprocess.run(command, cwd=path.parent, check=False).returncode
    if status:
        raise DeployFailed(status)
