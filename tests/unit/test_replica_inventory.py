import stat
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives import serialization

from replica import inventory, state
from replica.servers import SERVERS
from steward.settings import load, read_secret


@pytest.fixture
def place(tmp_path, monkeypatch):
    # pytest's folders are closed to other users, which only matters where a server is really started.
    monkeypatch.setattr(state, "_refuse_closed", lambda _: None)
    monkeypatch.setattr(state, "_LONGEST_PATH", 4_000)
    return state.lay(tmp_path / "replica", SERVERS)


def test_the_settings_file_is_what_steward_reads(place):
    inventory.write(place, SERVERS)
    settings = load(inventory.settings_file(place))
    assert set(settings.search) == {"production", "scratch"}
    assert len(settings.cluster("production").hosts) == 3
    assert settings.postgres.url == f"postgresql://steward@127.0.0.1:{place.port('postgres', 'sql')}/steward"
    assert settings.objects.evidence_bucket == "evidence"


def test_settings_hold_references_and_never_a_secret(place):
    inventory.write(place, SERVERS)
    text = inventory.settings_file(place).read_text()
    secrets = [path.read_text() for path in (place.state / "secrets").iterdir()]
    assert len(secrets) >= 8
    assert not [secret for secret in secrets if secret in text]


def test_writing_it_twice_changes_nothing(place):
    inventory.write(place, SERVERS)
    before = {path: path.stat().st_mtime_ns for path in place.state.rglob("*") if path.is_file()}
    inventory.write(place, SERVERS)
    assert before == {path: path.stat().st_mtime_ns for path in place.state.rglob("*") if path.is_file()}


def test_what_holds_secrets_is_closed_to_others(place):
    inventory.write(place, SERVERS)
    held = [
        inventory.environment_file(place),
        place.state / "keys" / "evidence.key",
        *(place.state / "secrets").iterdir(),
    ]
    assert {stat.S_IMODE(path.stat().st_mode) for path in held} == {0o600}
    assert stat.S_IMODE((place.state / "secrets").stat().st_mode) == 0o700


def test_the_two_halves_of_the_signing_key_belong_together(place):
    inventory.write(place, SERVERS)
    evidence = load(inventory.settings_file(place)).evidence
    private = serialization.load_pem_private_key(read_secret(evidence.signing_key).encode(), password=None)
    public = serialization.load_pem_public_key(evidence.public_key.read_bytes())
    public.verify(private.sign(b"statement"), b"statement")


def test_a_shell_takes_the_environment_file(place):
    inventory.write(place, SERVERS)
    program = "import os; print(os.environ['PREFECT_API_AUTH_STRING'], os.environ['STEWARD_SETTINGS'])"
    command = f'. {inventory.environment_file(place)}; {sys.executable} -c "{program}"'
    said = subprocess.run(["sh", "-c", command], check=True, capture_output=True, text=True).stdout.split()
    expected = inventory.environment(place)
    assert said == [expected["PREFECT_API_AUTH_STRING"], expected["STEWARD_SETTINGS"]]


def test_through_proxies_clients_get_other_ports(place):
    direct, proxied = place, state.lay(place.state, SERVERS, proxied=True)
    assert proxied.client_port("postgres", "sql") != direct.client_port("postgres", "sql")
    assert proxied.port("postgres", "sql") == direct.port("postgres", "sql")
