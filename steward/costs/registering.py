"""Which of the provider's keys the gateway's are: the ledger names them by fingerprint, and the provider by id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from steward.ai.keys import ProviderKey, is_hint_of, version_of
from steward.costs.kept import Register, RegisteredKey


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A version of the account's secret: the key itself, and never for long."""

    version: str
    """Of the vault's secret; empty: it lies in a file."""
    secret: str = field(repr=False)
    key_id: str = ""
    """As the version is tagged; empty: it is not."""


def match_keys(account: str, held: Sequence[HeldKey], listed: Sequence[ProviderKey], project: str) -> Register:
    """By the tag of a version; else by what the provider shows of its keys, where just one fits.

    *project*: of the account, for a key that the provider lists no more.
    """
    keys, untold = list[RegisteredKey](), list[str]()
    for each in held:
        found = _found(each, listed, project)
        if isinstance(found, str):
            untold.append(f"{_named(each)} of {account}: {found}")
        else:
            key_id, of = found
            keys.append(RegisteredKey(account=account, fingerprint=version_of(each.secret), key_id=key_id, project=of))
    return Register(registered=tuple(keys), untold=tuple(untold))


def _found(held: HeldKey, listed: Sequence[ProviderKey], project: str) -> tuple[str, str] | str:
    """(id, project), or why it is not known."""
    if held.key_id:
        return _tagged(held, listed, project)
    fitting = [key for key in listed if is_hint_of(key.hint, held.secret)]
    if len(fitting) > 1:
        return f"{len(fitting)} keys of the provider could be it: {', '.join(sorted(key.id for key in fitting))}"
    return (fitting[0].id, fitting[0].project or project) if fitting else "the provider lists no key that it could be"


def _tagged(held: HeldKey, listed: Sequence[ProviderKey], project: str) -> tuple[str, str] | str:
    known = next(_with_id(listed, held.key_id), None)
    if known and is_hint_of(known.hint, held.secret) is False:
        return f"it is tagged as {known.id}, which the provider shows as {known.hint}: it is another key"
    return held.key_id, known.project or project if known else project


def _with_id(listed: Sequence[ProviderKey], key_id: str) -> Iterator[ProviderKey]:
    return (key for key in listed if key.id == key_id)


def _named(held: HeldKey) -> str:
    return f"version {held.version} of the key" if held.version else "the key"
