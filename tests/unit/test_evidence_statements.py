from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from google.protobuf import json_format
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement as InTotoStatement
from pydantic import ValidationError

from steward.evidence.errors import UnusableStatement
from steward.evidence.provenance import CodeVersion
from steward.evidence.statements import Artifact, artifact_of, parse_statement
from steward.verdicts import Verdict
from tests.unit.evidence_samples import DIGEST, FIELDS, statement


def test_the_in_toto_library_reads_what_is_signed():
    parsed = json_format.Parse(statement().payload(), statement_pb2.Statement())
    InTotoStatement.copy_from_pb(parsed).validate()
    assert parsed.predicate_type == "urn:steward:operation:v1"
    assert [(item.name, dict(item.digest)) for item in parsed.subject] == [("tenant-acme-000001", {"sha256": DIGEST})]
    assert parsed.predicate["verdict"] == "VERIFIED"


def test_the_bytes_of_a_statement_do_not_change_between_versions():
    # Pinned: a digest that was given to an auditor must be reproducible. A change here is a new predicate type.
    digest = hashlib.sha256(statement().payload()).hexdigest()
    assert digest == "ce30c9c5905cc542a26e4edf5bc1bf276c3ab5ee10ca3b4c3b44bfe6b9088c96"


def test_equal_statements_have_equal_bytes_whatever_the_zone_and_the_order():
    elsewhere = timezone(timedelta(hours=5, minutes=30))
    same = statement(
        started=FIELDS["started"].astimezone(elsewhere),
        figures=dict(reversed(FIELDS["figures"].items())),
    )
    assert same.payload() == statement().payload()


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_statement_is_read_back_as_it_was_made(verdict):
    made = statement(verdict=verdict, figures={"tenants": {"acme": [1, None, True, "x"]}}, findings=[{"kind": "lost"}])
    assert parse_statement(made.payload()) == made


def test_what_is_not_known_about_the_code_is_null_and_not_left_out():
    code = json.loads(statement(code=CodeVersion(version="0.1.0")).payload())["predicate"]["code"]
    assert code == {"version": "0.1.0", "commit": None, "modified": None}


def test_code_and_host_are_filled_in_by_default():
    filled = statement()
    made = type(filled)(**{name: value for name, value in FIELDS.items() if name not in {"code", "host"}})
    assert made.code.version
    assert "CPUs" in made.host


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"artifacts": []}, "at least 1 item"),
        ({"artifacts": [Artifact("", {"sha256": DIGEST})]}, "needs a name"),
        ({"artifacts": [Artifact("a", {})]}, "has no digest"),
        ({"artifacts": [Artifact("a", {"sha256": DIGEST[:-1]})]}, "no sha256 digest"),
        ({"artifacts": [Artifact("a", {"sha256": DIGEST[:-2]})]}, "no sha256 digest"),
        ({"artifacts": [Artifact("a", {"sha256": DIGEST.upper()})]}, "no sha256 digest"),
        ({"artifacts": [Artifact("a", {"sha256": DIGEST + "\n"})]}, "no sha256 digest"),
        ({"artifacts": [Artifact("a", {"stewardIndexV1": "abcd"})]}, "no stewardIndexV1 digest"),
        ({"artifacts": [Artifact("a", {"sha 256": DIGEST})]}, "no sha 256 digest"),
        ({"artifacts": [Artifact("a", {"sha256": DIGEST})] * 2}, "two artifacts of the same name"),
        ({"inputs": [Artifact("a", {"sha512": DIGEST})]}, "no sha512 digest"),
        ({"attempt": 0}, "greater than or equal to 1"),
        ({"verdict": "GREEN"}, "VERIFIED"),
        ({"claim": ""}, "at least 1 character"),
        ({"started": datetime(2025, 7, 31, 1, 30)}, "timezone"),  # noqa: DTZ001 # a time without a zone is the fault
        ({"finished": datetime(2025, 7, 31, 1, 29, tzinfo=UTC)}, "finished before it started"),
    ],
)
def test_a_statement_out_of_bounds_is_refused(change, told):
    with pytest.raises(ValidationError, match=told):
        statement(**change)


def test_figures_that_are_not_numbers_are_refused_when_signed():
    with pytest.raises(UnusableStatement, match=r"predicate\.figures\.seconds is nan"):
        statement(figures={"seconds": float("nan")}).payload()


def test_figures_may_be_fractions():
    made = statement(figures={"seconds": 1.5, "whole": 60.0, "ratio": 1e-7})
    assert b'"figures":{"ratio":1e-7,"seconds":1.5,"whole":60}' in made.payload()
    assert parse_statement(made.payload()) == made


def test_refusals_do_not_repeat_what_was_given():
    with pytest.raises(ValidationError) as raised:
        statement(figures="hunter2-in-the-wrong-field")
    assert "hunter2" not in str(raised.value)


def test_an_artifact_of_a_value_is_named_by_its_canonical_json():
    named = artifact_of("asked for", {"b": 1, "a": "é"})
    assert named == Artifact("asked for", {"sha256": hashlib.sha256('{"a":"é","b":1}'.encode()).hexdigest()})


def _changed(**members) -> bytes:
    return json.dumps({**json.loads(statement().payload()), **members}).encode()


def test_members_of_a_newer_version_are_left_aside():
    predicate = {**json.loads(statement().payload())["predicate"], "witness": "someone"}
    assert parse_statement(_changed(predicate=predicate)) == statement()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"_type": "https://in-toto.io/Statement/v1"}',
        _changed(predicateType="https://slsa.dev/provenance/v1"),
        _changed(_type="https://in-toto.io/Statement/v0.1"),
        _changed(subject=[]),
        _changed(subject={}),
        _changed(subject=[{"name": "a"}]),
        _changed(predicate=[]),
        _changed(predicate={}),
        statement().payload().replace(b'"attempt":1', b'"attempt":1,"attempt":2'),
        statement().payload().replace(b'"verdict":"VERIFIED"', b'"verdict":"FINE"'),
    ],
)
def test_content_that_is_no_statement_of_ours_is_refused_in_words(payload):
    with pytest.raises(UnusableStatement) as raised:
        parse_statement(payload)
    assert raised.value.hint
