"""Statements and keys that the tests of evidence share."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from steward.evidence.provenance import CodeVersion
from steward.evidence.statements import Artifact, Statement
from steward.verdicts import Verdict

DIGEST = "0123456789abcdef" * 4
CODE = CodeVersion(version="0.1.0", commit="4b19728d0c1e2f3a4b5c6d7e8f90123456789abc", modified=False)
FIELDS: dict[str, Any] = {
    "operation": "nightly-snapshot",
    "subject": "production",
    "period": "2025-07-31",
    "attempt": 1,
    "verdict": Verdict.VERIFIED,
    "claim": "every document of the snapshot was restored as it was at the snapshot's moment",
    "artifacts": [Artifact("tenant-acme-000001", {"sha256": DIGEST})],
    "inputs": [Artifact("policy", {"sha256": DIGEST[::-1]})],
    "figures": {"documents": 100_000, "rpo_milliseconds": 1500},
    "findings": ["2 documents were updated in the window"],
    "started": datetime(2025, 7, 31, 1, 30, 0, 123_456, tzinfo=UTC),
    "finished": datetime(2025, 7, 31, 1, 42, 7, 999_999, tzinfo=UTC),
    "code": CODE,
    "host": "Linux x86_64, 2 CPUs, 24 GiB, CPython 3.11.9",
}


def statement(**changes: Any) -> Statement:
    return Statement(**{**FIELDS, **changes})


def private_pem(key: Any) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(key: Any) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def key_pair(folder: Path, name: str = "evidence") -> tuple[Path, Path]:
    """Paths of a new Ed25519 key's private and public half."""
    key = Ed25519PrivateKey.generate()
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    private.write_bytes(private_pem(key))
    public.write_bytes(public_pem(key))
    return private, public
