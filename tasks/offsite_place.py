"""Where copies go and where they are fetched to: found fit before anything is touched, and cleared afterwards."""

from __future__ import annotations

from steward.clients.offsite_bucket import open_offsite_bucket
from steward.clients.staging import check_staging, open_staging
from steward.errors import BadInput
from steward.operations.holding import guard
from steward.repository.copying import SLACK_DAYS, check_lock
from steward.settings import load
from steward.snapshots.api import SearchApi
from steward.snapshots.errors import Unproven
from steward.snapshots.offsite_restoring import unregister
from steward.snapshots.policy import SnapshotPolicy
from steward.snapshots.repository_state import standing

#: A copy that was fetched, and the repository that it is registered as, by their one name.
STAGED = "staged copy"
_REGISTERS = ("cluster:admin/repository/put", "cluster:admin/repository/delete")
#: What the cluster's state says of a repository that nobody has used yet.
_NO_UUID = "_na_"


class CannotRegister(BadInput):
    """The user that restores may not register a repository, so no copy can be proved."""


def check_place(policy: SnapshotPolicy, source: SearchApi, there: SearchApi, most_bytes: int = 0) -> None:
    """Whatever could stop the copy or its proof halfway, where it can be known now. *most_bytes*: that may be fetched.

    Nothing is changed but that the bucket gets one small locked object a day: whether it locks, and takes anything at
    all, is told by nothing that only reads. Raises what is wrong with a hint, above all LockTooShort, BucketWithoutLock,
    BucketFull, CopyOfAnother, StagingFull and CannotRegister.
    """
    if not policy.blobs:
        raise BadInput(
            "blobs are not checked, and copied they are by the manifest that the check makes",
            hint="switch blobs on in the policy, or offsite off: a night without them proves less",
        )
    check_lock(policy.offsite_lock_days, policy.retention_days)
    settings = load()
    with open_offsite_bucket(settings, before_write=guard) as bucket:
        bucket.check(policy.offsite_mode, policy.offsite_lock_days + SLACK_DAYS)
        if uuid := _uuid(source, policy.repository):
            bucket.check_owner(policy.cluster, uuid)
    check_staging(settings, most_bytes)
    _check_rights(there, policy.scratch_cluster)


def take_away(there: SearchApi, name: str) -> None:
    """Forget the repository *name* there, and clear what was fetched for it. What was restored from it is to be gone."""
    unregister(there, name)
    with open_staging(load(), name, before_write=guard) as place:
        place.clear()


def _uuid(source: SearchApi, repository: str) -> str | None:
    """None where no snapshot has been taken in it yet: then it has no copy either."""
    try:
        uuid = standing(source, repository).repository_uuid
    except Unproven:
        return None
    return None if uuid == _NO_UUID else uuid


def _check_rights(there: SearchApi, cluster: str) -> None:
    asked = there.request("POST", "/_security/user/_has_privileges", {"cluster": list(_REGISTERS)})
    if not asked.get("has_all_requested"):
        lacking = [name for name, has in sorted(asked.get("cluster", {}).items()) if not has]
        raise CannotRegister(
            f"the user that restores on {cluster} lacks {', '.join(lacking)}",
            hint="give it role steward_restore as deployments/elasticsearch/roles_scratch.yml has it; "
            "or switch offsite off in the policy: a night without it proves less",
        )
