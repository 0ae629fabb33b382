"""Where evidence is kept, and what it is signed with."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from steward.settings.base import Frozen
from steward.settings.references import VAULT_NAME, SecretRef


class S3Store(Frozen):
    """An S3 endpoint, and as whom it is asked."""

    endpoint: str | None = Field(default=None, description="URL; absent: AWS itself")
    region: str = "us-east-1"
    ca_file: Path | None = None
    access_key: SecretRef
    secret_key: SecretRef


class ObjectStore(S3Store):
    """Steward's own buckets. That for evidence has versioning and Object Lock; that for backups must have no lock."""

    evidence_bucket: str
    backup_bucket: str | None = Field(
        default=None, description="for backups of the keyring, which must be deletable; absent: Steward takes none"
    )


class Evidence(Frozen):
    """How evidence and the checkpoints of its log are signed, and how long it cannot be deleted."""

    signing_key: SecretRef = Field(description="Ed25519 private key, PKCS #8 PEM")
    public_key: Path = Field(description="the public half, SubjectPublicKeyInfo PEM: what an auditor is given")
    lock_days: int = Field(default=365, ge=1, description="Object Lock retention in compliance mode")
    checkpoint_key: str | None = Field(
        default=None,
        pattern=f"^{VAULT_NAME.pattern}$",
        description="the vault's EC P-256 key that signs the log's checkpoints; absent: nothing signs them",
    )
    checkpoint_public_keys: Path | None = Field(
        default=None,
        description="PEM file of every public key that checkpoints are or were signed with: auditors are given it too",
    )

    @model_validator(mode="after")
    def _checkpoints_can_be_verified(self) -> Self:
        if (self.checkpoint_key is None) != (self.checkpoint_public_keys is None):
            msg = "checkpoint_key and checkpoint_public_keys belong together; expected both, or neither of them"
            raise ValueError(msg)
        return self
