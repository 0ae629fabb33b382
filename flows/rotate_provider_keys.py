"""Give an account at a provider of AI another key while the gateway serves, and take the old one back once nobody uses it.

Failure semantics: bad input (an unknown account, a key that is not in the vault, an empty pool, a worker that tells of no key,
a provider or vault that is away) ends the run Failed before anything is touched. A new key that the provider does not take
ends it REFUTED, discarded, with the old one in use. Once the new key is in use nothing turns back: both work until every
living worker tells of the new one and no attempt under the old one is under way; a worker that does not, attempts that are
not over in time, or a server that is away end it Failed, UNKNOWN, with nothing revoked, and the next rotation revokes both. A
revoked key that still works, or an attempt that was refused meanwhile: REFUTED. Each of these is in the evidence. Killed
anywhere, a new run takes it up at the step in flight; a key whose secret nobody has is deleted.
"""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.logging import get_run_logger
from pydantic import BaseModel, ConfigDict, Field

from steward.ai.key_rotation import KeysBegun, NewKey, require_taken
from steward.ai.key_rotation_errors import NewKeyRefused
from steward.ai.key_rotation_report import KeyRotationReport, RotationFacts, not_rotated
from steward.operations.claims import Terms
from steward.verdicts import Verdict
from tasks.durable import durable, recorded, turning_back
from tasks.provider_key_retirement import await_attempts, await_workers, prove_rotation, revoke_old_keys, tidy_up
from tasks.provider_key_statements import conclude_rotation, record_rotation_evidence, show_rotation
from tasks.provider_keys import begin_rotation, discard_new_key, probe_new_key, switch_secret, take_new_key


class KeyRequest(BaseModel):
    """Whose key, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="Rotate a provider's key")

    account: str = Field(
        title="Account",
        description="As the settings call it: [providers.ACCOUNT].",
        pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,60}$",
    )
    reason: str = Field(
        title="Reason",
        description="A ticket's number, say. It stays in the evidence for ever: no personal data.",
        pattern="[^ ]",
        max_length=200,
    )
    wait_seconds: int = Field(
        default=1200,
        title="Wait",
        description="Seconds for workers to take the new key up, and again for attempts under the old one to end.",
        ge=0,
        le=3600,
    )


@flow(name="rotate-provider-keys", flow_run_name="rotate the key of {request.account}", persist_result=False)
@durable(
    subject="{request.account}",
    resource="provider-keys/{request.account}",
    terms=Terms(deadline_seconds=4 * 3600),
)
def rotate_provider_keys(request: KeyRequest) -> KeyRotationReport:
    """A new key, probed; into use; workers and attempts awaited; the old one revoked; all of it proved."""
    # What was kept stands, whatever the steps before it would come to now.
    report = recorded(conclude_rotation) or _report(request)
    record_rotation_evidence(report)
    show_rotation(report)
    if report.verdict is not Verdict.VERIFIED:
        raise not_rotated(report)
    return report


def _report(request: KeyRequest) -> KeyRotationReport:
    begun = begin_rotation(request.account)
    done: dict[str, Any] = {}
    try:
        done["new"] = new = prepare(begun)
        done["switched"] = switched = switch_secret(begun, new)
        if retire_old(request, begun, new, done):
            done["proof"] = prove_rotation(begun, new, switched)
            tidy_up(begun, new)
    except Exception as error:  # noqa: BLE001  whatever stopped it, the run has a verdict, and the evidence says why
        get_run_logger().exception("the rotation stopped")
        done |= {"error": f"{type(error).__name__}: {error}", "new_key_refused": isinstance(error, NewKeyRefused)}
    return conclude_rotation(begun, request.reason, RotationFacts(**done))


def prepare(begun: KeysBegun) -> NewKey:
    """A key that the provider takes, in the vault, used by nobody; nothing of it is left where that fails."""
    try:
        new = take_new_key(begun)
        require_taken(begun, new, is_taken=probe_new_key(begun, new))
    except Exception as failed:
        with turning_back(str(failed)):
            discard_new_key(begun, refused=isinstance(failed, NewKeyRefused))
        raise
    return new


def retire_old(request: KeyRequest, begun: KeysBegun, new: NewKey, done: dict[str, Any]) -> bool:
    """Whether the old key is revoked: never while a worker may use it, or an attempt under it is under way."""
    done["lagging"] = await_workers(begun, new, request.wait_seconds)
    if done["lagging"]:
        return False
    done["open_attempts"] = await_attempts(begun, new, request.wait_seconds)
    if done["open_attempts"]:
        return False
    done["revoked"] = revoke_old_keys(begun, new)
    return True
