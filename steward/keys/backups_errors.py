"""What is told of backups of the keyring."""

from __future__ import annotations

from steward.errors import BadInput, StewardError


class BackupPlaceUnnamed(BadInput):
    """The settings name no bucket for backups of the keyring."""


class BackupsLocked(BadInput):
    """The bucket for backups has Object Lock: what is erased from the keyring would stay in them."""


class BackupUnreadable(BadInput):
    """These bytes are no backup of a keyring, or were changed since it was taken."""


class BackupMissing(BadInput):
    """There is no backup of this name."""


class RetentionNotEnforced(BadInput):
    """Backups are older than the settings promise, or nobody enforces the promise: an erasure would not be complete."""


class KeyringNotEmpty(BadInput):
    """A backup is restored into an empty keyring only."""


class RestoreDiffers(StewardError):
    """What was restored is not what the backup says it holds; nothing of it was committed."""
