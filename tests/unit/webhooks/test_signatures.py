"""A signature is right or it is not: against documents' vectors, OpenSSL, and every changed bit."""

from __future__ import annotations

import base64
import hashlib
import hmac
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.errors import BadInput
from steward.webhooks.errors import Forged, Stale
from steward.webhooks.signatures import (
    TOLERANCE,
    demand_github_signature,
    demand_signed_signature,
    github_secret,
    signed_secret,
)

# https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation
SECRET, BODY = github_secret("It's a Secret to Everybody"), b"Hello, World!"
SIGNATURE = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

# The vector that every library of https://github.com/standard-webhooks/standard-webhooks is tested with.
KEY = signed_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
TOLD = b'{"test": 2432232314}'
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
THEN = datetime.fromtimestamp(1614265330, UTC)


def openssl(key: bytes, message: bytes) -> bytes:
    program = shutil.which("openssl")
    assert program, "openssl is not installed"
    command = [program, "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key.hex()}", "-binary"]
    return subprocess.run(command, input=message, capture_output=True, check=True).stdout


def flipped(text: bytes, bit: int) -> bytes:
    """*text* with one of its bits another, whichever *bit* comes to."""
    place, number = divmod(bit % (8 * len(text)), 8)
    return text[:place] + bytes([text[place] ^ 1 << number]) + text[place + 1 :]


def test_github_s_documented_signature_is_taken():
    demand_github_signature([SECRET], {"x-hub-signature-256": SIGNATURE}, BODY)


def test_the_standard_s_own_signature_is_taken():
    demand_signed_signature([KEY], HEADERS, TOLD, now=THEN)


@pytest.mark.parametrize("body", [b"", b'{"a":1}', "ünïcode 🎉".encode(), b"x" * 30_000])
def test_what_openssl_signs_is_taken(body):
    headers = {"x-hub-signature-256": "sha256=" + openssl(SECRET, body).hex()}
    demand_github_signature([SECRET], headers, body)
    made = base64.b64encode(openssl(KEY, b"msg_1.1614265330." + body)).decode()
    headers = {"webhook-id": "msg_1", "webhook-timestamp": "1614265330", "webhook-signature": f"v1,{made}"}
    demand_signed_signature([KEY], headers, body, now=THEN)


@given(body=st.binary(min_size=1, max_size=200), bit=st.integers(0, 1 << 20))
def test_one_changed_bit_of_what_github_sent_is_refused(body, bit):
    signature = b"sha256=" + hmac.new(SECRET, body, hashlib.sha256).hexdigest().encode()
    with pytest.raises(Forged):
        demand_github_signature([SECRET], {"x-hub-signature-256": signature.decode()}, flipped(body, bit))
    headers = {"x-hub-signature-256": flipped(signature, bit).decode("latin-1")}
    with pytest.raises(Forged):
        demand_github_signature([SECRET], headers, body)


@given(name=st.sampled_from(sorted(HEADERS)), bit=st.integers(0, 1 << 20))
def test_one_changed_bit_of_a_signed_header_is_refused(name, bit):
    headers = {**HEADERS, name: flipped(HEADERS[name].encode(), bit).decode("latin-1")}
    with pytest.raises(Forged):
        demand_signed_signature([KEY], headers, TOLD, now=THEN)


@given(bit=st.integers(0, 1 << 20))
def test_one_changed_bit_of_a_signed_body_is_refused(bit):
    with pytest.raises(Forged):
        demand_signed_signature([KEY], HEADERS, flipped(TOLD, bit), now=THEN)


@given(
    headers=st.dictionaries(st.sampled_from([*HEADERS, "x-hub-signature-256"]), st.text(max_size=60)),
    body=st.binary(max_size=60),
)
def test_whatever_is_sent_without_the_secret_is_refused_and_never_an_error_of_ours(headers, body):
    with pytest.raises(Forged):
        demand_github_signature([SECRET], headers, body)
    with pytest.raises(Forged):
        demand_signed_signature([KEY], headers, body, now=THEN)


@pytest.mark.parametrize("number", [0, 1])
def test_any_of_several_secrets_is_taken_while_one_is_replaced(number):
    secrets = [github_secret("another one of sixteen"), SECRET][:: 1 if number else -1]
    demand_github_signature(secrets, {"x-hub-signature-256": SIGNATURE}, BODY)
    keys = [signed_secret("whsec_" + "a2V5" * 10), KEY][:: 1 if number else -1]
    demand_signed_signature(keys, HEADERS, TOLD, now=THEN)


def test_a_sender_that_signs_with_two_secrets_is_taken_by_either():
    both = {**HEADERS, "webhook-signature": f"v1,{'A' * 43}= v1a,other {HEADERS['webhook-signature']}"}
    demand_signed_signature([KEY], both, TOLD, now=THEN)


def test_a_signature_of_another_version_is_none():
    other = {**HEADERS, "webhook-signature": HEADERS["webhook-signature"].replace("v1,", "v2,")}
    with pytest.raises(Forged):
        demand_signed_signature([KEY], other, TOLD, now=THEN)


def test_no_secret_takes_nothing():
    with pytest.raises(Forged):
        demand_github_signature([], {"x-hub-signature-256": SIGNATURE}, BODY)
    with pytest.raises(Forged):
        demand_signed_signature([], HEADERS, TOLD, now=THEN)


@pytest.mark.parametrize("name", sorted(HEADERS))
def test_a_header_that_is_missing_is_named(name):
    with pytest.raises(Forged, match=f"{name} is missing"):
        demand_signed_signature([KEY], {**HEADERS, name: ""}, TOLD, now=THEN)


def test_the_header_of_sha_1_is_not_enough():
    with pytest.raises(Forged, match="X-Hub-Signature-256 is missing"):
        demand_github_signature([SECRET], {"x-hub-signature": "sha1=" + "0" * 40}, BODY)


@pytest.mark.parametrize("off", [TOLERANCE + timedelta(seconds=1), -TOLERANCE - timedelta(seconds=1)])
def test_what_was_signed_at_another_time_is_stale_and_within_five_minutes_it_is_not(off):
    with pytest.raises(Stale, match="301 s"):
        demand_signed_signature([KEY], HEADERS, TOLD, now=THEN + off)
    demand_signed_signature([KEY], HEADERS, TOLD, now=THEN + (TOLERANCE if off > timedelta(0) else -TOLERANCE))


@pytest.mark.parametrize("stamp", ["1614265330.0", " 1614265330", "01614265330", "1e9", "nan", "-1", "9" * 30, "²"])
def test_a_timestamp_that_reads_as_another_text_is_refused(stamp):
    with pytest.raises(Forged):
        demand_signed_signature([KEY], {**HEADERS, "webhook-timestamp": stamp}, TOLD, now=THEN)


@pytest.mark.parametrize("secret", ["whsec_", "whsec_c2hvcnQ=", "no base64 at all, and longer", "whsec_" + "A" * 90])
def test_a_secret_of_the_wrong_make_is_refused_without_being_told(secret):
    with pytest.raises(BadInput) as caught:
        signed_secret(secret)
    assert "HINT: make one" in str(caught.value)
    assert secret.removeprefix("whsec_")[:8] not in str(caught.value) or secret == "whsec_"


def test_a_secret_that_can_be_guessed_is_refused_without_being_told():
    with pytest.raises(BadInput, match="has 7 characters; expected 16 or more") as caught:
        github_secret("hunter2")
    assert "hunter2" not in str(caught.value)
