"""What the stand-in says where it does not do what was asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse

from steward.errors import BadInput

_DOCUMENTATION = "https://docs.github.com/rest"


class ConfigurationUnfit(BadInput):
    """The configuration cannot be used."""


class Refusal(Exception):
    """An answer that is no success."""

    def __init__(
        self, status: int, message: str, *, errors: Any = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.errors, self.headers = status, message, errors, headers

    def answer(self) -> JSONResponse:
        """In GitHub's form."""
        body = {"message": self.message, "documentation_url": _DOCUMENTATION, "status": str(self.status)}
        if self.errors is not None:
            body["errors"] = self.errors
        return JSONResponse(body, self.status, self.headers)


def not_found() -> Refusal:
    """GitHub's word for what is not there, and for what whoever asks may not see."""
    return Refusal(404, "Not Found")


def unfit(resource: str, field: str, code: str = "invalid") -> Refusal:
    """A field that cannot be."""
    return Refusal(422, "Validation Failed", errors=[{"resource": resource, "field": field, "code": code}])
