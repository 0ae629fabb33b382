"""What the last certified release passed, from the signed statements of its gates."""

from __future__ import annotations

from steward.clients.postgres import Connection
from steward.errors import StewardError, is_transient
from steward.evidence.envelopes import verify
from steward.evidence.signers import load_public_key
from steward.evidence.statements import parse_statement
from steward.evidence.store import load_statement
from steward.pipeline.errors import CertifiedUnproved
from steward.pipeline.tests_bounds import TestsBefore, passed_before
from steward.rollout.gates import Gate, GateEvidence, QualityGates
from steward.settings import Settings

_SUITES = frozenset({Gate.UNIT_TESTS, Gate.CONTRACT_TESTS})


def suites_passed(db: Connection, settings: Settings, gates: QualityGates) -> dict[Gate, TestsBefore]:
    """By gate, how many passed, and in which suites; without those whose statement does not say.

    Raises CertifiedUnproved where a statement is not on record, or is not what our key signed; Unavailable.
    """
    found = {each.gate: _before(db, settings, each) for each in gates.evidence if each.gate in _SUITES}
    return {gate: before for gate, before in found.items() if before}


def _before(db: Connection, settings: Settings, evidence: GateEvidence) -> TestsBefore | None:
    try:
        row = load_statement(db, evidence.statement)
        signed = verify(row.envelope.encode(), load_public_key(settings.evidence.public_key))
        return passed_before(evidence.release, parse_statement(signed.payload).figures)
    except StewardError as error:
        if is_transient(error):
            raise
        raise CertifiedUnproved(
            f"{evidence.release}, the last certified release: its statement on {evidence.gate} cannot be used: {error.message}",
            hint="see: python -m steward.evidence verify; to have the gates without that comparison, say so: first",
        ) from None
