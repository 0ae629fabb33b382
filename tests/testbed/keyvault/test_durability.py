"""What was acknowledged is there, whatever kills the process."""

from __future__ import annotations

import random

import pytest

from tests.testbed.keyvault.ground import NewVault
from tests.testbed.keyvault.writers import Writers

pytestmark = pytest.mark.without_search

_ROUNDS = 4


class _Setting(Writers[tuple[str, str], str]):
    """Secrets."""

    def write(self, client, writer, number):
        # Three names for each writer: versions pile up, and names are shared between writers.
        name, value = f"{self.prefix}-{(writer + number) % 3}", f"{writer}.{number}"
        answer = client.put(f"/secrets/{name}", json={"value": value})
        assert answer.status_code == 200, answer.text
        self.remember((name, answer.json()["id"].rsplit("/", 1)[1]), value)


def test_every_acknowledged_version_outlives_kill_nine_again_and_again(new_vault: NewVault):
    chance = random.Random(7)
    with new_vault(limits_factor=1000) as vault:
        token = vault.token()
        everything: dict[tuple[str, str], str] = {}
        for turn in range(_ROUNDS):
            writers = _Setting(vault, token, f"r{turn}", enough=chance.randint(1, 120))
            writers.start()
            assert writers.enough.wait(60)
            vault.kill()
            writers.join()
            everything |= writers.acknowledged
            vault.start()
        with vault.http(token) as plain:
            for (name, version), value in everything.items():
                assert plain.get(f"/secrets/{name}/{version}").json()["value"] == value
        logged = [event for event in vault.audit() if event["operationName"] == "SecretSet"]
        assert sum(event["properties"]["httpStatusCode"] == 200 for event in logged) >= len(everything)


def test_deletions_and_changes_outlive_a_kill_too(new_vault: NewVault):
    with new_vault() as vault:
        with vault.http(vault.token()) as plain:
            for name in ("kept", "deleted", "purged", "changed"):
                plain.put(f"/secrets/{name}", json={"value": "x"})
            plain.delete("/secrets/deleted")
            plain.delete("/secrets/purged")
            assert plain.delete("/deletedsecrets/purged").status_code == 204
            assert plain.patch("/secrets/changed", json={"attributes": {"enabled": False}}).status_code == 200
            vault.kill()
        vault.start()
        with vault.http(vault.token()) as plain:
            assert plain.get("/secrets/kept").status_code == 200
            assert plain.get("/deletedsecrets/deleted").status_code == 200
            assert plain.get("/deletedsecrets/purged").status_code == 404
            assert plain.get("/secrets/changed").status_code == 403


def test_it_ends_in_order_when_asked_to_and_goes_on_where_it_was(new_vault: NewVault):
    with new_vault() as vault:
        with vault.http(vault.token()) as plain:
            plain.put("/secrets/kept", json={"value": "x"})
        assert vault.stop() == 0
        assert not list((vault.folder / "vault").glob("*-wal"))
        vault.start()
        with vault.http(vault.token()) as plain:
            assert plain.get("/secrets/kept").json()["value"] == "x"


def test_a_purged_value_is_nowhere_in_the_folder_any_more(new_vault: NewVault):
    value = "a value that shall be gone for good"
    with new_vault() as vault:
        with vault.http(vault.token()) as plain:
            plain.put("/secrets/gone", json={"value": value})
            plain.delete("/secrets/gone")
            plain.delete("/deletedsecrets/gone")
        assert vault.stop() == 0
        for path in (vault.folder / "vault").iterdir():
            assert value.encode() not in path.read_bytes()
