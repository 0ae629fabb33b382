"""DSSE envelopes: signed bytes that a third party can check with a public key and nothing else.

The format is https://github.com/secure-systems-lab/dsse/blob/master/envelope.md; securesystemslib signs and verifies.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

from securesystemslib.exceptions import FormatError, VerificationError

from steward.evidence.canonical import canonical_json, strict_json
from steward.evidence.errors import SignatureRefused, UnusableEnvelope

if TYPE_CHECKING:
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import Key, Signer  # pyright: ignore[reportPrivateImportUsage]  # documented names, not re-exported

PAYLOAD_TYPE = "application/vnd.in-toto+json"


class Signed(NamedTuple):
    """What a good signature covers."""

    payload: bytes
    payload_type: str
    key_id: str

    @property
    def digest(self) -> str:
        """SHA-256 of the payload: the statement's name in both stores."""
        return hashlib.sha256(self.payload).hexdigest()


def sign(payload: bytes, signer: Signer) -> bytes:
    """*payload* in an envelope, as canonical JSON. Raises what the signer raises: a vault's may be away."""
    envelope = _envelopes()(payload, PAYLOAD_TYPE, {})
    envelope.sign(signer)
    return canonical_json(envelope.to_dict())


def verify(envelope: bytes, key: Key) -> Signed:
    """What *key* signed. UnusableEnvelope where it is no envelope, SignatureRefused where the signature is not its own."""
    opened = open_envelope(envelope)
    try:
        opened.verify([key], threshold=1)
    except VerificationError:
        raise SignatureRefused(
            f"no good signature by key {key.keyid}; the envelope names {', '.join(sorted(opened.signatures)) or 'none'}",
            hint="another key id: ask for the public key of that time; the same: the file was changed since it was signed",
        ) from None
    return Signed(opened.payload, opened.payload_type, key.keyid)


def open_envelope(envelope: bytes) -> Envelope:
    """The envelope, its signatures NOT verified."""
    try:
        members: dict[str, Any] = strict_json(envelope)
        _check_base64(members["payload"], *(signature["sig"] for signature in members["signatures"]))
        opened = _envelopes().from_dict(members)
        opened.payload_type.encode()
    except (ValueError, KeyError, TypeError, AttributeError, FormatError) as error:
        reason = type(error).__name__ if isinstance(error, AttributeError) else f"{type(error).__name__}: {error}"
        raise UnusableEnvelope(f"no DSSE envelope ({reason})", hint="give a file that `export` wrote") from None
    return opened


def _envelopes() -> type[Envelope]:
    # Here, because it brings every cloud's client along, half a second of them: most processes that know evidence sign
    # none of it.
    from securesystemslib.dsse import Envelope  # noqa: PLC0415  the reason stands above

    return Envelope


def _check_base64(*values: str) -> None:
    # The decoder takes several texts for the same bytes; one text alone is accepted, so that a changed file is seen.
    for value in values:
        if base64.b64encode(base64.b64decode(value, validate=True)).decode() != value:
            msg = "base64 is not in its canonical form"
            raise binascii.Error(msg)
