from __future__ import annotations

import json
import shutil
from pathlib import Path

import yaml

from deployments.elasticsearch.__main__ import HERE, main
from steward.search.description import S3Repository
from steward.search.rendering import render
from steward.search.repositories import is_read_only
from tests.unit.test_search_description import described


def copied(tmp_path: Path) -> Path:
    return shutil.copytree(HERE, tmp_path / "elasticsearch", ignore=shutil.ignore_patterns("__pycache__"))


def test_what_is_checked_in_is_what_the_description_renders(capsys):
    assert main(["render", "--check"]) == 0, capsys.readouterr().err


def test_a_changed_file_is_found_and_rendered_again(tmp_path, capsys):
    folder = copied(tmp_path)
    (folder / "roles.yml").write_text("steward_snapshot: {cluster: [all]}\n")
    assert main(["render", "--check", "--folder", str(folder)]) == 1
    assert "roles.yml is not what search.toml renders" in capsys.readouterr().err
    assert main(["render", "--folder", str(folder)]) == 0
    assert (folder / "roles.yml").read_text() == (HERE / "roles.yml").read_text()


def test_a_node_that_is_no_longer_described_leaves_no_files(tmp_path, capsys):
    folder = copied(tmp_path)
    (folder / "nodes/es-9").mkdir()
    (folder / "nodes/es-9/elasticsearch.yml").write_text("node.name: es-9\n")
    assert main(["render", "--check", "--folder", str(folder)]) == 1
    assert "es-9/elasticsearch.yml is left over" in capsys.readouterr().err
    assert main(["render", "--folder", str(folder)]) == 0
    assert main(["render", "--check", "--folder", str(folder)]) == 0


def test_an_unusable_description_ends_with_its_fault_and_writes_nothing(tmp_path, capsys):
    (tmp_path / "search.toml").write_text('version = "8.0.0"\n')
    assert main(["render", "--folder", str(tmp_path)]) == 2
    assert "HINT" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["search.toml"]


def test_every_node_may_become_master_holds_data_and_knows_the_others():
    files = render(described())
    for name in ("es-1", "es-2", "es-3"):
        settings = yaml.safe_load(files[f"nodes/{name}/elasticsearch.yml"])
        assert settings["node.name"] == name
        assert settings["node.roles"] == ["master", "data", "ingest"]
        assert len(settings["discovery.seed_hosts"]) == 3
        assert settings["xpack.security.enabled"] is True
        for layer in ("http", "transport"):
            assert settings[f"xpack.security.{layer}.ssl.supported_protocols"] == ["TLSv1.3"]
        assert files[f"nodes/{name}/jvm.options.d/heap.options"].splitlines()[1:] == ["-Xms4096m", "-Xmx4096m"]


def test_initial_masters_are_named_on_the_first_start_only():
    key = "cluster.initial_master_nodes"
    first = yaml.safe_load(render(described(first_start=True))["nodes/es-1/elasticsearch.yml"])
    later = yaml.safe_load(render(described())["nodes/es-1/elasticsearch.yml"])
    assert first[key] == ["es-1", "es-2", "es-3"]
    assert key not in later


def test_nodes_are_set_up_for_the_kind_of_repository_that_is_rendered():
    repository = described().repository
    fs = render(described(repository=repository.model_copy(update={"rendered": "fs"}).model_dump()))
    s3 = render(described())
    assert "path.repo" in yaml.safe_load(fs["nodes/es-1/elasticsearch.yml"])
    assert "s3.client.default.region" not in yaml.safe_load(fs["nodes/es-1/elasticsearch.yml"])
    assert yaml.safe_load(s3["nodes/es-1/elasticsearch.yml"])["s3.client.default.region"] == repository.s3.region


def test_the_scratch_cluster_registers_the_same_repository_read_only():
    files = render(described())
    for kind in ("fs", "s3"):
        original, scratch = (json.loads(files[f"repository_{name}.json"]) for name in (kind, f"scratch_{kind}"))
        assert is_read_only(scratch)
        assert not is_read_only(original)
        assert scratch["settings"] | {"readonly": None} == original["settings"] | {"readonly": None}


def test_a_bucket_never_expires_what_a_snapshot_may_need():
    (rule,) = json.loads(render(described())["bucket_lifecycle.json"])["Rules"]
    assert "Expiration" not in rule
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}


def test_no_secret_is_rendered():
    described_s3 = S3Repository.model_fields.keys()
    assert not {"access_key", "secret_key", "password"} & described_s3
    assert not any(word in text for text in render(described()).values() for word in ("secret", "password"))


def test_no_document_can_widen_the_mapping():
    template = json.loads(render(described())["tenant_template.json"])
    mappings = template["template"]["mappings"]
    assert mappings["dynamic"] == "false"
    assert mappings["properties"]["members"]["dynamic"] == "false"
    assert mappings["properties"]["body"] == {"type": "object", "enabled": False}
    assert template["allow_auto_create"] is False
