"""A flow that tells what a rollout would."""

from __future__ import annotations

from typing import Any

from prefect import flow

from steward.notices.notice import Happened, Notice, Told
from steward.operations.claims import Terms
from tasks.durable import durable, operation, turning_back
from tasks.notices import tell


def period(**_arguments: object) -> str:
    return "once"


@flow(name="told-rollout", persist_result=False)
@durable(subject="{request[environment]}", period=period, terms=Terms(wait_seconds=30))
def told_rollout(request: dict[str, Any]) -> list[Told]:
    def notice(happened: Happened, step: int) -> Notice:
        said = {"rollout": 7, "release": "shop-2", "flag": "new-search", "deployment_id": 42, "exposure": 5 * step}
        # Worded anew by each attempt, as an error's text is.
        reasons = (f"attempt {operation().attempt}",)
        return Notice.model_validate({**said, "happened": happened, "step": step, "reasons": reasons, **request})

    told = tell(notice(Happened.EXPOSED, 1))
    with turning_back("harm was seen"):
        return [*told, *tell(notice(Happened.ROLLED_BACK, 1))]
