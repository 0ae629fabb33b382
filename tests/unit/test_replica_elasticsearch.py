from __future__ import annotations

import stat

import bcrypt
import pytest
import yaml

from replica.elasticsearch import configuration, file_realm
from replica.elasticsearch.clusters import HAND, PRODUCTION, SCRATCH
from replica.elasticsearch.failures import explain
from replica.server import NotReady, Place
from replica.servers.elasticsearch import ELASTICSEARCH, ElasticsearchNode, assess
from steward.settings import SearchCluster

HEALTH = {"status": "green", "number_of_nodes": 3, "active_shards": 12, "unassigned_primary_shards": 0}


@pytest.fixture
def place(tmp_path):
    names = [f"{server.name}.{port}" for server in ELASTICSEARCH for port in server.port_names]
    return Place(state=tmp_path, cache=tmp_path / "cache", ports={name: 20_000 + n for n, name in enumerate(names)})


def _written(place, cluster=PRODUCTION, node="es-2"):
    configuration.write(place, cluster, node)
    return configuration.folder(place, node)


def test_a_rendered_configuration_is_yaml_and_says_what_was_meant(place):
    values = configuration.settings(place, PRODUCTION, "es-2")
    assert yaml.safe_load(configuration.render(values)) == values


def test_every_node_listens_on_loopback_with_tls_1_3_alone_on_both_layers(place):
    for server in ELASTICSEARCH:
        values = configuration.settings(place, server.cluster, server.name)
        assert values["network.host"] == "127.0.0.1"
        assert values["xpack.security.enabled"] is True
        for layer in ("http", "transport"):
            assert values[f"xpack.security.{layer}.ssl.enabled"] is True
            assert values[f"xpack.security.{layer}.ssl.supported_protocols"] == ["TLSv1.3"]
        assert values["xpack.security.transport.ssl.client_authentication"] == "required"


def test_production_nodes_seek_each_other_and_scratch_seeks_nobody(place):
    production = configuration.settings(place, PRODUCTION, "es-1")
    assert production["discovery.seed_hosts"] == [
        f"127.0.0.1:{place.port(node, 'transport')}" for node in ("es-1", "es-2", "es-3")
    ]
    scratch = configuration.settings(place, SCRATCH, "scratch")
    assert scratch["discovery.type"] == "single-node"
    assert "discovery.seed_hosts" not in scratch


def test_both_clusters_see_one_snapshot_folder(place):
    folders = {tuple(configuration.settings(place, s.cluster, s.name)["path.repo"]) for s in ELASTICSEARCH}
    assert len(folders) == 1


def test_passwords_are_in_no_file_that_a_node_reads(place):
    config = _written(place)
    secrets = [place.secret(PRODUCTION.secret(name)) for name in (*PRODUCTION.users, HAND)]
    for path in config.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert not any(secret in path.read_text() for secret in secrets)


def test_each_user_holds_one_role_and_its_password_fits(place):
    config = _written(place)
    hashes = dict(line.split(":", 1) for line in (config / "users").read_text().splitlines())
    assert set(hashes) == {"snapshot", "provision", "monitoring", "tenants", "recover", HAND}
    for name, hashed in hashes.items():
        assert hashed.startswith("$2a$")
        assert bcrypt.checkpw(place.secret(PRODUCTION.secret(name)).encode(), hashed.encode())
    assert "steward_snapshot:snapshot\n" in (config / "users_roles").read_text()


def test_who_recovers_has_no_right_until_a_person_lends_the_role(place):
    roles = yaml.safe_load((_written(place) / "roles.yml").read_text())
    assert set(PRODUCTION.users.values()) - set(roles) == {"steward_recovery"}


def test_no_password_serves_in_both_clusters(place):
    assert place.secret(PRODUCTION.secret("monitoring")) != place.secret(SCRATCH.secret("monitoring"))


def test_writing_again_changes_no_user_and_leaves_the_roles_that_flows_changed(place):
    config = _written(place)
    (config / "roles.yml").write_text("tenant_acme: {}\n")
    before = [(config / name).stat().st_ino for name in ("users", "users_roles", "roles.yml")]
    _written(place)
    assert [(config / name).stat().st_ino for name in ("users", "users_roles", "roles.yml")] == before
    assert (config / "roles.yml").read_text() == "tenant_acme: {}\n"


def test_missing_roles_are_mended(place):
    config = _written(place)
    (config / "roles.yml").unlink()
    assert "steward_snapshot" in yaml.safe_load((_written(place) / "roles.yml").read_text())


def test_scratch_begins_with_its_own_roles(place):
    roles = yaml.safe_load((_written(place, SCRATCH, "scratch") / "roles.yml").read_text())
    assert set(SCRATCH.users.values()) <= set(roles)
    assert "steward_tenants" not in roles


def test_an_added_user_survives_the_next_start_on_every_node(place):
    for node in PRODUCTION.nodes:
        configuration.write(place, PRODUCTION, node)
    configuration.add_user(place, "acme", "a-password", ["tenant_acme", "steward_tenants"])
    for node in PRODUCTION.nodes:
        config = _written(place, PRODUCTION, node)
        assert "\nacme:" in "\n" + (config / "users").read_text()
        assert "tenant_acme:acme\n" in (config / "users_roles").read_text()
        assert "steward_tenants:acme,tenants\n" in (config / "users_roles").read_text()


def test_a_hash_that_fits_is_kept_and_one_that_does_not_is_replaced():
    first = file_realm.users("other:$2a$xyz\n", {"acme": "one"})
    assert file_realm.users(first, {"acme": "one"}) == first
    second = file_realm.users(first, {"acme": "two"})
    assert second != first
    assert "other:$2a$xyz\n" in second


def test_a_users_roles_are_replaced_and_other_users_keep_theirs():
    before = "reader:acme,other\nwriter:acme\n"
    assert file_realm.users_roles(before, {"acme": ["reader"]}) == "reader:acme,other\n"
    assert file_realm.users_roles(before, {"acme": []}) == "reader:other\n"


def test_settings_hold_purposes_and_references_and_never_the_replicas_own_hand(place):
    parts = [server.settings(place) for server in ELASTICSEARCH]
    search = {name: cluster for part in parts for name, cluster in part.get("search", {}).items()}
    production, scratch = (SearchCluster.model_validate(search[name]) for name in ("production", "scratch"))
    assert set(production.users) == {"snapshot", "provision", "monitoring", "tenants", "recover"}
    assert set(scratch.users) == {"restore", "monitoring"}
    assert len(production.hosts) == len(production.role_files) == 3
    assert HAND not in str(search)


def test_the_command_line_of_a_node_holds_no_secret(place):
    for server in ELASTICSEARCH:
        server.prepare(place)
    secrets = [path.read_text() for path in (place.state / "secrets").iterdir()]
    commands = [" ".join(ElasticsearchNode(s.cluster, s.name).program(place).command) for s in ELASTICSEARCH]
    assert not any(secret in command for secret in secrets for command in commands)


def test_health_is_told_in_a_few_words():
    assert assess(HEALTH, expected_nodes=3) == "green, 3 nodes, 12 shards"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"number_of_nodes": 2}, "2 of 3 nodes have joined"),
        ({"status": "red", "unassigned_primary_shards": 4}, "4 primary shards have no node"),
        ({"status": "red"}, "not recovered"),
    ],
)
def test_a_cluster_that_lacks_nodes_or_primaries_is_not_ready(change, reason):
    with pytest.raises(NotReady, match=reason):
        assess(HEALTH | change, expected_nodes=3)


@pytest.mark.parametrize(
    ("chain", "fact", "hint"),
    [
        (
            ["BindHttpException: Failed to bind to 127.0.0.1:[9200]", "BindException: Address already in use"],
            "BindException: Address already in use",
            "port is taken",
        ),
        (
            ["IllegalStateException: failed to write", "IOException: No space left on device"],
            "IOException: No space left on device",
            "free some space",
        ),
        (
            ["IllegalArgumentException: unknown setting [a.b] please check", "RuntimeException: inner"],
            "IllegalArgumentException: unknown setting [a.b] please check",
            "elasticsearch.yml",
        ),
        (
            ["IllegalStateException: failed to obtain node locks,\n tried [/data]"],
            "IllegalStateException: failed to obtain node locks, tried [/data]",
            "another process",
        ),
        (["A: outer", "B: inner"], "B: inner", "lines above"),
    ],
)
def test_what_keeps_a_node_from_starting_is_one_line_with_what_to_do(chain, fact, hint):
    said, advice = explain(chain)
    assert said == fact
    assert hint in advice
