"""A key's versions as the store keeps them and as answers show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from replica.keyvault import contract
from replica.keyvault.errors import bad_parameter
from replica.keyvault.jwk import KeyMaterial
from replica.keyvault.operations import Request
from replica.keyvault.records import Attributes, Content, Version

_ASYMMETRIC = ("encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey")
_USUAL_OPERATIONS: Mapping[str, Sequence[str]] = {"RSA": _ASYMMETRIC, "EC": ("sign", "verify"), "oct": _ASYMMETRIC}
# Not `export`: it belongs to exportable keys, which there are none of here.
_OPERATIONS = {*_ASYMMETRIC, "import"}


def content(
    material: KeyMaterial, operations: Sequence[str] | None, tags: Mapping[str, str] | None, attributes: Attributes
) -> Content:
    """A new version of *material*; without *operations* it permits what keys of its kind usually do.

    What answers show is kept beside the private key, so that reading the public part never opens the private one.
    """
    details = {
        "jwk": material.public_jwk(),
        "key_ops": list(_USUAL_OPERATIONS[material.family] if operations is None else operations),
        "shape": shape(material.family, material.size, material.curve),
        "hsm": material.hsm,
    }
    return Content(material.to_bytes(), details, tags, attributes)


def shape(family: str, size: int | None, curve: str | None) -> str:
    """A key's type with its size or curve, as the limits name it: `RSA 3072`, `EC P-256`, `oct 256`."""
    return f"{family} {curve or size}"


def require_key_ops(given: object) -> Sequence[str] | None:
    """`key_ops` of a request, each once; None where none are given. Refusal 400 for what is no operation."""
    if given is None:
        return None
    if not isinstance(given, list) or not all(str(operation) in _OPERATIONS for operation in given):
        raise bad_parameter(
            f"Property key_ops has invalid value. Supported values are {', '.join(sorted(_OPERATIONS))}."
        )
    return list(dict.fromkeys(map(str, cast("list[object]", given))))


def refuse_export(body: Mapping[str, Any]) -> None:
    """Refusal 400 for an exportable key or a release policy: secure key release is not offered here."""
    attributes: Any = body.get("attributes")
    exportable = (
        bool(cast("Mapping[str, Any]", attributes).get("exportable")) if isinstance(attributes, Mapping) else False
    )
    policy = body.get("release_policy") is not None
    if exportable and not policy:
        raise bad_parameter("AKV.SKR.1004: Exportable keys must have release policy.")
    if exportable:
        raise bad_parameter(
            "AKV.SKR.1001: The exportable attribute is only supported with premium vaults and API version >= '7.3-preview'."
        )
    if policy:
        raise bad_parameter("AKV.SKR.1005: Non-exportable keys must not have release policy.")


def bundle(request: Request, version: Version) -> dict[str, Any]:
    """The public part of a version with its attributes and tags: the contract's KeyBundle."""
    details = version.content.details
    key = {"kid": contract.identifier(request.base, version), **details["jwk"], "key_ops": details["key_ops"]}
    return _with_tags({"key": key, "attributes": _attributes(request, version)}, version)


def item(request: Request, version: Version) -> dict[str, Any]:
    """A version as listings show it: the contract's KeyItem."""
    shown = {"kid": contract.identifier(request.base, version), "attributes": _attributes(request, version)}
    return _with_tags(shown, version)


def _attributes(request: Request, version: Version) -> dict[str, Any]:
    shown = contract.show_attributes(version, request.vault.retention_days)
    # Platform 0 is a software module: what a key of kind -HSM is here too.
    return {**shown, "exportable": False, "hsmPlatform": "0"}


def _with_tags(shown: dict[str, Any], version: Version) -> dict[str, Any]:
    tags = version.content.tags
    return shown if tags is None else {**shown, "tags": dict(tags)}
