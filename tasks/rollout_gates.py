"""The quality gates that a release has passed, from the evidence that the pipeline signed and recorded."""

from __future__ import annotations

from pydantic import ValidationError

from steward.clients.postgres import Connection
from steward.errors import StewardError
from steward.evidence.envelopes import verify
from steward.evidence.signers import load_public_key
from steward.evidence.statements import parse_statement
from steward.evidence.store import list_statements
from steward.rollout.gates import QualityGates
from steward.settings import Settings

#: Whose statements they are, of the release as their subject; and where in their figures they stand.
OPERATION, FIGURE = "release-candidate", "quality_gates"


def gates_of(db: Connection, settings: Settings, release: str) -> QualityGates | None:
    """Of the newest statement about *release* that our key signed; None: there is none. One that is not ours counts for nothing."""
    for row in list_statements(db, OPERATION, subject=release, limit=10):
        try:
            signed = verify(row.envelope.encode(), load_public_key(settings.evidence.public_key))
            return QualityGates.model_validate(parse_statement(signed.payload).figures[FIGURE])
        except (StewardError, ValidationError, KeyError):
            continue
    return None
