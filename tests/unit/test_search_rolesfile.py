from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml

from steward.search.errors import RolesFileUnreadable
from steward.search.names import TenantName
from steward.search.roles import IndexGrant, Role, production_roles, tenant_role
from steward.search.rolesfile import RolesFile
from steward.search.rolestores import FileRoles

OTHERS = """\
# kept by the auditors
auditor:
  cluster: [ "monitor" ]   # no more than this

"quoted role" :
  cluster: []
# the end
"""
READER = Role(indices=(IndexGrant(names=("tenant-*",), privileges=("read",)),))


@pytest.fixture
def file(tmp_path):
    return RolesFile(tmp_path / "roles.yml")


def test_roles_of_other_hands_are_kept_byte_for_byte(file):
    file.path.write_text(OTHERS)
    file.put({"steward_a": READER})
    assert file.path.read_text().startswith(OTHERS)
    assert set(file.read()) == {"auditor", "quoted role", "steward_a"}


def test_only_the_entry_that_differs_is_rewritten(file):
    file.put({"steward_a": Role(cluster=("all",))})
    before = file.path.read_text()
    file.path.write_text(f"{before}# of the auditors\n{OTHERS}")
    file.put({"steward_a": READER})
    assert file.read()["steward_a"] == READER.body()
    assert file.path.read_text().endswith(f"# of the auditors\n{OTHERS}")


def test_a_second_put_writes_nothing(file):
    file.put(production_roles())
    before = file.path.stat()
    file.put(production_roles())
    after = file.path.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_missing_file_is_made_and_nothing_is_left_beside_it(file):
    file.put({"steward_a": READER})
    assert [path.name for path in file.path.parent.iterdir()] == ["roles.yml"]


def test_the_mode_of_the_file_stays_as_the_node_needs_it(file):
    file.path.write_text("")
    file.path.chmod(0o640)
    file.put({"steward_a": READER})
    assert file.path.stat().st_mode & 0o777 == 0o640


def test_a_reader_never_sees_half_a_file(file):
    file.put(production_roles())
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(lambda: [file.put({"steward_x": Role(cluster=(f"c{n}",))}) for n in range(20)])
        # Looked at later: who parses YAML meanwhile leaves the writer no time.
        seen = set[str]()
        while not writing.done():
            seen.add(file.path.read_text())
        writing.result()
    for text in seen:
        assert set(production_roles()) <= set(yaml.safe_load(text))


def test_tenants_put_at_once_are_all_in_the_file(file):
    tenants = [TenantName(f"acme-{n:02}") for n in range(12)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda tenant: file.put({tenant.role: tenant_role(tenant)}), tenants))
    assert {tenant.role for tenant in tenants} == set(file.read())


@pytest.mark.parametrize("text", ["steward_a: {cluster: [", "- a\n- b\n", "\tsteward_a:\n"])
def test_a_file_that_is_not_understood_is_refused_and_left(file, text):
    file.path.write_text(text)
    with pytest.raises(RolesFileUnreadable) as refused:
        file.put({"steward_a": READER})
    assert refused.value.hint
    assert file.path.read_text() == text


def test_a_file_in_a_form_that_cannot_be_edited_is_refused_and_left(file):
    text = "{auditor: {cluster: [monitor]}}\n"
    file.path.write_text(text)
    with pytest.raises(RolesFileUnreadable):
        file.put({"steward_a": READER})
    assert file.path.read_text() == text


def test_a_missing_folder_is_told(tmp_path):
    with pytest.raises(RolesFileUnreadable, match="cannot open"):
        RolesFile(tmp_path / "absent" / "roles.yml").put({"steward_a": READER})


def test_every_node_gets_the_roles(tmp_path):
    files = [tmp_path / node / "roles.yml" for node in ("es-1", "es-2", "es-3")]
    for path in files:
        path.parent.mkdir()
    FileRoles(files).put({"steward_a": READER})
    assert [set(held) for held in FileRoles(files).read().values()] == [{"steward_a"}] * 3
