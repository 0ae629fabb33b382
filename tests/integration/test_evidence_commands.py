from __future__ import annotations

import json
import secrets

import pytest
import tomli_w

from steward.evidence.__main__ import main
from steward.evidence.store import record
from steward.migrations.apply import migrate
from steward.verdicts import Verdict
from tests.integration.fresh_database import fresh_database
from tests.unit.evidence_samples import statement

pytestmark = pytest.mark.without_search


@pytest.fixture
def recorded(settings, tmp_path, monkeypatch):
    """One REFUTED statement in stores of its own, which STEWARD_SETTINGS names."""
    with fresh_database(settings) as fresh:
        migrate(fresh)
        path = tmp_path / "settings.toml"
        path.write_text(tomli_w.dumps(fresh.model_dump(mode="json", exclude_none=True)))
        monkeypatch.setenv("STEWARD_SETTINGS", str(path))
        made = statement(subject=f"cluster-{secrets.token_hex(6)}", verdict=Verdict.REFUTED)
        yield fresh, record(fresh, made), made


def test_list_shows_verdict_and_digest(recorded, capsys):
    _, ref, made = recorded
    assert main(["list", "--operation", "nightly-snapshot"]) == 0
    _, line = capsys.readouterr().out.splitlines()
    assert line.split()[2:] == [
        "REFUTED",
        ref.digest[:12],
        "nightly-snapshot",
        made.subject,
        "2025-07-31",
        "attempt",
        "1",
    ]


def test_list_for_machines(recorded, capsys):
    _, ref, _ = recorded
    assert main(["list", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["digest"], row["verdict"], row["attempt"]) == (ref.digest, "REFUTED", 1)


def test_list_of_nothing_says_so(recorded, capsys):
    assert main(["list", "--operation", "absent"]) == 0
    assert capsys.readouterr().out == "no statement is recorded\n"


def test_show_checks_the_signature_and_says_the_verdict(recorded, capsys):
    assert main(["show", recorded[1].digest[:10]]) == 0
    told = capsys.readouterr().out
    assert told.startswith("signature: GOOD\nverdict:   REFUTED ")
    assert recorded[2].claim in told


@pytest.mark.parametrize("source", [[], ["--locked"]])
def test_what_is_exported_is_verified_offline(recorded, tmp_path, capsys, source):
    settings, ref, _ = recorded
    file = tmp_path / "exported.json"
    assert main(["export", ref.digest, "--to", str(file), *source]) == 0
    assert main(["verify", str(file), "--key", str(settings.evidence.public_key)]) == 0
    assert f"statement: sha256:{ref.digest}" in capsys.readouterr().out


def test_export_does_not_overwrite(recorded, tmp_path, capsys):
    file = tmp_path / "mine"
    file.write_text("precious")
    assert main(["export", recorded[1].digest, "--to", str(file)]) == 1
    assert "File exists" in capsys.readouterr().err
    assert file.read_text() == "precious"


def test_an_unknown_digest_is_told_with_a_hint(recorded, capsys):
    assert main(["show", "ffffffff"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("ERROR: no statement begins with digest 'ffffffff'\nHINT: ")


def test_complete_says_how_many(recorded, capsys):
    assert main(["complete"]) == 0
    assert (
        capsys.readouterr().out
        == "1 statements recorded, every one of them under Object Lock; the log is signed and anchored\n"
    )
