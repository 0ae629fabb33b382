"""A request's fields, of the type they must have: an unfit one is refused in the provider's words, whatever it holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from replica.providers.errors import Refusal


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one object; *refuse* makes a Refusal of a name, what was expected, and what was there.

    A field that is null is as if it were not there.
    """

    of: Mapping[str, Any]
    refuse: Callable[[str, str, Any], Refusal]
    path: str = ""

    def text(self, name: str) -> str:
        """A string, empty where there is none."""
        return self._get(name, str, "a string", "")

    def flag(self, name: str) -> bool:
        """A boolean, False where there is none."""
        return self._get(name, bool, "a boolean", False)  # noqa: FBT003 -- a default

    def whole(self, name: str) -> int | None:
        """An integer, or None."""
        value = self.of.get(name)
        if isinstance(value, bool):
            raise self._unfit(name, "an integer", value)
        return self._get(name, int, "an integer", None)

    def mapping(self, name: str) -> Fields:
        """An object, empty where there is none."""
        return Fields(self._get(name, dict, "an object", {}), self.refuse, f"{self.path}{name}.")

    def items(self, name: str) -> list[Any]:
        """An array, empty where there is none."""
        return self._get(name, list, "an array", [])

    def objects(self, name: str) -> list[Fields]:
        """An array of objects, empty where there is none."""
        found: list[Fields] = []
        for index, each in enumerate(self.items(name)):
            if not isinstance(each, dict):
                raise self._unfit(f"{name}[{index}]", "an object", each)
            found.append(Fields(cast("dict[str, Any]", each), self.refuse, f"{self.path}{name}[{index}]."))
        return found

    def _get(self, name: str, kind: type, expected: str, default: Any) -> Any:
        value = self.of.get(name)
        if value is None:
            return default
        if not isinstance(value, kind):
            raise self._unfit(name, expected, value)
        return value

    def _unfit(self, name: str, expected: str, seen: Any) -> Refusal:
        return self.refuse(f"{self.path}{name}", expected, seen)
