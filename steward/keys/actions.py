"""What a request to a Key Vault does, in the words of the vault's own log.

Source of the names: https://learn.microsoft.com/azure/key-vault/general/logging ("operationName").
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

UNKNOWN = "Unknown"
#: They tell what anybody may know of a key, and change nothing.
READS = frozenset({"KeyGet", "KeyList", "KeyListVersions", "KeyGetDeleted", "KeyListDeleted", "KeyRotationPolicyGet"})
#: Log lines that concern no key. What is not known belongs to keys, so that nothing passes for not being known.
_OF_NO_KEY = ("Secret", "Certificate", "StorageAccount", "SasDefinition", "Managed", "Vault", "Authentication")

_BY_VERB = {
    "encrypt": "Encrypt",
    "decrypt": "Decrypt",
    "wrapkey": "Wrap",
    "unwrapkey": "Unwrap",
    "sign": "Sign",
    "verify": "Verify",
    "release": "Release",
    "create": "Create",
    "rotate": "Rotate",
    "backup": "Backup",
    "recover": "Recover",
}
_BY_METHOD = {"GET": "Get", "PATCH": "Update", "DELETE": "Delete"}
_SUFFIXES = {**_BY_VERB, "versions": "ListVersions", "rotationpolicy": "RotationPolicyGet"}
_KINDS = {"keys": "Key", "secrets": "Secret", "deletedkeys": "Key", "deletedsecrets": "Secret"}


@dataclass(frozen=True, slots=True)
class Action:
    """`KeyUnwrap` by version *version* of key *name*; both empty where the request names none."""

    operation: str
    name: str = ""
    version: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.operation, "/".join(filter(None, (self.name, self.version))))))


def is_key_operation(operation: str) -> bool:
    """Whether a log line of this name tells of something done to a key, or by one."""
    return operation not in READS and not operation.startswith(_OF_NO_KEY)


def action_of(method: str, url: str) -> Action:
    """What the request *method* *url* asks for; its operation is `Unknown` where the contract has no such request."""
    kind, *rest = _parts(url) or [""]
    return Action(_operation(method.upper(), kind, rest), *name_and_version(url))


def name_and_version(url: str) -> tuple[str, str]:
    """What *url* names, whatever is asked of it; empty where it names nothing."""
    kind, *rest = _parts(url) or [""]
    if kind not in _KINDS or not rest or rest == ["restore"]:
        return "", ""
    name, *more = rest
    if more and more[-1].lower() in _SUFFIXES:
        more.pop()
    return name, more[0] if more else ""


def _parts(url: str) -> list[str]:
    # An address of the newest version may end in a slash, or have an empty version in its midst: the SDK's own do.
    kind, *rest = [unquote(part) for part in urlsplit(url).path.split("/") if part] or [""]
    return [kind.lower(), *rest]


def _operation(method: str, kind: str, rest: list[str]) -> str:
    if kind not in _KINDS:
        return "KeyGetRandomBytes" if kind == "rng" else UNKNOWN
    if kind.startswith("deleted"):
        return _KINDS[kind] + _of_deleted(method, rest)
    if method == "POST" and rest == ["restore"]:
        return f"{_KINDS[kind]}Restore"
    if method == "PUT" and len(rest) == 1:
        return "KeyImport" if kind == "keys" else "SecretSet"
    done = _of_object(method, rest)
    return _KINDS[kind] + done if done else UNKNOWN


def _of_deleted(method: str, rest: list[str]) -> str:
    if not rest:
        return "ListDeleted"
    if method == "POST":
        return "Recover"
    return "Purge" if method == "DELETE" else "GetDeleted"


def _of_object(method: str, rest: list[str]) -> str | None:
    last = rest[-1].lower() if len(rest) > 1 else ""
    if method == "POST":
        return _BY_VERB.get(last)
    if last == "rotationpolicy" and method == "PUT":
        return "RotationPolicySet"
    if method == "GET":
        return "List" if not rest else _SUFFIXES.get(last, "Get")
    return _BY_METHOD.get(method)
