"""What a Prefect server holds of this project, read through Prefect's own client."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import WorkPool, WorkQueue
from prefect.client.schemas.responses import DeploymentResponse
from prefect.events.schemas.automations import Automation
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import get_current_settings

from deployments.prefect.description import POOL, Deployment
from steward.errors import BadInput, StewardError, Unavailable

#: What makes a deployment ours: its flow is in this package. Drills and demos deploy from elsewhere.
_OURS = "flows."
_PAGE = 200


class PoolMissing(StewardError):
    """There is no work pool to deploy to."""

    def __init__(self) -> None:
        super().__init__(
            f"the Prefect server has no work pool {POOL!r}",
            hint=f"prefect work-pool create {POOL} --type TYPE --base-job-template deployments/work_pools/TYPE.json, "
            "where TYPE is process, docker or kubernetes",
        )


@dataclass(frozen=True)
class Held:
    """The server's side of `prefect.yaml`."""

    pool: WorkPool
    queues: list[WorkQueue]
    deployments: dict[str, DeploymentResponse]
    """By name, those that are described."""
    automations: dict[str, list[Automation]]
    """By deployment, every automation that has to do with it, whoever made it."""
    others: list[DeploymentResponse]
    """Deployments of this project's flows that are not described."""


@contextmanager
def connected() -> Generator[SyncPrefectClient]:
    """A client of the server that PREFECT_API_URL names. Unavailable or BadInput when it does not answer, or not us."""
    if not (url := get_current_settings().api.url):
        # Without an address Prefect starts a server of its own, and everything would seem to be well there.
        raise BadInput("PREFECT_API_URL is not set", hint="name the server's API; `make up` prints the replica's")
    try:
        with get_client(sync_client=True) as client:
            yield client
    except httpx.TransportError as error:
        raise Unavailable(
            f"no Prefect server answers at {url}: {error}", hint="is it up, and is this its URL?"
        ) from None
    except PrefectHTTPStatusError as error:
        status = error.response.status_code
        raise BadInput(f"the Prefect server at {url} answered {status}", hint="see PREFECT_API_AUTH_STRING") from None


def read_pool(client: SyncPrefectClient) -> WorkPool:
    """The work pool; PoolMissing."""
    try:
        return client.read_work_pool(POOL)
    except ObjectNotFound:
        raise PoolMissing from None


def read_held(client: SyncPrefectClient, described: Iterable[Deployment]) -> Held:
    """All that is compared with *described*. PoolMissing."""
    pool = read_pool(client)
    found = dict(_found(client, described))
    ids = {each.id for each in found.values()}
    return Held(
        pool=pool,
        queues=list(client.read_work_queues(work_pool_name=POOL)),
        deployments=found,
        automations={
            name: list(client.read_resource_related_automations(f"prefect.deployment.{each.id}"))
            for name, each in found.items()
        },
        others=[each for each in _all(client) if (each.entrypoint or "").startswith(_OURS) and each.id not in ids],
    )


def _found(client: SyncPrefectClient, described: Iterable[Deployment]) -> Iterator[tuple[str, DeploymentResponse]]:
    for each in described:
        try:
            yield each.name, client.read_deployment_by_name(f"{each.name}/{each.name}")
        except ObjectNotFound:
            continue


def _all(client: SyncPrefectClient) -> Iterator[DeploymentResponse]:
    offset = 0
    while page := client.read_deployments(limit=_PAGE, offset=offset):
        yield from page
        offset += len(page)
