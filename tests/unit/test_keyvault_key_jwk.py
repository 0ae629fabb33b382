"""Keys as JSON Web Keys: what comes in is checked whole, what goes out is public, what is kept comes back the same."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from replica.keyvault.errors import Refusal
from replica.keyvault.jwk import KeyMaterial, from_bytes, generate, import_jwk, kind_of

# RFC 7517, appendix A.2.
RFC_EC = {
    "kty": "EC",
    "crv": "P-256",
    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
    "d": "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE",
}
SHAPES = [
    ("RSA", 2048, None),
    ("RSA-HSM", 3072, None),
    ("EC", None, "P-256"),
    ("EC-HSM", None, "P-384"),
    ("EC", None, "P-521"),
    ("EC", None, "P-256K"),
    ("oct", 128, None),
    ("oct", 192, None),
    ("oct-HSM", 256, None),
]
PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "k"}


def encoded(number: int) -> str:
    return urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8)).rstrip(b"=").decode()


def rsa_jwk(**changed: str) -> dict[str, str]:
    private = generate("RSA", 2048, None, None).private
    assert isinstance(private, rsa.RSAPrivateKey)
    numbers = private.private_numbers()
    parts = {
        "n": numbers.public_numbers.n,
        "e": numbers.public_numbers.e,
        "d": numbers.d,
        "p": numbers.p,
        "q": numbers.q,
        "dp": numbers.dmp1,
        "dq": numbers.dmq1,
        "qi": numbers.iqmp,
    }
    return {"kty": "RSA"} | {name: encoded(value) for name, value in parts.items()} | changed


@pytest.mark.parametrize(("kty", "size", "curve"), SHAPES)
def test_a_generated_key_is_kept_and_comes_back_the_same(kty, size, curve):
    made = generate(kty, size, curve, None)
    back = from_bytes(made.to_bytes())
    assert (back.kty, back.size, back.curve, back.public_jwk()) == (kty, made.size, curve, made.public_jwk())
    assert size in (None, made.size)


@pytest.mark.parametrize(("kty", "size", "curve"), SHAPES)
def test_what_is_shown_of_a_key_is_public(kty, size, curve):
    made = generate(kty, size, curve, None)
    assert not PRIVATE_MEMBERS & made.public_jwk().keys()
    assert "bytes" not in repr(made)
    assert str(made.private) not in repr(made)


def test_coordinates_keep_the_width_of_their_curve():
    # A P-521 coordinate begins with a zero byte half of the time; RFC 7518 wants it kept.
    for _ in range(20):
        shown = generate("EC", None, "P-521", None).public_jwk()
        assert {len(shown["x"]), len(shown["y"])} == {88}


def test_the_key_of_rfc_7517_is_imported_and_shown_as_it_was():
    shown = import_jwk(RFC_EC, hsm=False).public_jwk()
    assert shown == {name: value for name, value in RFC_EC.items() if name != "d"}


def test_an_rsa_key_is_imported_with_and_without_its_chinese_remainder_parts():
    whole = rsa_jwk()
    short = {name: whole[name] for name in ("kty", "n", "e", "d", "p", "q")}
    assert import_jwk(whole, hsm=False).public_jwk() == import_jwk(short, hsm=False).public_jwk()
    assert import_jwk(whole, hsm=False).public_jwk()["n"] == whole["n"]


def test_a_key_imported_as_hardware_says_so():
    assert import_jwk(RFC_EC, hsm=True).kty == "EC-HSM"
    assert import_jwk({"kty": "oct", "k": "A" * 43}, hsm=True) == KeyMaterial("oct-HSM", bytes(32))


@pytest.mark.parametrize("part", ["n", "e", "d", "p", "q", "dp", "dq", "qi"])
def test_an_rsa_key_with_one_foreign_part_is_refused_without_repeating_it(part):
    jwk = rsa_jwk(**{part: rsa_jwk()[part] if part != "e" else encoded(3)})
    with pytest.raises(Refusal) as refused:
        import_jwk(jwk, hsm=False)
    assert (refused.value.status, refused.value.code) == (400, "BadParameter")
    assert not any(value in refused.value.message for name, value in jwk.items() if name not in ("kty", "e"))
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    "jwk",
    [
        {**RFC_EC, "x": RFC_EC["y"]},
        {**RFC_EC, "d": RFC_EC["x"]},
        {**RFC_EC, "d": "AA"},
        {**RFC_EC, "crv": "P-384"},
        {**RFC_EC, "crv": "P-192"},
        {name: value for name, value in RFC_EC.items() if name != "d"},
        {**RFC_EC, "kty": "OKP"},
        {**RFC_EC, "d": "not base64url!"},
        {**RFC_EC, "d": 7},
        {"kty": "oct"},
        {"kty": "oct", "k": "AAAA"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB", "d": "AQAB", "p": "AQAB", "q": "AQAB"},
        {},
    ],
)
def test_a_key_that_is_no_whole_private_key_is_refused(jwk):
    with pytest.raises(Refusal) as refused:
        import_jwk(jwk, hsm=False)
    assert (refused.value.status, refused.value.code) == (400, "BadParameter")


@pytest.mark.parametrize(
    ("kty", "size", "curve", "exponent", "names"),
    [
        ("RSA", 1024, None, None, "key_size"),
        ("RSA", 2047, None, None, "key_size"),
        ("RSA", 8192, None, None, "key_size"),
        ("RSA", 2048, None, 4, "public_exponent"),
        ("EC", None, "P-192", None, "crv"),
        ("oct", 512, None, None, "key_size"),
    ],
)
def test_a_key_outside_the_contract_is_not_made(kty, size, curve, exponent, names):
    with pytest.raises(Refusal, match=names):
        generate(kty, size, curve, exponent)


def test_kinds_are_known_without_regard_to_case():
    assert kind_of("rsa-hsm") == "RSA-HSM"
    assert kind_of("OCT") == "oct"
    assert kind_of("EC", hsm=True) == kind_of("EC-HSM", hsm=True) == "EC-HSM"
    with pytest.raises(Refusal, match="kty"):
        kind_of(None)


def test_a_key_has_the_exponent_it_was_asked_for():
    private = generate("RSA", 2048, None, 3).private
    assert isinstance(private, rsa.RSAPrivateKey)
    assert private.public_key().public_numbers().e == 3
    assert isinstance(generate("EC", None, None, None).private, ec.EllipticCurvePrivateKey)
