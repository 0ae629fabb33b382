from __future__ import annotations

import re
import zipfile

import pytest

from replica.elasticsearch import home, lock
from replica.elasticsearch.lock import LockedJar, LockUnreadable, parse, render, sha256_of

DESCRIPTOR = "name=netty\nmodulename=org.example.netty\nclassname=Netty\n"


@pytest.fixture
def registry(tmp_path):
    """A folder of real jars, and the lock that fits them."""
    folder = tmp_path / "registry"
    folder.mkdir()
    for name in ("server-1.0.jar", "netty-1.0.jar"):
        with zipfile.ZipFile(folder / name, "w") as jar:
            jar.writestr("META-INF/es-plugins/netty/plugin-descriptor.properties", DESCRIPTOR)
            jar.writestr("its-name", name)
    jars = [
        LockedJar("lib", "org.example:server:1.0", sha256_of(folder / "server-1.0.jar")),
        LockedJar("modules/netty", "org.example:netty:1.0", sha256_of(folder / "netty-1.0.jar")),
    ]
    (tmp_path / "jars.lock").write_text(render(jars))
    return folder


def _unreachable(jar):
    raise AssertionError(f"{jar.coordinate} was fetched")


def test_the_committed_lock_gives_every_jar_a_hash_and_no_address():
    text = lock.LOCK.read_text()
    jars = parse(text)
    assert len(jars) > 100
    assert all(re.fullmatch("[0-9a-f]{64}", jar.sha256) for jar in jars)
    assert "://" not in text
    assert render(jars) == text


def test_the_committed_lock_holds_one_version_of_elasticsearch():
    versions = {
        jar.coordinate.split(":")[2] for jar in parse(lock.LOCK.read_text()) if "elasticsearch" in jar.coordinate
    }
    assert len(versions - {"1.7.0"}) == 1


@pytest.mark.parametrize(
    "line",
    [
        "lib org.example:server:1.0",
        "lib org.example:server:1.0 sha256:abc",
        f"lib org.example:server sha256:{'0' * 64}",
        f"../elsewhere org.example:server:1.0 sha256:{'0' * 64}",
        f"lib org.example:../server:1.0 sha256:{'0' * 64}",
        f"lib org.example:server:1.0 sha1:{'0' * 40}",
    ],
)
def test_a_line_without_its_hash_or_outside_the_home_is_refused_by_name(line):
    with pytest.raises(LockUnreadable, match=re.escape(repr(line))):
        parse(line)


def test_a_jar_locked_twice_is_refused_since_one_of_the_hashes_would_not_be_checked():
    jar = LockedJar("lib", "org.example:server:1.0", "0" * 64)
    twin = LockedJar("lib", "org.other:server:1.0", "1" * 64)
    with pytest.raises(LockUnreadable, match=re.escape("lib/server-1.0.jar is locked twice")):
        parse(render([jar, twin]))


def test_an_empty_lock_is_refused():
    with pytest.raises(LockUnreadable, match="no jar"):
        parse("# nothing\n")


def test_a_home_is_laid_out_as_the_lock_says(registry, tmp_path):
    made = home.ensure(tmp_path / "cache", tmp_path / "jars.lock", lambda jar: registry / jar.file_name)
    assert (made / "lib" / "server-1.0.jar").read_bytes() == (registry / "server-1.0.jar").read_bytes()
    descriptor = (made / "modules" / "netty" / "plugin-descriptor.properties").read_text()
    assert descriptor == "name=netty\nclassname=Netty\n"


def test_a_second_run_fetches_nothing(registry, tmp_path):
    first = home.ensure(tmp_path / "cache", tmp_path / "jars.lock", lambda jar: registry / jar.file_name)
    assert home.ensure(tmp_path / "cache", tmp_path / "jars.lock", _unreachable) == first


def test_another_lock_is_another_home(registry, tmp_path):
    before = home.path(tmp_path, tmp_path / "jars.lock")
    (tmp_path / "jars.lock").write_text(render([LockedJar("lib", "org.example:server:1.1", "0" * 64)]))
    assert home.path(tmp_path, tmp_path / "jars.lock") != before


def test_a_jar_with_another_hash_stops_with_both_hashes_and_leaves_no_home(registry, tmp_path):
    expected = sha256_of(registry / "server-1.0.jar")
    with zipfile.ZipFile(registry / "server-1.0.jar", "a") as jar:
        jar.writestr("added", "by someone")
    with pytest.raises(home.JarMismatch) as raised:
        home.ensure(tmp_path / "cache", tmp_path / "jars.lock", lambda jar: registry / jar.file_name)
    assert expected in raised.value.message
    assert sha256_of(registry / "server-1.0.jar") in raised.value.message
    assert not raised.value.transient
    assert list((tmp_path / "cache").iterdir()) == []
