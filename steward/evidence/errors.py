"""What can be wrong with evidence: with a statement, a key, an envelope, or its copies in the two stores."""

from __future__ import annotations

from steward.errors import BadInput, StewardError


class UnusableStatement(BadInput):
    """A statement that cannot be signed, or signed content that is no statement of ours."""


class UnusableKey(BadInput):
    """A key that cannot sign or verify evidence."""


class UnusableEnvelope(BadInput):
    """A file that is no DSSE envelope."""


class SignatureRefused(StewardError):
    """The envelope was not signed by this key, or was changed since. Nothing in it may be believed."""


class EvidenceConflict(StewardError):
    """A store holds something else under a statement's digest."""


class EvidenceNotFound(BadInput):
    """No statement is recorded under this digest."""


class UnusableNote(BadInput):
    """A text that is no signed note, or no checkpoint."""


class NoteRefused(StewardError):
    """A checkpoint that no known key signed, that was changed since, or that is of another log."""


class UnusableProof(BadInput):
    """A file that proves no entry's inclusion, or a folder that is no export of a log."""


class LogRefused(StewardError):
    """The log is not what was signed: cut back, forked, or damaged."""


class LogRolledBack(LogRefused):
    """The database holds an older state of the log than one that was signed and locked."""


class LogForked(LogRefused):
    """The database's log does not begin with what was signed before."""
