"""Signed notes and checkpoints: what is taken for one, and whose signature counts."""

from __future__ import annotations

import base64

import pytest

from steward.evidence.checkpoints import Checkpoint, open_checkpoint
from steward.evidence.errors import NoteRefused, UnusableKey, UnusableNote
from steward.evidence.merkle import EMPTY_ROOT
from steward.evidence.notes import NoteSignature, load_note_keys, read_note, write_note
from tests.unit.evidence_logs import ORIGIN, NotesSigner
from tests.unit.evidence_samples import key_pair, private_pem

ROOT = bytes(range(32))
SIGNER, OTHER = NotesSigner(), NotesSigner()


@pytest.fixture
def note():
    return SIGNER.note(Checkpoint(ORIGIN, 7, ROOT))


def test_a_checkpoint_is_three_lines_and_a_signature_as_c2sp_writes_them(note):
    origin, size, root, blank, signature, end = note.decode().split("\n")
    assert (origin, size, root, blank, end) == (ORIGIN, "7", base64.b64encode(ROOT).decode(), "", "")
    dash, name, encoded = signature.split(" ")
    assert (dash, name) == ("\u2014", ORIGIN)
    assert base64.b64decode(encoded)[:4] == bytes.fromhex(SIGNER.key.fingerprint[:8])


def test_a_checkpoint_is_read_back(note):
    signed = open_checkpoint(note, [OTHER.key, SIGNER.key], origin=ORIGIN)
    assert (signed.checkpoint, signed.key, signed.note) == (Checkpoint(ORIGIN, 7, ROOT), SIGNER.key, note.decode())


def test_a_verifier_key_names_the_log_the_key_and_its_kind():
    name, key_id, encoded = SIGNER.key.verifier(ORIGIN).split("+", 2)
    assert (name, key_id) == (ORIGIN, SIGNER.key.key_id.hex())
    assert base64.b64decode(encoded) == b"\x02" + SIGNER.key.der


@pytest.mark.parametrize(("old", "new"), [("7", "8"), ("7", "70"), ("AAEC", "BAEC"), ("steward", "stewart")])
def test_a_changed_checkpoint_is_refused(note, old, new):
    changed = note.decode().replace(old, new, 1).encode()
    with pytest.raises(NoteRefused):
        open_checkpoint(changed, [SIGNER.key])


def test_another_key_s_signature_is_refused_and_both_are_named(note):
    with pytest.raises(NoteRefused, match=f"{SIGNER.key.key_id.hex()}.*given: {OTHER.key.key_id.hex()}"):
        open_checkpoint(note, [OTHER.key])


def test_a_checkpoint_of_another_log_is_refused(note):
    with pytest.raises(NoteRefused, match="expected steward/evidence/other"):
        open_checkpoint(note, [SIGNER.key], origin="steward/evidence/other")


def test_signatures_of_strangers_are_left_aside(note):
    witness = write_note("x\n", [NoteSignature("witness.example", b"\1\2\3\4", b"any kind of signature")])
    both = note.decode() + witness.split("\n\n")[1]
    assert open_checkpoint(both, [SIGNER.key]).checkpoint.size == 7


def test_a_signature_under_another_s_name_does_not_count():
    checkpoint = Checkpoint(ORIGIN, 7, ROOT)
    line = read_note(SIGNER.note(checkpoint)).signatures[0]
    renamed = write_note(checkpoint.text, [NoteSignature("elsewhere", line.key_id, line.value)])
    with pytest.raises(NoteRefused):
        open_checkpoint(renamed, [SIGNER.key])


def test_one_bad_signature_of_a_known_key_spoils_the_note(note):
    line = read_note(note).signatures[0]
    spoilt = write_note(read_note(note).text, [line, NoteSignature(line.name, line.key_id, line.value[:-1] + b"\0")])
    with pytest.raises(NoteRefused, match="not its own"):
        open_checkpoint(spoilt, [SIGNER.key])


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: "",
        lambda text: text.replace("\n\n", "\n"),
        lambda text: text.rstrip("\n"),
        lambda text: text + "\n",
        lambda text: text + "trailing\n",
        lambda text: text.replace("\u2014", "-"),
        lambda text: text.replace("\n7\n", "\n07\n"),
        lambda text: text.replace("\n7\n", "\n-7\n"),
        lambda text: text.replace("\n7\n", "\n7\t\n"),
        lambda text: text.replace("\n7\n", "\n\u0667\n"),
        lambda text: text.replace("\n\n", "\nextension\n\n"),
        lambda text: text.replace("AAEC", "AAE"),
        lambda text: text.replace("Hh8=", "Hh9="),
        lambda text: text.replace("steward/", "stew+ard/"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text + "\u2014 a b\n" * 64,
        lambda text: text + "x" * 2**18,
    ],
)
def test_what_is_no_checkpoint_is_refused_in_words(note, damage):
    with pytest.raises(UnusableNote) as raised:
        open_checkpoint(damage(note.decode()).encode(), [SIGNER.key])
    assert raised.value.hint


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(UnusableNote):
        read_note(b"\xff\n\n\xe2\x80\x94 a AAAAAAA=\n")


def test_the_empty_log_has_a_checkpoint_too():
    assert open_checkpoint(SIGNER.note(Checkpoint(ORIGIN, 0, EMPTY_ROOT)), [SIGNER.key]).checkpoint.size == 0


def test_one_file_holds_every_key_that_was_ever_used(tmp_path):
    file = tmp_path / "checkpoints.pub"
    file.write_text("the first\n" + SIGNER.key.pem + OTHER.key.pem)
    assert load_note_keys(file) == [SIGNER.key, OTHER.key]


def test_other_keys_are_refused_and_a_private_one_is_not_echoed(tmp_path):
    _, ed25519 = key_pair(tmp_path)
    private = tmp_path / "private"
    private.write_bytes(private_pem(SIGNER.private))
    for file, told in ((ed25519, "of kind"), (private, "no public key in PEM"), (tmp_path / "absent", "cannot read")):
        with pytest.raises(UnusableKey, match=told) as raised:
            load_note_keys(file)
        assert "BEGIN PRIVATE" not in str(raised.value)
