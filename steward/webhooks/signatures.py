"""Whether a body is its sender's: by a secret that both know. Of several secrets any counts, so that one can be replaced.

How long a comparison takes tells nothing of what was expected. Every secret is tried, whichever fits.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from standardwebhooks import Webhook

from steward.errors import BadInput
from steward.webhooks.errors import Forged, Stale

GITHUB_SIGNATURE = "x-hub-signature-256"
SIGNED_ID, SIGNED_TIMESTAMP, SIGNED_SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"

#: As Standard Webhooks has it: a request that was overheard is of no use for longer.
TOLERANCE = timedelta(minutes=5)
#: A sender signs with the secret before and the one after; more is not one.
_MOST_SIGNATURES = 10
#: What is shorter can be guessed from one delivery, at leisure.
_FEWEST_CHARACTERS = 16
#: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#signature-scheme
_KEY_BYTES = range(24, 65)
# As a sender writes it, so that what is compared is the text that was sent, not a number that it can be read as.
_TIMESTAMP = re.compile("[1-9][0-9]{0,10}")


def github_secret(secret: str) -> bytes:
    """The key that *secret* is. Raises BadInput for one that can be guessed."""
    if len(secret) < _FEWEST_CHARACTERS:
        raise BadInput(
            f"a webhook's secret has {len(secret)} characters; expected {_FEWEST_CHARACTERS} or more",
            hint="make one of random bytes (`openssl rand -hex 32`), and give it to GitHub too",
        )
    return secret.encode()


def signed_secret(secret: str) -> bytes:
    """The key that *secret*, `whsec_` and base64, is. Raises BadInput, which does not tell it."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) not in _KEY_BYTES:
        raise BadInput(
            "a signed source's secret is not whsec_ and 24 to 64 bytes in base64",
            hint='make one: echo "whsec_$(openssl rand -base64 32)"',
        )
    return key


def demand_github_signature(secrets: Iterable[bytes], headers: Mapping[str, str], body: bytes) -> None:
    """Raises Forged where `X-Hub-Signature-256` is not of *body* and one of *secrets*. *headers* go by lower-case names.

    https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
    """
    given = headers.get(GITHUB_SIGNATURE)
    if not given:
        raise Forged(
            "X-Hub-Signature-256 is missing", hint="give the webhook a secret at GitHub; the SHA-1 header is not enough"
        )
    expected = [b"sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest().encode() for secret in secrets]
    if not _is_any(expected, [_bytes(given)]):
        raise Forged(
            "X-Hub-Signature-256 is not of this body and a secret of this source",
            hint="compare the webhook's secret at GitHub with the one in the settings",
        )


def demand_signed_signature(
    secrets: Iterable[bytes], headers: Mapping[str, str], body: bytes, *, now: datetime
) -> None:
    """Raises Forged where `webhook-signature` is not of id, timestamp and *body*, and Stale where it was made at another time.

    *headers* go by lower-case names. https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    identity, stamp, given = (headers.get(name, "") for name in (SIGNED_ID, SIGNED_TIMESTAMP, SIGNED_SIGNATURE))
    if missing := [name for name in (SIGNED_ID, SIGNED_TIMESTAMP, SIGNED_SIGNATURE) if not headers.get(name)]:
        raise Forged(f"{', '.join(missing)} is missing", hint="sign it as Standard Webhooks has it; docs/webhooks.md")
    if not _TIMESTAMP.fullmatch(stamp):
        raise Forged("webhook-timestamp is no number of seconds", hint="send Unix seconds, as digits")
    made = datetime.fromtimestamp(int(stamp), tz=UTC)
    try:
        expected = [_bytes(Webhook(secret).sign(identity, made, body.decode())) for secret in secrets]
    except UnicodeDecodeError:
        raise Forged("the body is not UTF-8, which is what is signed", hint="send JSON in UTF-8") from None
    presented = [_bytes(each) for each in given.split(" ")[:_MOST_SIGNATURES]]
    if not _is_any(expected, presented):
        raise Forged(
            "webhook-signature is not of this id, timestamp and body, and a secret of this source",
            hint="sign `ID.TIMESTAMP.BODY` with the source's secret; docs/webhooks.md",
        )
    if abs(now - made) > TOLERANCE:
        raise Stale(
            f"it was signed {abs(now - made).total_seconds():.0f} s {'ago' if made < now else 'from now'}; "
            f"expected at most {TOLERANCE.total_seconds():.0f}",
            hint="sign each try anew, under the same webhook-id, and compare the clocks",
        )


def _is_any(expected: Iterable[bytes], presented: Sequence[bytes]) -> bool:
    """All are compared, whichever fits first."""
    return sum(hmac.compare_digest(one, other) for one in expected for other in presented) > 0


def _bytes(text: str) -> bytes:
    """Of a header, which may be any bytes: what is not ASCII equals nothing expected."""
    return text.encode("utf-8", "surrogateescape")
