"""What every signer of evidence promises: the file's Ed25519 key, and EC P-256, which is what a key vault has."""

from __future__ import annotations

import base64
import shutil
import subprocess
import traceback

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import CryptoSigner, Signature, Signer

from steward.errors import BadInput
from steward.evidence.checkpoints import Checkpoint
from steward.evidence.envelopes import sign, verify
from steward.evidence.errors import SignatureRefused, UnusableKey
from steward.evidence.signers import load_public_key, open_signer, parse_public_key, verifying_key
from steward.settings import Evidence, ObjectStore, Postgres, Settings
from tests.unit.evidence_logs import NotesSigner
from tests.unit.evidence_samples import key_pair, private_pem, public_pem


def _settings(private, public) -> Settings:
    return Settings(
        search={},
        postgres=Postgres(url="postgresql://steward@127.0.0.1:1/steward", password="file:/absent"),
        objects=ObjectStore(access_key="file:/absent", secret_key="file:/absent", evidence_bucket="evidence"),
        evidence=Evidence(signing_key=f"file:{private}", public_key=public),
    )


def _file_signer(folder) -> tuple[Signer, bytes]:
    private, public = key_pair(folder)
    return open_signer(_settings(private, public)), public.read_bytes()


def _p256_signer(_folder) -> tuple[Signer, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    return CryptoSigner(key, verifying_key(key.public_key())), public_pem(key)


@pytest.fixture(params=[_file_signer, _p256_signer], ids=["file-ed25519", "ec-p256"])
def signer_and_public(request, tmp_path):
    return request.param(tmp_path)


def test_what_it_signs_verifies_with_its_published_key(signer_and_public):
    signer, pem = signer_and_public
    signed = verify(sign(b"{}", signer), parse_public_key(pem))
    assert (signed.payload, signed.key_id) == (b"{}", signer.public_key.keyid)


def test_what_it_signs_is_refused_by_any_other_key(signer_and_public):
    other = ec.generate_private_key(ec.SECP256R1())
    for key in (other, Ed25519PrivateKey.generate()):
        with pytest.raises(SignatureRefused):
            verify(sign(b"{}", signer_and_public[0]), parse_public_key(public_pem(key)))


def test_its_signature_covers_every_byte(signer_and_public):
    signer, pem = signer_and_public
    signature = signer.sign(b"statement")
    assert isinstance(signature, Signature)
    key = parse_public_key(pem)
    key.verify_signature(signature, b"statement")
    for changed in (b"Statement", b"statement ", b"statemen", b""):
        with pytest.raises(UnverifiedSignatureError):
            key.verify_signature(signature, changed)


def test_signing_again_verifies_again(signer_and_public):
    signer, pem = signer_and_public
    assert verify(sign(b"{}", signer), parse_public_key(pem)) == verify(sign(b"{}", signer), parse_public_key(pem))


def test_its_key_id_is_what_openssl_computes(signer_and_public, tmp_path):
    signer, pem = signer_and_public
    openssl = shutil.which("openssl")
    assert openssl, "install openssl: the documented way to compute a key id is tried here"
    der = subprocess.run([openssl, "pkey", "-pubin", "-outform", "DER"], input=pem, capture_output=True, check=True)
    told = subprocess.run([openssl, "dgst", "-sha256"], input=der.stdout, capture_output=True, check=True).stdout
    assert told.decode().split()[-1] == signer.public_key.keyid


def _refused(private_text, public, tmp_path) -> str:
    """The whole traceback of the refusal: what Prefect would store."""
    private = tmp_path / "given.key"
    private.write_bytes(private_text)
    with pytest.raises(UnusableKey) as raised:
        open_signer(_settings(private, public))
    return "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("kind", ["garbage", "encrypted", "rsa", "p256", "public"])
def test_a_file_without_a_usable_signing_key_is_refused_without_telling_it(kind, tmp_path):
    _, public = key_pair(tmp_path)
    text = {
        "garbage": b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0LXNlY3JldA==\n-----END PRIVATE KEY-----\n",
        "encrypted": Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"passphrase"),
        ),
        "rsa": private_pem(rsa.generate_private_key(65537, 2048)),
        "p256": private_pem(ec.generate_private_key(ec.SECP256R1())),
        "public": public.read_bytes(),
    }[kind]
    told = _refused(text, public, tmp_path)
    assert "openssl genpkey -algorithm ed25519" in told
    for line in text.decode().splitlines()[1:-1]:
        assert line not in told


def test_a_signing_key_whose_public_half_is_not_the_published_one_is_refused(tmp_path):
    private, _ = key_pair(tmp_path, "one")
    _, published = key_pair(tmp_path, "other")
    with pytest.raises(UnusableKey, match="the published one is"):
        open_signer(_settings(private, published))


def test_a_missing_signing_key_is_named(tmp_path):
    _, public = key_pair(tmp_path)
    with pytest.raises(BadInput, match="cannot read secret file"):
        open_signer(_settings(tmp_path / "absent", public))


@pytest.mark.parametrize("key", [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)])
def test_keys_that_evidence_is_not_signed_with_are_refused_by_kind(key):
    with pytest.raises(UnusableKey, match="a key of kind"):
        parse_public_key(public_pem(key))


def test_a_missing_public_key_is_named(tmp_path):
    with pytest.raises(UnusableKey, match="cannot read public key"):
        load_public_key(tmp_path / "absent.pub")


def test_openssl_verifies_a_checkpoint_with_nothing_of_ours(tmp_path):
    # The documented way for those who have no tool for signed notes: text, signature and key, each as it stands there.
    openssl = shutil.which("openssl")
    assert openssl, "install openssl: the documented way to verify a checkpoint is tried here"
    signer = NotesSigner()
    note = signer.note(Checkpoint("steward/evidence/log", 7, bytes(32))).decode()
    text, _, signatures = note.rpartition("\n\n")
    (tmp_path / "text").write_text(f"{text}\n")
    (tmp_path / "key").write_text(signer.key.pem)
    (tmp_path / "signature").write_bytes(base64.b64decode(signatures.split()[-1])[4:])
    files = ["-verify", str(tmp_path / "key"), "-signature", str(tmp_path / "signature"), str(tmp_path / "text")]
    told = subprocess.run([openssl, "dgst", "-sha256", *files], capture_output=True, text=True, check=False)
    assert told.stdout == "Verified OK\n", told
