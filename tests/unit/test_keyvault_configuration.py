"""A configuration that cannot be used says what is wrong with it, and shows no value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tomli_w

from replica.keyvault.__main__ import main
from replica.keyvault.configuration import load
from replica.keyvault.errors import ConfigurationUnfit


def _described(**changed: Any) -> dict[str, Any]:
    return {
        "folder": "/nowhere",
        "vault_port": 1,
        "login_port": 2,
        "certificate": "/c",
        "certificate_key": "/k",
        "tenant": "t",
        "subscription": "s",
        "principals": [
            {"name": "p", "client_id": "c", "object_id": "o", "secret_file": "/s", "roles": ["Key Vault Reader", "Own"]}
        ],
        "custom_roles": {"Own": {"data_actions": ["Microsoft.KeyVault/vaults/keys/wrap/action"]}},
        **changed,
    }


def _written(folder: Path, described: dict[str, Any]) -> Path:
    path = folder / "keyvault.toml"
    path.write_text(tomli_w.dumps(described))
    return path


def test_roles_are_built_in_or_described(tmp_path: Path):
    configuration = load(_written(tmp_path, _described()))
    roles = configuration.roles_of(configuration.principals[0])
    assert [role.allows("Microsoft.KeyVault/vaults/keys/wrap/action") for role in roles] == [False, True]
    assert configuration.issuer == "https://127.0.0.1:2/t/"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"retention_days": 6}, "7 to 90"),
        ({"retention_days": 91}, "7 to 90"),
        ({"custom_roles": {}}, "unknown roles: Own"),
        ({"colour": "red"}, "colour"),
        ({"principals": [{"name": "p"}]}, "client_id"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, changed: dict[str, Any], told: str):
    with pytest.raises(ConfigurationUnfit, match=told):
        load(_written(tmp_path, _described(**changed)))


def test_a_missing_or_broken_file_ends_the_process_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    broken = tmp_path / "broken.toml"
    broken.write_text("tenant = ")
    assert [main([]), main([str(tmp_path / "none.toml")]), main([str(broken)])] == [2, 2, 2]
    assert "cannot read" in capsys.readouterr().err
