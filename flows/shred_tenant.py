"""Erase a tenant: delete its keys, so that its fields are noise everywhere but in backups of the keyring, and prove it.

Failure semantics: a tenant that is unknown or not confirmed, backups of the keyring older than their retention, a keyring
or vault that is away end the run Failed before anything is touched. After that there is no way back: what fails ends it
Failed, UNKNOWN, and another run goes on. A value that still decrypts, or another tenant's that does not any more, ends it
Failed, REFUTED; a process that may hold the keys in memory, UNKNOWN. Each of these is in the evidence.

Erased is not complete: backups of the keyring have the keys until the date that the statement names.
"""

from __future__ import annotations

from typing import Any, Self

from prefect import flow
from prefect.logging import get_run_logger
from pydantic import BaseModel, ConfigDict, Field, model_validator

from steward.clients.keyring_errors import possible
from steward.keys.erasure import check_request
from steward.keys.erasure_report import ErasureBegun, ErasureFacts, ErasureNotVerified, ErasureReport
from steward.operations.claims import Terms
from steward.verdicts import Verdict
from tasks.durable import durable, recorded
from tasks.shredding import (
    await_readers,
    begin_erasure,
    conclude_erasure,
    erase_keys,
    list_erasure,
    prove_erased,
    record_erasure_evidence,
    sample_before,
    show_erasure,
)


class ShredRequest(BaseModel):
    """Whom, and why. TenantUnknown for what no tenant is called, NotConfirmed where the name is not typed twice alike, ReasonMissing, NotErasable."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="Erase a tenant")

    tenant: str = Field(
        title="Tenant",
        description="As the keyring has it. Its keys are deleted for ever: nobody decrypts its fields again.",
        max_length=255,
    )
    confirm: str = Field(title="Confirm", description="The tenant's name, typed once more.", max_length=255)
    reason: str = Field(
        title="Reason",
        description="A ticket's number, say. It stays in the evidence for ever: no personal data.",
        max_length=200,
        # For the form; what is wrong is said in words below.
        json_schema_extra={"minLength": 1},
    )
    wait_seconds: int = Field(
        default=300,
        title="Wait for readers",
        description="Seconds for processes to say that they hold the keys no more. One that was killed is believed dead "
        "after 1800 s.",
        ge=0,
        le=3600,
    )

    @model_validator(mode="after")
    def _confirmed(self) -> Self:
        check_request(possible(self.tenant), self.confirm, self.reason)
        return self


def _once(**_arguments: object) -> str:
    """There is one erasure of a tenant: a run that comes after a VERIFIED one is told so, with its evidence."""
    return "for ever"


@flow(name="shred-tenant", flow_run_name="shred {request.tenant}", persist_result=False)
@durable(
    subject="{request.tenant}",
    period=_once,
    resource="keyring",
    terms=Terms(deadline_seconds=4 * 3600),
)
def shred_tenant(request: ShredRequest) -> ErasureReport:
    """Look, list, erase, wait for readers, prove."""
    # What was kept stands, whatever the steps before it would come to now.
    report = recorded(conclude_erasure) or _report(request)
    record_erasure_evidence(report)
    show_erasure(report)
    if report.verdict is not Verdict.VERIFIED:
        raise ErasureNotVerified(report)
    return report


def _report(request: ShredRequest) -> ErasureReport:
    begun = begin_erasure(request.tenant)
    done: dict[str, Any] = {"before": sample_before(request.tenant)}
    try:
        _erase(request, begun, done)
    except Exception as error:  # noqa: BLE001  from here on keys may be gone: whatever stopped it, the evidence says so
        get_run_logger().exception("the erasure was not finished")
        done["error"] = f"{type(error).__name__}: {error}"
    return conclude_erasure(request.tenant, request.reason, begun, ErasureFacts(**done))


def _erase(request: ShredRequest, begun: ErasureBegun, done: dict[str, Any]) -> None:
    tenant = request.tenant
    # First, so that no keyring that is restored from now on comes back with the tenant in it.
    list_erasure(tenant, request.reason)
    done["erased"] = erased = erase_keys(tenant, already=begun.remains.erased_at is not None)
    done["lagging"] = await_readers(tenant, erased.epoch, request.wait_seconds)
    done["proof"] = prove_erased(tenant)
