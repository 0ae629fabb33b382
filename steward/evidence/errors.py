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
