"""What goes wrong on purpose, said by a test through the admin port."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from replica.github.errors import Refusal


@dataclass(slots=True)
class Dials:
    """At rest nothing does."""

    lose: bool = False
    """Deliveries are noted as failed, and not sent."""
    hold: bool = False
    """Deliveries are neither noted nor sent, until this is taken back."""
    twice: bool = False
    """Each delivery is sent, and noted, two times under one guid."""
    delay_seconds: float = 0.0
    """Before each delivery is sent."""
    age_seconds: float = 0.0
    """Deliveries are noted as if they had been made so long ago."""
    api_status: int = 0
    """What the API answers in place of everything; 0: what it ought to."""
    api_retry_after_seconds: int | None = None
    api_times: int | None = None
    """How often it does; absent: always."""
    api_seconds: float = 0.0
    """Before each answer of the API."""

    def turn(self, table: Mapping[str, Any]) -> None:
        """All that *table* names; the others go back to rest. Refusal for one that there is not."""
        rest = asdict(Dials())
        if strange := set(table) - set(rest):
            raise Refusal(400, f"no such dials: {', '.join(sorted(strange))}; known: {', '.join(rest)}")
        for each in fields(self):
            setattr(self, each.name, table.get(each.name, rest[each.name]))

    def refusal(self) -> Refusal | None:
        """In place of an answer of the API."""
        if not self.api_status or self.api_times == 0:
            return None
        if self.api_times is not None:
            self.api_times -= 1
        headers = {} if self.api_retry_after_seconds is None else {"retry-after": str(self.api_retry_after_seconds)}
        return Refusal(self.api_status, _WORDS.get(self.api_status, "Server Error"), headers=headers)


_WORDS = {
    403: "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
    429: "API rate limit exceeded",
}
