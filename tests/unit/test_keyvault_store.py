"""The vault's store by itself: one transaction or none, time, and damage."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Generator
from pathlib import Path

import pytest

from replica.keyvault.errors import Refusal
from replica.keyvault.objects import StoreDamaged
from replica.keyvault.records import Attributes, Content, Kind
from replica.keyvault.sealing import Seal
from replica.keyvault.store import Store

_DAY = 86_400


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Generator[Store]:
    store = Store(tmp_path / "vault.db", transition_seconds=2, now=clock)
    yield store
    store.close()


def _add(store: Store, name: str, material: bytes = b"m", kind: Kind = Kind.SECRET) -> str:
    with store.writing(kind) as objects:
        return objects.add(name, Content(material, {"d": 1}, {"t": "v"}, Attributes(True, 1, 2))).version


def _status(store: Store, call: str, *arguments: object) -> int:
    with pytest.raises(Refusal) as refused, store.writing(Kind.SECRET) as objects:
        getattr(objects, call)(*arguments)
    return refused.value.status


def test_what_was_added_is_given_back_whole(store: Store):
    version = _add(store, "a", b"\0\xff")
    with store.reading(Kind.SECRET) as objects:
        got = objects.get("a")
    assert (got.version, got.material, got.attributes) == (version, b"\0\xff", Attributes(True, 1, 2))
    assert (got.content.details, got.content.tags, got.created) == ({"d": 1}, {"t": "v"}, 1_000_000)


def test_kinds_have_names_of_their_own(store: Store):
    _add(store, "a", b"secret")
    _add(store, "a", b"key", Kind.KEY)
    with store.reading(Kind.KEY) as keys:
        assert keys.get("a").material == b"key"
    with store.reading(Kind.SECRET) as secrets:
        assert secrets.get("a").material == b"secret"


def test_an_exception_undoes_all_of_a_transaction(store: Store):
    def change_and_fail() -> None:
        with store.writing(Kind.SECRET) as objects:
            objects.add("a", Content(b"m"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change_and_fail()
    assert _status(store, "get", "a") == 404


def test_a_change_keeps_the_version_and_says_when(store: Store, clock: Clock):
    _add(store, "a")
    clock.now += 10
    with store.writing(Kind.SECRET) as objects:
        before = objects.get("a")
        after = objects.change(dataclasses.replace(before, content=dataclasses.replace(before.content, tags=None)))
    assert (after.version, after.created, after.updated) == (before.version, before.created, before.created + 10)
    assert after.content.tags is None


def test_a_deletion_comes_through_and_time_purges(store: Store, clock: Clock):
    _add(store, "a")
    with store.writing(Kind.SECRET) as objects:
        assert objects.delete("a", retention_days=7).deletion.purge_at == clock.now + 7 * _DAY
    assert [_status(store, call, "a") for call in ("get", "deleted", "recover", "purge", "history")] == [
        404, 404, 409, 409, 404,
    ]  # fmt: skip
    assert _status(store, "add", "a", Content(b"m")) == 409

    clock.now += 2
    with store.reading(Kind.SECRET) as objects:
        assert objects.deleted("a").deletion.deleted_at == 1_000_000
        assert len(objects.page_of_deleted("", 10)) == 1
        assert objects.page("", 10) == []

    clock.now += 7 * _DAY
    with store.reading(Kind.SECRET) as objects:
        assert objects.page_of_deleted("", 10) == []
    assert _status(store, "recover", "a") == 404
    assert _add(store, "a")


def test_a_recovery_comes_through_with_every_version(store: Store, clock: Clock):
    versions = [_add(store, "a", material) for material in (b"1", b"2")]
    with store.writing(Kind.SECRET) as objects:
        objects.delete("a", retention_days=90)
    clock.now += 2
    with store.writing(Kind.SECRET) as objects:
        assert objects.recover("a").version == versions[1]
    assert (_status(store, "get", "a"), _status(store, "add", "a", Content(b"m"))) == (404, 409)
    clock.now += 2
    with store.reading(Kind.SECRET) as objects:
        assert [objects.get("a", version).material for version in versions] == [b"1", b"2"]


def test_details_belong_to_the_object_and_travel_with_its_history(store: Store, tmp_path: Path, clock: Clock):
    _add(store, "a", b"1")
    with store.writing(Kind.SECRET) as objects:
        objects.keep_details("A", {"policy": 1})
        history = objects.history("a")
        objects.delete("a", retention_days=7)
    clock.now += 2
    sealed = Seal(tmp_path / "seal", "subscription").close(history)
    with store.writing(Kind.SECRET) as objects:
        objects.purge("a")
        objects.restore(Seal(tmp_path / "seal", "subscription").open(Kind.SECRET, sealed))
        assert (objects.details("a"), objects.history("a")) == ({"policy": 1}, history)
    assert _status(store, "restore", history) == 409


def test_a_backup_of_one_kind_is_none_of_another(store: Store, tmp_path: Path):
    _add(store, "a")
    with store.reading(Kind.SECRET) as objects:
        sealed = Seal(tmp_path / "seal", "one").close(objects.history("a"))
    for kind, subscription in ((Kind.KEY, "one"), (Kind.SECRET, "other")):
        with pytest.raises(Refusal, match="invalid or corrupt"):
            Seal(tmp_path / "seal", subscription).open(kind, sealed)


@pytest.mark.parametrize("column", ["material", "details", "tags", "enabled", "expires", "version"])
def test_what_the_disk_changed_is_never_served(store: Store, tmp_path: Path, column: str):
    _add(store, "a")
    other = sqlite3.connect(tmp_path / "vault.db")
    value = {"material": b"n", "details": "{}", "tags": "{}", "enabled": 0, "expires": 3, "version": "0" * 32}[column]
    with other:
        other.execute(f"UPDATE versions SET {column} = ?", [value])  # noqa: S608 -- the test's own columns
        other.execute("UPDATE objects SET current = (SELECT version FROM versions)")
    other.close()
    with store.reading(Kind.SECRET) as objects, pytest.raises(StoreDamaged):
        objects.get("a")


def test_its_files_are_closed_to_others(store: Store, tmp_path: Path):
    _add(store, "a")
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}
