from __future__ import annotations

import base64
import datetime as dt
import enum
import pickle
import traceback
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from steward.errors import BadInput, StewardError
from steward.fieldcrypt import FieldCipher, bound_tenant, masterkey, process
from steward.fieldcrypt.errors import (
    CiphertextForeign,
    CiphertextMalformed,
    CiphertextMoved,
    CiphertextOverlong,
    CiphertextRefused,
    CiphertextTampered,
    CiphertextTruncated,
    FieldCryptError,
    KeyDestroyed,
    KeyRetired,
    KeyringTampered,
    KeysNotInstalled,
    KeysUnavailable,
    NoWritingKey,
    TenantNotBound,
    TenantUnknown,
    UnknownSuite,
    ValueNotSupported,
    ValueTooLarge,
)
from steward.fieldcrypt.keyring import State
from steward.fieldcrypt.keyset import KeySet
from steward.fieldcrypt.values import MOST_BYTES
from tests.unit.fieldcrypt.known_keys import KnownKeys, generation, key_set, master_key, one_current
from tests.unit.fieldcrypt.reference import Spot, make_envelope

# Put together here, so that no line of source that a traceback shows holds it.
SECRET = "geheim" + "nis"
DIGITS = "8675309" * 3
ACME = FieldCipher("acme", one_current("acme", 7))
PLACE = ("customers", "email", 41)
SPOT = Spot(master_key(7), 7, "acme", *PLACE)
SEALED = ACME.encrypt(*PLACE, f"{SECRET} {DIGITS}")
assert SEALED is not None


class Secret(enum.StrEnum):
    VALUE = SECRET


class Text(str):
    __slots__ = ()


def with_states(states: dict[int, State]) -> FieldCipher:
    return FieldCipher("acme", KnownKeys(key_set("acme", states)))


def with_another_master_key() -> FieldCipher:
    other = generation("acme", 7, master=master_key(8))
    return FieldCipher("acme", KnownKeys(KeySet("acme", 1, {7: other}, {}, other)))


def authentic(kind: int, plaintext: str) -> bytes:
    return make_envelope(SPOT, kind, plaintext.encode())


def decrypting(ciphertext: Any, cipher: FieldCipher = ACME, place: tuple[Any, ...] = PLACE) -> Callable[[], Any]:
    return lambda: cipher.decrypt(*place, ciphertext)


def encrypting(value: Any, row_id: Any = 41) -> Callable[[], Any]:
    return lambda: ACME.encrypt("customers", "email", row_id, value)


def flipped(byte: int) -> bytes:
    return SEALED[:byte] + bytes([SEALED[byte] ^ 1]) + SEALED[byte + 1 :]


def wrapped_for_another() -> Any:
    return masterkey.open_sealed("globex", 7, masterkey.seal("acme", 7, master_key(7)))


FAULTS: list[tuple[type[FieldCryptError], Callable[[], Any]]] = [
    (CiphertextTruncated, decrypting(SEALED[:69])),
    (CiphertextTruncated, decrypting(b"")),
    (CiphertextOverlong, decrypting(SEALED + bytes(MOST_BYTES))),
    (UnknownSuite, decrypting(SECRET.encode())),
    (UnknownSuite, decrypting(flipped(0))),
    (CiphertextForeign, decrypting(flipped(5))),
    (CiphertextMoved, decrypting(flipped(6))),
    (CiphertextMoved, decrypting(SEALED, place=("customers", "email", SECRET))),
    (CiphertextMoved, decrypting(SEALED, with_another_master_key())),
    (CiphertextTampered, decrypting(flipped(22))),
    (CiphertextTampered, decrypting(flipped(60))),
    (CiphertextTampered, decrypting(SEALED[:-1])),
    (CiphertextMalformed, decrypting(authentic(3, SECRET))),
    (CiphertextMalformed, decrypting(authentic(4, SECRET))),
    (CiphertextMalformed, decrypting(authentic(5, SECRET))),
    (CiphertextMalformed, decrypting(authentic(5, f'["{SECRET}",' + DIGITS * 300))),
    (KeyRetired, decrypting(SEALED, with_states({7: State.RETIRED}))),
    (KeyDestroyed, decrypting(SEALED, with_states({7: State.DESTROYED}))),
    (NoWritingKey, lambda: with_states({7: State.PREVIOUS}).encrypt(*PLACE, SECRET)),
    (TenantUnknown, lambda: FieldCipher("nobody", KnownKeys()).encrypt(*PLACE, SECRET)),
    (TenantNotBound, bound_tenant),
    (KeysNotInstalled, lambda: FieldCipher("acme")),
    (KeyringTampered, wrapped_for_another),
    (ValueNotSupported, decrypting(SECRET)),
    (ValueNotSupported, encrypting(Secret.VALUE)),
    (ValueNotSupported, encrypting(Text(SECRET))),
    (ValueNotSupported, encrypting((SECRET,))),
    (ValueNotSupported, encrypting({SECRET: {Secret.VALUE: 1}})),
    (ValueNotSupported, encrypting([int(DIGITS) ** 300])),
    (ValueNotSupported, encrypting(dt.datetime(8675, 3, 9, tzinfo=dt.UTC))),
    (ValueNotSupported, encrypting(SECRET, row_id=[SECRET])),
    (ValueNotSupported, encrypting(SECRET, row_id=int(DIGITS) ** 300)),
    (ValueNotSupported, lambda: ACME.blind_index("customers", "email", [SECRET])),
    (ValueNotSupported, lambda: ACME.blind_index("customers", "email", Decimal("NaN" + DIGITS))),
    (ValueTooLarge, encrypting(SECRET * MOST_BYTES)),
    (ValueTooLarge, encrypting([SECRET] * (MOST_BYTES + 1))),
]


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch):
    monkeypatch.setattr(process, "_installed", [])


def caught(fault: Callable[[], Any]) -> FieldCryptError:
    try:
        fault()
    except FieldCryptError as error:
        return error
    raise AssertionError("nothing was refused")


def linked(error: BaseException) -> Iterator[BaseException]:
    """*error* and whatever hangs on it, shown or suppressed."""
    yield error
    for other in (error.__cause__, error.__context__):
        if other is not None:
            yield from linked(other)


def everything_told_by(error: BaseException) -> str:
    told = [*traceback.format_exception(error), pickle.dumps(error).decode("latin-1")]
    for one in linked(error):
        told += [str(one), repr(one), repr(one.args), repr(one.__dict__)]
        told += [repr(getattr(one, name, "")) for name in ("object", "doc", "obj", "name")]
    return "\n".join(told)


def forms(secret: bytes) -> set[str]:
    return {secret.hex(), repr(secret)[2:-1], base64.b64encode(secret).decode(), str(list(secret))}


NAMES = [f"{kind.__name__} {number}" for number, (kind, _) in enumerate(FAULTS)]


@pytest.mark.parametrize(("kind", "fault"), FAULTS, ids=NAMES)
def test_a_fault_has_its_own_error_with_what_was_seen_and_what_to_do(kind, fault):
    error = caught(fault)
    assert type(error) is kind
    assert error.message
    assert error.hint
    assert "\n" not in error.message + error.hint
    assert not error.message.endswith(".")
    assert error.transient is False


@pytest.mark.parametrize(("kind", "fault"), FAULTS, ids=NAMES)
def test_no_error_tells_a_plaintext_or_a_key(kind, fault):
    told = everything_told_by(caught(fault))
    assert SECRET not in told
    assert DIGITS not in told
    assert "8675" not in told
    field_key = SPOT.key(b"enc")
    assert SECRET[:2].encode().hex() not in told
    for secret in (SECRET.encode(), master_key(7), master_key(8), field_key):
        assert not any(form in told for form in forms(secret))


@pytest.mark.parametrize(("kind", "fault"), FAULTS, ids=NAMES)
def test_an_error_survives_pickling_with_its_hint(kind, fault):
    error = caught(fault)
    crossed = pickle.loads(pickle.dumps(error))  # noqa: S301 # our own bytes
    assert (type(crossed), str(crossed), crossed.hint) == (kind, str(error), error.hint)


def descendants(kind: type) -> set[type]:
    return {kind}.union(*(descendants(child) for child in kind.__subclasses__()))


def test_every_refusal_of_a_ciphertext_is_raised_here():
    assert descendants(CiphertextRefused) - {CiphertextRefused} <= {kind for kind, _ in FAULTS}


def test_waiting_cures_no_ciphertext():
    assert not any(kind.transient for kind in descendants(CiphertextRefused))
    assert KeysUnavailable.transient


def test_what_is_wrong_with_a_ciphertext_is_told_from_what_is_wrong_with_the_call():
    refusals = descendants(CiphertextRefused)
    assert not any(issubclass(kind, BadInput) for kind in refusals)
    assert all(issubclass(kind, StewardError) for kind in refusals)
    for kind in (ValueNotSupported, ValueTooLarge, TenantUnknown, TenantNotBound, KeysNotInstalled):
        assert issubclass(kind, BadInput)


DOCUMENT = Path(__file__).parents[3] / "docs" / "fieldcrypt.md"


def test_the_document_says_what_to_do_about_every_error():
    table = DOCUMENT.read_text(encoding="utf-8").partition("### Errors")[2].partition("\n## ")[0]
    ours = {kind.__name__ for kind in descendants(FieldCryptError) if kind.__module__ == FieldCryptError.__module__}
    assert {name for name in ours if f"`{name}`" not in table} == set()
