"""Statements: what an operation claims about its own effect, as an in-toto Statement v1.

The wire format is https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md with the predicate type
`urn:steward:operation:v1`, which docs/evidence.md describes field by field.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

from google.protobuf import json_format
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import STATEMENT_TYPE_URI
from in_toto_attestation.v1.statement import Statement as InTotoStatement
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic import model_validator as check_whole

from steward.evidence.canonical import canonical_json, sha256_of, strict_json
from steward.evidence.errors import UnusableStatement
from steward.evidence.provenance import CodeVersion, code_version, host_class
from steward.verdicts import Verdict

PREDICATE_TYPE = "urn:steward:operation:v1"
_HEX_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128, "sha3_256": 64, "gitCommit": 40}
#: A digest of an algorithm not listed above is at least 128 bits long: less does not name content.
_SHORTEST_HEX = 32


class Artifact(NamedTuple):
    """A thing with digests: what in-toto calls a resource descriptor. Digests are lower-case hex by algorithm."""

    name: str
    digest: dict[str, str]


def artifact_of(name: str, value: object) -> Artifact:
    """The artifact whose content is *value*, a JSON value: its digest is that of its canonical JSON."""
    return Artifact(name, {"sha256": sha256_of(value)})


def _milliseconds(moment: datetime) -> datetime:
    utc = moment.astimezone(UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def _digested(artifact: Artifact) -> Artifact:
    if not artifact.name:
        msg = "an artifact needs a name"
        raise ValueError(msg)
    if not artifact.digest:
        msg = f"{artifact.name} has no digest"
        raise ValueError(msg)
    for algorithm, value in artifact.digest.items():
        if not _plausible(algorithm, value):
            msg = f"{artifact.name}: {value[:80]!r} is no {algorithm[:80]} digest in lower-case hex"
            raise ValueError(msg)
    return artifact


def _plausible(algorithm: str, value: str) -> bool:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9._-]*", algorithm) or not re.fullmatch(r"([0-9a-f]{2})+", value):
        return False
    return len(value) == _HEX_LENGTHS[algorithm] if algorithm in _HEX_LENGTHS else len(value) >= _SHORTEST_HEX


Digested = Annotated[Artifact, AfterValidator(_digested)]
Moment = Annotated[AwareDatetime, AfterValidator(_milliseconds)]
Name = Annotated[str, Field(min_length=1)]


class Statement(BaseModel):
    """One operation's claim. pydantic's ValidationError where a field is missing or out of bounds.

    `subject` is what the operation worked on (a cluster), `artifacts` what the claim is about, with digests: what was
    asked for (`artifact_of`) where nothing could be measured. A figure that was not measured is None.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    operation: Name
    subject: Name
    period: Name
    attempt: int = Field(ge=1)
    verdict: Verdict
    claim: Name
    artifacts: tuple[Digested, ...] = Field(min_length=1)
    inputs: tuple[Digested, ...] = ()
    figures: dict[str, JsonValue] = {}
    findings: tuple[JsonValue, ...] = ()
    started: Moment
    finished: Moment
    code: CodeVersion = Field(default_factory=code_version)
    host: str = Field(default_factory=host_class)

    @check_whole(mode="after")
    def _ordered_and_named_once(self) -> Statement:
        if self.finished < self.started:
            msg = "finished before it started"
            raise ValueError(msg)
        for artifacts in (self.artifacts, self.inputs):
            names = [artifact.name for artifact in artifacts]
            if len(set(names)) != len(names):
                msg = "two artifacts of the same name"
                raise ValueError(msg)
        return self

    def payload(self) -> bytes:
        """The statement's canonical bytes: what is signed, and whose SHA-256 names it."""
        payload = canonical_json(
            {
                "_type": STATEMENT_TYPE_URI,
                "subject": _descriptors(self.artifacts),
                "predicateType": PREDICATE_TYPE,
                "predicate": _predicate(self),
            }
        )
        _validate_as_in_toto(payload)
        return payload


def parse_statement(payload: bytes) -> Statement:
    """The statement that *payload* holds; UnusableStatement where it is none of ours.

    Members of the predicate that this version does not know are left aside, as in-toto asks of readers.
    """
    try:
        found: dict[str, Any] = strict_json(payload)
        if (found["_type"], found["predicateType"]) != (STATEMENT_TYPE_URI, PREDICATE_TYPE):
            raise UnusableStatement(
                f"signed content is {found['_type']} with {found['predicateType']}",
                hint=f"expected {STATEMENT_TYPE_URI} with {PREDICATE_TYPE}: another tool's statement, or a newer one",
            )
        artifacts = [(item["name"], item["digest"]) for item in found["subject"]]
        inputs = [(item["name"], item["digest"]) for item in found["predicate"].get("inputs", [])]
        return Statement.model_validate({**found["predicate"], "artifacts": artifacts, "inputs": inputs})
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise UnusableStatement(f"signed content breaks the format: {faults}", hint="see docs/evidence.md") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnusableStatement(
            f"signed content is no in-toto statement: {error!r}", hint="see docs/evidence.md"
        ) from None


def _descriptors(artifacts: tuple[Artifact, ...]) -> list[dict[str, object]]:
    return [{"name": artifact.name, "digest": artifact.digest} for artifact in artifacts]


def _predicate(statement: Statement) -> dict[str, object]:
    # Every member is written, null and empty ones too: an absent figure must not look like a forgotten one. A new
    # optional member changes no old statement's bytes, since those are kept as they were signed.
    written = {"operation", "subject", "period", "attempt", "verdict", "claim", "figures", "findings", "code", "host"}
    return {
        **statement.model_dump(include=written),
        "verdict": statement.verdict.value,
        "inputs": _descriptors(statement.inputs),
        "started": _rfc3339(statement.started),
        "finished": _rfc3339(statement.finished),
    }


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _validate_as_in_toto(payload: bytes) -> None:
    # The library checks type, subjects and their digests' presence; the digests' form is checked in Artifact above.
    # Its protobuf turns integers into doubles, so the bytes that are signed are ours, and it only reads them.
    try:
        InTotoStatement.copy_from_pb(json_format.Parse(payload, statement_pb2.Statement())).validate()  # pyright: ignore[reportAttributeAccessIssue]
    except (ValueError, json_format.ParseError) as error:
        raise UnusableStatement(f"not an in-toto Statement v1: {error}", hint="see docs/evidence.md") from None
