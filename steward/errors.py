"""The bases of every error here: named for the fact, carrying what was seen, what was expected, and what to do."""

from __future__ import annotations


class StewardError(Exception):
    """A fact that stops an operation, told so that the person paged can act on it.

    `hint` says what to do next; it is printed on a line of its own. No error carries a secret: its text reaches
    logs, Prefect's database and the evidence.
    """

    #: True where waiting may cure it (a timeout), False where it cannot (a bad checksum).
    transient: bool = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nHINT: {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        # Prefect pickles the exceptions of failed runs; keyword-only arguments would otherwise be lost on the way.
        return _revive, (type(self), self.message, self.__dict__)


def _revive(kind: type[StewardError], message: str, state: dict[str, object]) -> StewardError:
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    error.__dict__.update(state)
    return error


class BadInput(StewardError):
    """What was asked for cannot be done; nothing has been touched."""


class Unavailable(StewardError):
    """A server does not answer, or is too busy: waiting may cure it."""

    transient = True


def is_transient(error: BaseException) -> bool:
    """Whether waiting may cure *error*: retry what waiting can cure; a checksum mismatch is not weather."""
    return isinstance(error, StewardError) and error.transient
