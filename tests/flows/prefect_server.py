"""The replica's own Prefect server, for flows that a test runs in this process."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_SSL_CERT_FILE, PREFECT_API_URL, temporary_settings

from replica import inventory
from replica.server import Place


@contextmanager
def recording_in(replica: Place) -> Generator[None]:
    """Runs inside are recorded by the replica's server, as a worker's are."""
    environment = inventory.environment(replica)
    named = (PREFECT_API_URL, PREFECT_API_AUTH_STRING, PREFECT_API_SSL_CERT_FILE)
    with temporary_settings(updates={setting: environment[setting.name] for setting in named}):
        yield


def artifact(key: str) -> str:
    """The markdown that was last published under *key*."""
    with get_client(sync_client=True) as client:
        latest: dict[str, Any] = client.request("GET", "/artifacts/{key}/latest", path_params={"key": key}).json()
    return latest["data"]


def undeploy() -> None:
    """Take away this project's deployments, whoever made them, with their automations: their schedules would start runs
    beside whatever test comes next. Those of tests' own flows are left to their tests.
    """
    with get_client(sync_client=True) as client:
        for each in client.read_deployments():
            if (each.entrypoint or "").startswith("flows."):
                client.delete_resource_owned_automations(f"prefect.deployment.{each.id}")
                client.delete_deployment(each.id)
