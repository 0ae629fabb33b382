"""Every secret that a run of the flows deals with, found where it is kept: vault, keyring, the replica's folder of secrets.

Nothing here goes through the code that is tested: keys are unwrapped with the stand-in's own private keys, so those under
disabled versions are, too.
"""

from __future__ import annotations

import base64
import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from replica.keyvault import jwk
from replica.server import Place
from replica.servers.keyvault import KeyVault
from steward.fieldcrypt import envelope
from steward.fieldcrypt.framing import framed, framed_row
from steward.settings import Settings
from tests.integration.exposure.needles import PIECE, Secret
from tests.integration.fresh_database import superuser
from tests.integration.fresh_keyring import connect

FIELDS = {"email": ("enc", "blind"), "born": ("enc",), "notes": ("enc",)}
TABLE = "customers"
#: By name: these are shown with each request.
_NO_SECRETS = {"s3.access"}
#: Of the replica's secrets those that are in its vault too: its providers' keys, and not their administrations'.
_PROVIDERS = ("providers.key_", "providers.apikey_")


def replica_secrets(place: Place) -> Iterator[Secret]:
    """Passwords of databases and stores, client secrets of the login, keys of Prefect and of evidence."""
    for path in sorted((place.state / "secrets").iterdir()):
        if path.name not in _NO_SECRETS and not path.name.startswith("."):
            yield from _kept_in(path)
    key = load_pem_private_key((place.state / "keys" / "evidence.key").read_bytes(), None)
    yield Secret("private number", "evidence", key.private_bytes_raw())
    issuer = KeyVault().data(place) / "issuer.key"
    yield from _private_numbers("issuer of tokens", load_pem_private_key(issuer.read_bytes(), None))
    fernet = hashlib.sha256(place.secret("prefect.encryption").encode()).digest()
    yield Secret("password", "prefect.encryption, as Fernet has it", base64.urlsafe_b64encode(fernet))
    yield Secret("private number", "seal of the vault's backups", (KeyVault().data(place) / "seal.key").read_bytes())


def _kept_in(path: Path) -> Iterator[Secret]:
    content = path.read_bytes().strip()
    # The frame of a key stands in every such file: what is secret of it are its numbers.
    if content.startswith(b"-----BEGIN "):
        yield from _private_numbers(path.name, load_pem_private_key(content, None))
    else:
        yield Secret("provider key" if path.name.startswith(_PROVIDERS) else "password", path.name, content)


def vault_values(place: Place, names: set[str]) -> Iterator[Secret]:
    """Every version of the vault's secrets that *names* begin, disabled and deleted ones too."""
    query = (
        "SELECT o.name, v.version, v.material FROM versions v JOIN objects o ON o.id = v.object WHERE o.kind = 'secret'"
    )
    with closing(sqlite3.connect(f"file:{_vault_store(place)}?mode=ro", uri=True)) as store:
        for name, version, material in store.execute(query).fetchall():
            if name.startswith(tuple(names)):
                yield Secret("provider key", f"{name}/{version}", material)


def _vault_store(place: Place) -> Path:
    return KeyVault().data(place) / "vault.db"


def vault_keys(place: Place, names: set[str]) -> dict[str, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey]:
    """Every version of the vault's keys *names*, the private halves, by NAME/VERSION: enabled or not."""
    query = (
        "SELECT o.name, v.version, v.material FROM versions v JOIN objects o ON o.id = v.object WHERE o.kind = 'key'"
    )
    with closing(sqlite3.connect(f"file:{_vault_store(place)}?mode=ro", uri=True)) as store:
        rows = store.execute(query).fetchall()
    return {f"{name}/{version}": jwk.from_bytes(material).private for name, version, material in rows if name in names}


def vault_secrets(keys: dict[str, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey]) -> Iterator[Secret]:
    """Their private numbers."""
    for name, key in keys.items():
        yield from _private_numbers(name, key)


def tenant_secrets(settings: Settings, keks: dict[str, rsa.RSAPrivateKey]) -> Iterator[Secret]:
    """Master keys that the keyring has now, with all that is derived from them: keys of fields, and of the records there are."""
    with connect(settings.keyring) as keyring:
        wraps = keyring.execute(
            "SELECT g.tenant, g.key_id, w.kek, w.wrapped FROM keyring.generations g JOIN keyring.wraps w USING (key_id)"
        ).fetchall()
    masters: dict[tuple[str, int], bytes] = {}
    for tenant, key_id, kek, wrapped in wraps:
        private = keks["/".join(kek.rsplit("/", 2)[-2:])]
        payload = private.decrypt(wrapped, OAEP(MGF1(SHA256()), SHA256(), None))
        masters[tenant, key_id] = payload[:32]
    for (tenant, key_id), master in masters.items():
        yield Secret("master key", f"{tenant}/{key_id}", master)
        for field, purposes in FIELDS.items():
            for purpose in purposes:
                yield Secret(
                    "field key",
                    f"{tenant}/{key_id}/{purpose}/{field}",
                    _field_key(master, purpose, tenant, key_id, field),
                )
    yield from _record_keys(settings, masters)


def _record_keys(settings: Settings, masters: dict[tuple[str, int], bytes]) -> Iterator[Secret]:
    name = settings.applications["customers"].url.rpartition("/")[2]
    with superuser(settings, name) as application:
        rows = application.execute(f"SELECT id, tenant_id, {', '.join(FIELDS)} FROM {TABLE}").fetchall()  # noqa: S608
    for row_id, tenant, *sealed in rows:
        for field, ciphertext in zip(FIELDS, sealed, strict=True):
            if ciphertext is None:
                continue
            key_id = envelope.read(ciphertext)[1]
            if master := masters.get((tenant, key_id)):
                place = framed(*(part.encode() for part in (tenant, TABLE, field)))
                bound = b"steward field 1" + ciphertext[:22] + place + framed_row(row_id)
                keyed = HMAC(_field_key(master, "enc", tenant, key_id, field), hashes.SHA512())
                keyed.update(bound)
                derived = keyed.finalize()
                # Damaged ones have another commitment: what would be derived of them is no key of anything.
                if derived[32:] == ciphertext[22:54]:
                    yield Secret("record key", f"{tenant}/{key_id}/{field}/{row_id}", derived[:32])


def _field_key(master: bytes, purpose: str, tenant: str, key_id: int, field: str) -> bytes:
    """As docs/fieldcrypt.md describes it; that this is the one in use, the records' commitments show."""
    info = framed(
        b"steward field key 1",
        purpose.encode(),
        tenant.encode(),
        key_id.to_bytes(4, "big"),
        TABLE.encode(),
        field.encode(),
    )
    return HKDF(hashes.SHA512(), 32, salt=None, info=info).derive(master)


def _private_numbers(name: str, key: object) -> Iterator[Secret]:
    if isinstance(key, rsa.RSAPrivateKey):
        held = key.private_numbers()
        parts = {"d": held.d, "p": held.p, "q": held.q, "dp": held.dmp1, "dq": held.dmq1, "qi": held.iqmp}
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        parts = {"d": key.private_numbers().private_value}
    else:
        raise TypeError(type(key).__name__)
    for part, number in parts.items():
        length = max((number.bit_length() + 7) // 8, PIECE)
        yield Secret("private number", f"{name} {part}", number.to_bytes(length, "big"))
