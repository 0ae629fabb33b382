from __future__ import annotations

import re
import traceback

import pytest
from pydantic import ValidationError

from steward.errors import BadInput
from steward.settings import VARIABLE, load, read_secret

WHOLE = """
[search.production]
hosts = ["https://127.0.0.1:9200"]
users.snapshot = { username = "snapshot", password = "file:/run/secrets/snapshot" }

[search.scratch]
hosts = ["https://127.0.0.1:9201"]
users.restore = { username = "restore", password = "file:/run/secrets/restore" }

[postgres]
url = "postgresql://steward@127.0.0.1:5432/steward"
password = "file:/run/secrets/postgres"

[objects]
access_key = "file:/run/secrets/access"
secret_key = "file:/run/secrets/secret"
evidence_bucket = "evidence"

[evidence]
signing_key = "file:/run/secrets/evidence.key"
public_key = "/etc/steward/evidence.pub"
"""


@pytest.fixture
def written(tmp_path):
    def written(text):
        path = tmp_path / "settings.toml"
        path.write_text(text)
        return path

    return written


def test_a_whole_file_is_read(written):
    settings = load(written(WHOLE))
    assert settings.cluster("production").users["snapshot"].username == "snapshot"
    assert settings.evidence.lock_days == 365
    assert settings.objects.endpoint is None


def test_the_variable_names_the_file(written, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(written(WHOLE)))
    assert load() == load(written(WHOLE))


def test_without_the_variable_the_hint_says_what_to_set(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(BadInput, match=r"STEWARD_SETTINGS is not set\nHINT: "):
        load()


def test_settings_cannot_be_changed_after_they_were_read(written):
    with pytest.raises(ValidationError):
        load(written(WHOLE)).evidence.lock_days = 1


def test_an_unknown_cluster_is_refused_and_the_known_ones_are_named(written):
    with pytest.raises(BadInput, match="unknown search cluster 'prod'; known: production, scratch"):
        load(written(WHOLE)).cluster("prod")


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "absent.toml", tmp_path):
        with pytest.raises(BadInput, match="cannot read settings"):
            load(path)


def test_text_that_is_not_toml_is_told_with_its_line(written):
    with pytest.raises(BadInput, match=r"are not TOML: .*line 2"):
        load(written("[postgres]\nurl = oops\n"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('evidence_bucket = "evidence"', ""), "objects.evidence_bucket"),
        (('evidence_bucket = "evidence"', 'evidence_bucket = "evidence"\nevidence_bukket = "x"'), "evidence_bukket"),
        (('hosts = ["https://127.0.0.1:9200"]', "hosts = []"), "search.production.hosts"),
        (('public_key = "/etc/steward/evidence.pub"', 'public_key = "/p"\nlock_days = 0'), "evidence.lock_days"),
    ],
)
def test_a_wrong_field_is_named(written, change, told):
    with pytest.raises(BadInput) as raised:
        load(written(WHOLE.replace(*change)))
    assert told in raised.value.message


@pytest.mark.parametrize("reference", ["hunter2", "hunter2:", "file:", "keyvault:hunter2", "https://hunter2", ""])
def test_a_secret_in_the_place_of_its_reference_is_refused_and_not_repeated(written, reference):
    with pytest.raises(BadInput) as raised:
        load(written(WHOLE.replace("file:/run/secrets/postgres", reference)))
    told = "".join(traceback.format_exception(raised.value))
    assert "postgres.password" in told
    assert "hunter2" not in told


def test_a_secret_is_read_without_the_newline_that_editors_add(tmp_path):
    path = tmp_path / "password"
    path.write_text("s3cret\n")
    assert read_secret(f"file:{path}") == "s3cret"


def test_a_secret_that_cannot_be_read_is_named_by_its_path(tmp_path):
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(BadInput, match="cannot read secret file"):
            read_secret(f"file:{path}")


@pytest.mark.parametrize(
    ("content", "told"), [(b"", "is empty"), (b" \n", "is empty"), (b"hunter2\xff", "is not UTF-8")]
)
def test_a_secret_file_without_a_secret_is_refused_and_not_repeated(tmp_path, content, told):
    path = tmp_path / "password"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=told) as raised:
        read_secret(f"file:{path}")
    # Prefect pickles what a failed run raised, causes and contexts too.
    assert raised.value.__cause__ is None
    assert "hunter2" not in "".join(traceback.format_exception(raised.value))


def test_settings_that_are_not_text_are_named(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match="are not UTF-8 text"):
        load(path)


def test_a_lease_that_ends_before_its_second_heartbeat_is_refused_with_both_figures(written):
    operations = "\n[operations]\nlease_seconds = 3\nheartbeat_seconds = 5\n"
    with pytest.raises(
        BadInput, match=r"a lease of 3 s ends before the second heartbeat of 5 s; expected .+ at least twice"
    ):
        load(written(WHOLE + operations))


VAULT = """
[vault]
url = "https://keys.vault.azure.net"
"""
LOGIN = 'tenant = "contoso"\nclient_id = "steward"\nclient_secret = "file:/run/secrets/client"\n'
KEYRING = """
[keyring]
url = "postgresql://keyring@127.0.0.1:5432/keyring"
password = "keyvault:keyring-password"
kek = "tenants"
"""
FROM_VAULT = WHOLE.replace("file:/run/secrets/postgres", "keyvault:postgres-password")


def _refusal(path):
    with pytest.raises(BadInput) as raised:
        load(path)
    return "".join(traceback.format_exception(raised.value))


def test_vault_and_keyring_may_be_absent(written):
    settings = load(written(WHOLE))
    assert (settings.vault, settings.keyring) == (None, None)


def test_a_vault_without_a_login_is_asked_with_what_the_host_provides(written):
    vault = load(written(FROM_VAULT + VAULT + KEYRING)).vault
    assert (vault.url, vault.client_id, vault.verify_challenge_resource) == ("https://keys.vault.azure.net", None, True)


def test_secrets_of_the_vault_are_referred_to_by_name(written):
    settings = load(written(FROM_VAULT + VAULT + LOGIN + KEYRING))
    assert settings.postgres.password == "keyvault:postgres-password"
    assert settings.keyring.password == "keyvault:keyring-password"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (("file:/run/secrets/postgres", "keyvault:name"), "postgres.password"),
        (("file:/run/secrets/restore", "keyvault:name"), "search.scratch.users.restore.password"),
        (("file:/run/secrets/access", "keyvault:name"), "objects.access_key"),
        (("file:/run/secrets/evidence.key", "keyvault:name"), "evidence.signing_key"),
    ],
)
def test_a_secret_of_a_vault_that_is_not_there_is_refused_by_its_field(written, change, field):
    told = _refusal(written(WHOLE.replace(*change)))
    assert f"not usable: Value error, {field} names a secret of the vault, and there is no [vault]" in told


def test_every_field_that_needs_the_missing_vault_is_named(written):
    told = _refusal(written(FROM_VAULT + KEYRING))
    assert "postgres.password, keyring.password" in told


@pytest.mark.parametrize(
    "reference", ["keyvault:", "keyvault:hunter2_x", "keyvault:hunter2/x", "keyvault:" + "h" * 128]
)
def test_a_name_that_no_vault_knows_is_refused_and_not_repeated(written, reference):
    told = _refusal(written(WHOLE.replace("file:/run/secrets/postgres", reference) + VAULT))
    assert "file:PATH or keyvault:NAME" in told
    assert "hunter2" not in told


def test_what_opens_the_vault_does_not_lie_in_it(written):
    told = _refusal(written(WHOLE + VAULT + LOGIN.replace("file:/run/secrets/client", "keyvault:client")))
    assert "vault.client_secret: Value error, what opens the vault cannot lie in it: expected file:PATH" in told


@pytest.mark.parametrize("line", LOGIN.splitlines())
def test_half_a_login_is_refused(written, line):
    assert "tenant, client_id and client_secret belong together" in _refusal(
        written(WHOLE + VAULT + LOGIN.replace(line, ""))
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://keys.vault.azure.net",
        "https://",
        "https://h:99999",
        "https://hunter2@keys.vault.azure.net",
        "https://keys.vault.azure.net/keys/hunter2",
        "https://keys.vault.azure.net?hunter2",
        "keys.vault.azure.net",
    ],
)
def test_tokens_are_sent_to_an_https_host_only(written, url):
    for broken in (VAULT.replace("https://keys.vault.azure.net", url), f'{VAULT}authority = "{url}"\n'):
        told = _refusal(written(WHOLE + broken))
        assert "expected https://HOST" in told
        assert "hunter2" not in told


@pytest.mark.parametrize("name", ["", "ten ants", "tenants/1", "x" * 128])
def test_a_key_name_that_no_vault_knows_is_refused(written, name):
    assert "keyring.kek" in _refusal(written(WHOLE + VAULT + KEYRING.replace('"tenants"', f'"{name}"')))


def test_a_secret_of_the_vault_is_not_looked_for_in_files():
    with pytest.raises(BadInput, match="can only be read from a file"):
        read_secret("keyvault:name")


REDIS = """
[redis]
hosts = ["rediss://redis-1.example.net:6379", "rediss://redis-2.example.net:6379"]
users.limiter = { username = "limiter", password = "file:/run/secrets/limiter" }
"""


def test_the_scheme_of_rediss_hosts_says_whether_they_speak_tls(written):
    assert load(written(WHOLE + REDIS)).redis.tls
    assert not load(written(WHOLE + REDIS.replace("rediss://", "redis://"))).redis.tls
    assert load(written(WHOLE)).redis is None


@pytest.mark.parametrize(
    "hosts",
    [
        "[]",
        '["redis-1.example.net:6379"]',
        '["https://redis-1.example.net:6379"]',
        '["rediss://redis-1.example.net"]',
        '["rediss://limiter:hunter2@redis-1.example.net:6379"]',
        '["rediss://redis-1.example.net:6379/hunter2"]',
        '["rediss://redis-1.example.net:6379", "redis://redis-2.example.net:6379"]',
        '["rediss://redis-1.example.net:99999"]',
    ],
)
def test_a_host_of_redis_that_is_none_or_holds_a_password_is_refused_and_not_repeated(written, hosts):
    told = _refusal(written(WHOLE + re.sub(r"hosts = .*", f"hosts = {hosts}", REDIS)))
    assert "redis.hosts" in told
    assert "hunter2" not in told


@pytest.mark.parametrize("pair", ['"10.0.0.1:6379" = "gateway"', '"10.0.0.1" = "gateway:6379"', '"a:1" = "b:x"'])
def test_where_a_node_is_reached_is_a_host_and_a_port(written, pair):
    assert "expected HOST:PORT on both sides" in _refusal(written(WHOLE + REDIS + f"[redis.reached_at]\n{pair}\n"))


def test_a_password_of_redis_in_the_vault_needs_one(written):
    told = _refusal(written(WHOLE + REDIS.replace("file:/run/secrets/limiter", "keyvault:limiter")))
    assert "redis.users.limiter.password names a secret of the vault" in told


def test_costs_may_be_absent_and_are_asked_for_by_name(written):
    with pytest.raises(BadInput, match="tell of no costs") as raised:
        _ = load(written(WHOLE)).reconciled
    assert "add [costs]" in raised.value.hint
    assert load(written(WHOLE + "[costs]\n")).reconciled.budgets is None
    costs = load(written(WHOLE + '[costs]\nterms = "/etc/steward/terms.toml"\n')).reconciled
    assert str(costs.terms) == "/etc/steward/terms.toml"
