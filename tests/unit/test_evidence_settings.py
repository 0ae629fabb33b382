from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from steward.settings import Evidence, ObjectStore, Postgres, Settings, Vault

FILES = {"signing_key": "file:/run/secrets/evidence.key", "public_key": "/etc/steward/evidence.pub"}
SIGNED = {"checkpoint_key": "evidence", "checkpoint_public_keys": "/etc/steward/checkpoints.pub"}


def _settings(evidence, vault=None) -> Settings:
    return Settings(
        search={},
        postgres=Postgres(url="postgresql://steward@db/steward", password="file:/absent"),
        objects=ObjectStore(access_key="file:/absent", secret_key="file:/absent", evidence_bucket="evidence"),
        evidence=evidence,
        vault=vault,
    )


def test_an_installation_of_before_needs_no_new_setting():
    evidence = _settings(Evidence(**FILES)).evidence
    assert (evidence.checkpoint_key, evidence.checkpoint_public_keys) == (None, None)


@pytest.mark.parametrize("left_out", SIGNED)
def test_a_key_that_signs_checkpoints_is_never_without_what_verifies_them(left_out):
    given = {name: value for name, value in SIGNED.items() if name != left_out}
    with pytest.raises(ValidationError, match="belong together"):
        Evidence(**FILES, **given)


def test_checkpoints_are_signed_in_a_vault_or_not_at_all():
    evidence = Evidence(**FILES, **SIGNED)
    with pytest.raises(ValidationError, match=r"there is no \[vault\]"):
        _settings(evidence)
    assert _settings(evidence, Vault(url="https://keys.vault.azure.net")).evidence.checkpoint_key == "evidence"


@pytest.mark.parametrize("name", ["", "two words", "a/b", "a" * 128])
def test_what_is_no_key_s_name_is_refused(name):
    with pytest.raises(ValidationError, match="checkpoint_key"):
        Evidence(**FILES, **{**SIGNED, "checkpoint_key": name})


def test_what_records_evidence_is_imported_where_azure_s_libraries_are_not_installed():
    # The extra `evidence` does not bring them, and without [vault] nothing asks for them.
    program = "import sys; sys.modules['azure'] = None\nfrom steward.evidence import browsing, store"
    subprocess.run([sys.executable, "-c", program], check=True)
