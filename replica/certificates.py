"""One certificate authority a replica, made afresh with its state folder, and what it issues."""

from __future__ import annotations

import datetime as dt
import ipaddress
import threading
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from replica.secrets import place_once

_VALID_DAYS = 825  # the longest that strict TLS clients accept of a server's certificate
# Servers prepare in parallel threads: without it two of them would sign with two authorities.
_ONE_AT_A_TIME = threading.RLock()


def authority(folder: Path) -> Path:
    """`folder/ca.crt`, made with its key (0600) unless there. The key is written first: no CA without its key."""
    with _ONE_AT_A_TIME:
        certificate, key_file = folder / "ca.crt", folder / "ca.key"
        if not certificate.exists():
            folder.mkdir(mode=0o711, parents=True, exist_ok=True)
            place_once(key_file, _pem(ec.generate_private_key(ec.SECP256R1())))
            key, subject = _key(key_file), _name("Steward replica CA")
            builder = _builder(subject, subject, key.public_key(), ca=True)
            _publish(certificate, builder.sign(key, hashes.SHA256()))
        return certificate


def issue(folder: Path, server: str) -> tuple[Path, Path]:
    """(`server.crt`, `server.key`) under *folder*, made unless there: for localhost and 127.0.0.1, server and client."""
    with _ONE_AT_A_TIME:
        ca = x509.load_pem_x509_certificate(authority(folder).read_bytes())
        certificate, key_file = folder / f"{server}.crt", folder / f"{server}.key"
        if not certificate.exists():
            place_once(key_file, _pem(ec.generate_private_key(ec.SECP256R1())))
            builder = _builder(_name(server), ca.subject, _key(key_file).public_key(), ca=False).add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(_key(folder / "ca.key").public_key()), critical=False
            )
            _publish(certificate, _for_loopback(builder, server).sign(_key(folder / "ca.key"), hashes.SHA256()))
        return certificate, key_file


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{path} holds a {type(key).__name__}, expected an elliptic curve key")
    return key


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _publish(path: Path, certificate: x509.Certificate) -> None:
    place_once(path, certificate.public_bytes(serialization.Encoding.PEM))
    path.chmod(0o644)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, ca: bool
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        # An hour back: a machine whose clock is corrected during the start must still trust it.
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=_VALID_DAYS))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(_usage(ca=ca), critical=True)
    )


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _for_loopback(builder: x509.CertificateBuilder, server: str) -> x509.CertificateBuilder:
    names = [x509.DNSName("localhost"), x509.DNSName(server), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    return builder.add_extension(x509.SubjectAlternativeName(names), critical=False).add_extension(
        x509.ExtendedKeyUsage(usages), critical=False
    )
