"""What can be wrong with a flag, with a change of one, or with the SDKs that read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steward.errors import BadInput, StewardError, Unavailable

if TYPE_CHECKING:
    from steward.flags.agreement import Agreement


class FlagDocumentRefused(BadInput):
    """A flag or a document that SDKs could not read, or would read otherwise than it is meant: nothing is changed.

    One such document pushed costs every SDK seconds in which it reconnects, so none is.
    """

    def __init__(self, seen: str, *, expected: str, hint: str) -> None:
        super().__init__(f"{seen}; expected {expected}", hint=hint)
        self.seen = seen
        self.expected = expected


class BucketsWouldFlip(BadInput):
    """The change would take users out of a variant that they have, without being a roll back: nothing is changed."""

    def __init__(self, flag: str, seen: str, *, expected: str, hint: str) -> None:
        super().__init__(f"flag {flag}: {seen}; expected {expected}", hint=hint)
        self.flag = flag
        self.seen = seen
        self.expected = expected


class SdksDisagree(StewardError):
    """SDKs of two languages give the same user different variants: who is exposed is not known, and not sticky."""

    def __init__(self, message: str, *, agreement: Agreement, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.agreement = agreement


class AgreementUnknown(StewardError):
    """The other SDK could not be asked, so nobody knows whether they agree: no reason to go on."""


class AgreementTimedOut(AgreementUnknown, Unavailable):
    """The other SDK did not answer in time."""
