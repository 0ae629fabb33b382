"""A key of the caller's own, brought into the vault whole or not at all."""

from __future__ import annotations

from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.keyvault.keys import JsonWebKey
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.testbed.keyvault.key_clients import error_code

pytestmark = pytest.mark.without_search


def octets(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8)


def rsa_jwk(private: rsa.RSAPrivateKey, **more: Any) -> JsonWebKey:
    numbers = private.private_numbers()
    return JsonWebKey(
        kty="RSA",
        n=octets(numbers.public_numbers.n),
        e=octets(numbers.public_numbers.e),
        d=octets(numbers.d),
        p=octets(numbers.p),
        q=octets(numbers.q),
        dp=octets(numbers.dmp1),
        dq=octets(numbers.dmq1),
        qi=octets(numbers.iqmp),
        **more,
    )


def test_an_imported_rsa_key_is_the_caller_s(keys, unused_name):
    private = rsa.generate_private_key(65537, 2048)
    made = keys.import_key(unused_name, rsa_jwk(private, key_ops=["decrypt"]), tags={"from": "elsewhere"})
    assert int.from_bytes(made.key.n) == private.public_key().public_numbers().n
    assert (made.key_operations, made.properties.tags) == (["decrypt"], {"from": "elsewhere"})
    again = keys.import_key(unused_name, rsa_jwk(private), hardware_protected=True)
    assert (again.key_type, again.key.n) == ("RSA-HSM", made.key.n)
    assert again.id != made.id


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1(), ec.SECP256K1()])
def test_an_imported_ec_key_is_the_caller_s(keys, unused_name, curve):
    names = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521", "secp256k1": "P-256K"}
    numbers = ec.generate_private_key(curve).private_numbers()
    point, width = numbers.public_numbers, (curve.key_size + 7) // 8
    parts = {"x": point.x.to_bytes(width), "y": point.y.to_bytes(width), "d": numbers.private_value.to_bytes(width)}
    made = keys.import_key(unused_name, JsonWebKey(kty="EC", crv=names[curve.name], **parts))
    assert (made.key.crv, made.key.x, made.key.y) == (names[curve.name], parts["x"], parts["y"])
    assert made.key.d is None


def test_a_key_that_is_not_whole_is_not_imported(keys, unused_name):
    private, other = rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 2048)
    foreign, public = rsa_jwk(private), rsa_jwk(private)
    foreign.d, public.d = octets(other.private_numbers().d), None
    for unfit in (foreign, public, JsonWebKey(kty="oct", k=b"short"), JsonWebKey(kty="oct")):
        with pytest.raises(HttpResponseError) as refused:
            keys.import_key(unused_name, unfit)
        assert error_code(refused.value) == (400, "BadParameter")
    with pytest.raises(ResourceNotFoundError):
        keys.get_key(unused_name)
