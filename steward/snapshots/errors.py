"""Why a snapshot could not be taken, restored or proved."""

from __future__ import annotations

from steward.errors import StewardError, Unavailable


class Unproven(StewardError):
    """The proof could not be carried out: this says nothing against the copy. A new attempt may succeed."""


class PointInTimeLost(Unproven):
    """A point in time is gone: its node died, or it expired."""


class SearchIncomplete(Unproven):
    """A search answered for fewer shards than asked, or ran out of time: absent documents would look deleted."""


class PrimaryUnsteady(Unproven):
    """A shard has no started primary that stays where it is."""


class PrimaryMoved(PrimaryUnsteady):
    """It moved while its bounds were read: reading them again may do."""


class CheckpointBehind(Unproven):
    """A replica does not confirm operations in time, so what a point in time shows might still be rolled back."""


class RefreshIncomplete(Unproven):
    """A refresh failed on some shard copies, so a point in time would show an older state."""


class CopiesCleared(Unproven):
    """What was restored was cleared away when an earlier attempt gave up on it, so there is nothing to compare."""


class SnapshotIncomplete(Unproven):
    """The snapshot ended PARTIAL or FAILED, or lacks shards. It never counts."""


class SnapshotSlow(Unavailable):
    """The snapshot or the restore has not ended in the time it was given; it may still."""


class SnapshotRefused(StewardError):
    """The repository takes no snapshot."""


class SnapshotNameTaken(StewardError):
    """There is a snapshot of this name that another run took."""


class IndexNotFound(StewardError):
    """An index that was to be proved does not exist."""


class CopyInTheWay(StewardError):
    """On the scratch cluster an index of the copy's name exists that was not restored from this snapshot."""
