"""One row moved to current keys: the same values, under the new key, with new indexes; and what is wrong with a row."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from steward.fieldcrypt import FieldCipher, key_id
from steward.fieldcrypt.keyring import State
from tests.unit.fieldcrypt.known_keys import KnownKeys, key_set
from tests.unit.keys.samples import NEW, OLD, after, before, damaged, mover, opened, row


def ids(sealed):
    """The key id that each ciphertext and blind index names."""
    email, index, notes = sealed
    return [
        None if email is None else key_id(email),
        None if index is None else int.from_bytes(index[:4], "big"),
        None if notes is None else key_id(notes),
    ]


@pytest.mark.parametrize("notes", ["likes tea", "", b"\0\xff", 7, date(2026, 2, 28), {"a": [1, None]}, True, None])
def test_a_row_says_the_same_under_the_new_key(notes):
    written = row(before(), notes=notes)
    sealed, faults = mover(after()).moved(written)
    assert faults == []
    assert ids(sealed) == [NEW, NEW, None if notes is None else NEW]
    assert opened(after(), replace(written, sealed=sealed)) == ("ada@example.net", notes)


def test_the_index_finds_the_moved_row_and_is_under_the_new_key():
    written = row(before())
    (_, index, _), _ = mover(after()).moved(written)
    searched = FieldCipher("acme", KnownKeys(after())).blind_indexes("people", "email", "ada@example.net")
    assert index == searched[0] != written.sealed[1]


def test_a_row_under_the_current_key_stays_to_the_byte():
    written = row(after())
    assert mover(after()).moved(written) == (written.sealed, [])


def test_only_what_is_under_an_old_key_is_encrypted_anew():
    mixed = row(after()).holding(2, row(before()).sealed[2])
    sealed, faults = mover(after()).moved(mixed)
    assert (sealed[:2], faults) == (mixed.sealed[:2], [])
    assert ids(sealed) == [NEW, NEW, NEW]


def test_an_index_under_the_old_key_is_made_anew_beside_a_current_ciphertext():
    mixed = row(after()).holding(1, row(before()).sealed[1])
    sealed, faults = mover(after()).moved(mixed)
    assert (sealed, faults) == (row(after()).holding(0, mixed.sealed[0]).holding(2, mixed.sealed[2]).sealed, [])


def test_a_damaged_index_of_an_old_value_is_made_anew():
    written = row(before())
    sealed, faults = mover(after()).moved(written.holding(1, damaged(written.sealed[1])))
    assert faults == []
    assert sealed[1] == row(after()).sealed[1]


def test_a_damaged_value_is_named_and_left_and_the_others_move():
    written = row(before(), row_id=42)
    broken = written.holding(2, damaged(written.sealed[2]))
    sealed, (fault,) = mover(after()).moved(broken)
    assert sealed[2] == broken.sealed[2]
    assert ids(sealed) == [NEW, NEW, OLD]
    assert str(fault) == "crm.people row 42 of tenant acme: notes is damaged (CiphertextTampered)"


def test_a_damaged_value_keeps_its_index_too():
    written = row(before())
    broken = written.holding(0, damaged(written.sealed[0]))
    sealed, (fault,) = mover(after()).moved(broken)
    assert sealed[:2] == broken.sealed[:2]
    assert (fault.column, fault.fault) == ("email", "CiphertextTampered")


@pytest.mark.parametrize(
    ("sealed", "fault"),
    [
        (b"", "CiphertextTruncated"),
        (b"never encrypted", "UnknownSuite"),
        (row(before(), row_id=2).sealed[2], "CiphertextMoved"),
        (row(before("globex", 70)).sealed[2], "CiphertextForeign"),
        (row(before()).sealed[0], "CiphertextMoved"),
    ],
)
def test_what_does_not_belong_there_is_left_and_named(sealed, fault):
    broken = row(before()).holding(2, sealed)
    moved, (found,) = mover(after(), after("globex", 70)).moved(broken)
    assert moved[2] == sealed
    assert found.fault == fault


def test_a_key_tag_that_a_stale_writer_left_on_the_old_ciphertext_is_no_ciphertext_of_the_new_key():
    written = row(before())
    tagged = written.sealed[2][:2] + NEW.to_bytes(4, "big") + written.sealed[2][6:]
    broken = written.holding(2, tagged)
    moved, (found,) = mover(after()).moved(broken)
    assert (moved[2], found.fault) == (tagged, "CiphertextMoved")
    assert [fault.fault for fault in mover(after()).checked(broken).damaged] == ["CiphertextMoved"]


def test_a_row_under_a_retired_key_is_named_and_left():
    closed = key_set("acme", {OLD: State.RETIRED, NEW: State.CURRENT})
    written = row(before())
    moved, faults = mover(closed).moved(written)
    assert moved == written.sealed
    assert {fault.fault for fault in faults} == {"KeyRetired"}


def test_a_row_of_a_tenant_without_keys_is_named_and_left():
    written = replace(row(before()), tenant="nobody")
    moved, (fault,) = mover(after()).moved(written)
    assert moved == written.sealed
    assert (fault.tenant, fault.column, fault.fault) == ("nobody", "tenant", "TenantUnknown")
    checked = mover(after()).checked(written)
    assert [(each.tenant, each.fault) for each in checked.damaged] == [("nobody", "TenantUnknown")]


def test_tenants_side_by_side_move_to_their_own_keys():
    mine, theirs = row(before()), row(before("globex", 70))
    moving = mover(after(), after("globex", 70))
    assert ids(moving.moved(mine)[0]) == [NEW, NEW, NEW]
    assert ids(moving.moved(theirs)[0]) == [71, 71, 71]


# What a proof asks.


def test_a_moved_row_is_whole():
    written = row(before(), notes=None)
    sealed, _ = mover(after()).moved(written)
    checked = mover(after()).checked(replace(written, sealed=sealed))
    assert (checked.below, checked.damaged) == (False, [])
    assert [value.plaintext if value else None for value in checked.opened] == [b"ada@example.net", None]


@pytest.mark.parametrize("at", [0, 2])
def test_one_value_under_the_old_key_puts_the_row_below(at):
    checked = mover(after()).checked(row(after()).holding(at, row(before()).sealed[at]))
    assert (checked.below, checked.damaged) == (True, [])


def test_a_value_under_the_incoming_key_is_not_under_the_current_one():
    early = row(key_set("acme", {OLD: State.PREVIOUS, NEW: State.CURRENT}))
    assert mover(before()).checked(early).below


@pytest.mark.parametrize(
    ("index", "email"),
    [
        (row(after(), email="bob@example.net").sealed[1], "ada@example.net"),
        (row(before()).sealed[1], "ada@example.net"),
        (None, "ada@example.net"),
        (b"", "ada@example.net"),
        (row(after()).sealed[1], None),
    ],
)
def test_an_index_of_another_value_or_key_is_damage(index, email):
    checked = mover(after()).checked(row(after(), email=email).holding(1, index))
    assert [(fault.column, fault.fault) for fault in checked.damaged] == [("email_index", "IndexOfAnotherValue")]


def test_a_row_without_a_value_needs_no_index():
    assert mover(after()).checked(row(after(), email=None, notes=None)) == ((None, None), False, [])


def test_every_damaged_value_of_a_row_is_named():
    written = row(after())
    broken = written.holding(0, damaged(written.sealed[0])).holding(2, damaged(written.sealed[2]))
    checked = mover(after()).checked(broken)
    assert [fault.column for fault in checked.damaged] == ["email", "notes"]
    assert checked.opened == (None, None)
