"""What stops a release candidate before, or beside, its stages."""

from __future__ import annotations

from steward.errors import BadInput, StewardError, Unavailable


class UnusableManifest(BadInput):
    """The repository's pipeline.toml is missing, or says something else than it may."""


class UnknownRepository(BadInput):
    """The settings tell of no such repository."""


class NoSuchCommit(BadInput):
    """The repository has no such commit."""


class CertifiedUnproved(BadInput):
    """What the last certified release passed is not to be had as it was signed: nothing can be compared with it."""


class RepositoryAway(Unavailable):
    """The repository cannot be fetched from now."""


class GitMissing(BadInput):
    """This machine has no git: it is none to build on."""


class GitRefused(StewardError):
    """git does not do what was asked for, and waiting does not help."""


class ArtifactLost(StewardError):
    """What was built is not kept any more, or is not what was built."""
