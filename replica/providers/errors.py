"""What a twin refuses, before it is worded in one provider's own shape."""

from __future__ import annotations

from collections.abc import Mapping

from steward.errors import BadInput


class ConfigurationUnfit(BadInput):
    """The twins' configuration cannot be used."""


class UnknownPrice(BadInput):
    """No price is known for what was used: never billed at another rate."""


class Refusal(Exception):
    """A request is answered with an error. The text reaches the caller and never holds a key.

    `kind` is the provider's `type` where it matters, else it follows from the status.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "",
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.kind, self.code, self.param = status, message, kind, code, param
        self.headers = dict(headers or {})
