"""Where a secret is, never what it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, cast, get_args

from pydantic import AfterValidator, BaseModel
from pydantic.fields import FieldInfo

from steward.errors import BadInput

#: What Azure Key Vault takes for the name of a key or secret.
VAULT_NAME = re.compile("[0-9a-zA-Z-]{1,127}")


def _known_scheme(reference: str) -> str:
    scheme, _, rest = reference.partition(":")
    if not (scheme == "file" and rest) and not (scheme == "keyvault" and VAULT_NAME.fullmatch(rest)):
        # The value is not echoed: people paste secrets where references belong.
        msg = "a secret reference is file:PATH or keyvault:NAME, never the secret itself"
        raise ValueError(msg)
    return reference


def _in_file(reference: str) -> str:
    if not reference.startswith("file:") or reference == "file:":
        msg = "what opens the vault cannot lie in it: expected file:PATH"
        raise ValueError(msg)
    return reference


_REFERENCE = AfterValidator(_known_scheme)

SecretRef = Annotated[str, _REFERENCE]
"""Where a secret is, never what it is: `file:PATH`, or `keyvault:NAME` for a secret of the vault in `[vault]`."""

FileRef = Annotated[str, AfterValidator(_in_file)]
"""Where a secret is that is needed before the vault can be asked: `file:PATH`."""


def read_secret(reference: str) -> str:
    """The secret in the file that *reference*, `file:PATH`, names. Read where it is used, never passed on, never stored.

    A reference that may also be `keyvault:NAME` is read by `steward.clients.secrets`.
    """
    if not reference.startswith("file:"):
        raise BadInput("this secret can only be read from a file", hint="write its reference as file:PATH")
    path = Path(reference.removeprefix("file:"))
    try:
        secret = path.read_text().strip()
    except OSError as error:
        raise BadInput(f"cannot read secret file {path}: {error.strerror}", hint="check its path and mode") from None
    except UnicodeDecodeError:
        # Not chained: that error carries the bytes it could not decode, and Prefect would store them.
        raise BadInput(f"secret file {path} is not UTF-8 text", hint="write the secret as text") from None
    if not secret:
        # A client that is given nothing looks elsewhere: libpq in PGPASSWORD and ~/.pgpass.
        raise BadInput(f"secret file {path} is empty", hint="write the secret into it")
    return secret


def references_in(part: BaseModel, path: str = "") -> Iterator[tuple[str, str]]:
    """(dotted path, reference) of every SecretRef in *part* and below."""
    for name, field in type(part).model_fields.items():
        value: object = getattr(part, name)
        if isinstance(value, str) and (_REFERENCE in field.metadata or _holds_references(field)):
            yield f"{path}{name}", value
        elif isinstance(value, tuple) and _holds_references(field):
            yield from ((f"{path}{name}.{place}", each) for place, each in enumerate(cast("tuple[str, ...]", value)))
        yield from _references_below(value, f"{path}{name}.")


def _holds_references(field: FieldInfo) -> bool:
    """Whether it is of references among others: several, or one that may be absent."""
    return any(_REFERENCE in getattr(each, "__metadata__", ()) for each in get_args(field.annotation))


def _references_below(value: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, BaseModel):
        yield from references_in(value, path)
    elif isinstance(value, Mapping):
        for name, each in cast("Mapping[str, Any]", value).items():
            yield from _references_below(each, f"{path}{name}.")
