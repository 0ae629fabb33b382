"""Offline verification: a file, a public key, and nothing else. No server, no settings, no network."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steward.evidence.canonical import canonical_json, strict_json
from steward.evidence.envelopes import PAYLOAD_TYPE, Signed, verify
from steward.evidence.errors import UnusableEnvelope, UnusableStatement
from steward.evidence.signers import load_public_key
from steward.evidence.statements import Artifact, Statement, parse_statement
from steward.verdicts import Verdict

if TYPE_CHECKING:
    from steward.evidence.signers import Key

_MEANING = {
    Verdict.VERIFIED: "it was checked, and it is right",
    Verdict.REFUTED: "it was checked, and it is WRONG: a good signature on bad news",
    Verdict.UNKNOWN: "it could NOT be checked: nothing is proved either way",
}
#: An envelope holds one statement; beyond this it is something else, and reading it would only fill the memory.
LARGEST_FILE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Verified:
    """A statement with a good signature; the verdict inside it may be any of the three."""

    statement: Statement
    signed: Signed
    scheme: str

    @property
    def raw(self) -> dict[str, Any]:
        """The statement as it was signed, members included that this version does not know."""
        return strict_json(self.signed.payload)


def verify_file(path: Path, public_key: Path) -> Verified:
    """The statement in *path*, signed by *public_key*.

    Raises UnusableKey, UnusableEnvelope or UnusableStatement (nothing can be said), SignatureRefused (tampered with,
    or another key's).
    """
    key = load_public_key(public_key)
    return verify_envelope(read_file(path), key)


def read_file(path: Path) -> bytes:
    """A file that somebody gave. UnusableEnvelope where it cannot be read, or is larger than any that `export` writes."""
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise UnusableEnvelope(f"{path} is larger than {LARGEST_FILE_BYTES} bytes", hint="give one envelope")
        return path.read_bytes()
    except OSError as error:
        raise UnusableEnvelope(f"cannot read {path}: {error.strerror}", hint="check its path and mode") from None


def verify_envelope(envelope: bytes, key: Key) -> Verified:
    """As verify_file, from what is already in memory."""
    signed = verify(envelope, key)
    if signed.payload_type != PAYLOAD_TYPE:
        raise UnusableStatement(
            f"signed content is {signed.payload_type}, expected {PAYLOAD_TYPE}", hint="another tool's envelope"
        )
    return Verified(parse_statement(signed.payload), signed, f"{key.keytype} ({key.scheme})")


def in_words(verified: Verified) -> str:
    """What was verified, for an auditor to read: the verdict first, then the claim, then what is not proved."""
    return "\n".join(one_line(line) for line in _lines(verified))


def as_values(verified: Verified) -> dict[str, object]:
    """The same for machines."""
    return {
        "signature": "good",
        "verdict": verified.statement.verdict.value,
        "key_id": verified.signed.key_id,
        "digest": f"sha256:{verified.signed.digest}",
        "statement": verified.raw,
    }


def _lines(verified: Verified) -> Iterator[str]:
    statement = verified.statement
    yield "signature: GOOD"
    yield f"verdict:   {statement.verdict} ({_MEANING[statement.verdict]})"
    yield f"claim:     {statement.claim}"
    yield f"operation: {statement.operation} of {statement.subject}, period {statement.period}, attempt {statement.attempt}"
    yield f"started:   {statement.started:%Y-%m-%d %H:%M:%S} UTC"
    yield f"finished:  {statement.finished:%Y-%m-%d %H:%M:%S} UTC"
    yield from _artifacts("about", statement.artifacts)
    yield from _artifacts("inputs", statement.inputs)
    yield from _listed("figures", (f"{name} = {_value(value)}" for name, value in statement.figures.items()))
    yield from _listed("findings", (_value(finding) for finding in statement.findings))
    yield from _listed("also signed, unknown to this version", _unknown_members(verified))
    yield f"code:      {_code(statement)}"
    yield f"host:      {statement.host}"
    yield f"statement: sha256:{verified.signed.digest}"
    yield f"key:       {verified.scheme}, id {verified.signed.key_id}"
    yield "proved:     whoever holds this key's private half signed exactly this text, and nothing in it has changed since"
    yield "not proved: that the claim is true; when it was signed (the times are the signer's own); that no other"
    yield "            statement exists about the same period; that the key was still in its owner's hands"


def _artifacts(title: str, artifacts: tuple[Artifact, ...]) -> Iterator[str]:
    digests = ((artifact.name, sorted(artifact.digest.items())) for artifact in artifacts)
    return _listed(title, (f"{name} {' '.join(f'{kind}:{value}' for kind, value in kinds)}" for name, kinds in digests))


def _listed(title: str, items: Iterator[str]) -> Iterator[str]:
    for index, item in enumerate(items):
        if index == 0:
            yield f"{title}:"
        yield f"  {item}"


def _unknown_members(verified: Verified) -> Iterator[str]:
    known = Statement.model_fields.keys() - {"artifacts"}
    return (name for name in verified.raw["predicate"] if name not in known)


def _value(value: object) -> str:
    return value if isinstance(value, str) else canonical_json(value).decode()


def _code(statement: Statement) -> str:
    code = statement.code
    changed = {True: "with changes that are not in it", False: "unchanged", None: "not known to be unchanged"}
    commit = f"commit {code.commit}, {changed[code.modified]}" if code.commit else "commit not known"
    return f"steward {code.version}, {commit}"


def one_line(line: str) -> str:
    """*line* without what could move the cursor, end the line or turn the text around: a signer may be hostile too."""
    return "".join(_visible(character) for character in line)


def _visible(character: str) -> str:
    hidden = unicodedata.category(character) in {"Cc", "Cf", "Zl", "Zp"}
    return character.encode("unicode_escape").decode() if hidden else character
