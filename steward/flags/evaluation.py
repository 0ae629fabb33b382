"""A document as Python's SDK evaluates it in an application's process, by openfeature-flagd-core itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import OpenFeatureError
from openfeature.flag_evaluation import FlagResolutionDetails

from steward.flags.buckets import Subject
from steward.flags.errors import FlagDocumentRefused
from steward.flags.model import TENANT


class Evaluator:
    """Raises FlagDocumentRefused for a document that the SDK cannot load, and for a flag that it cannot evaluate."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._core = FlagdCore()
        self._first_value = {key: next(iter(flag["variants"].values())) for key, flag in document["flags"].items()}
        try:
            # As text, for so it arrives; and the SDK changes what it is given.
            self._core.set_flags(json.dumps(document))
        except (OpenFeatureError, TypeError, ValueError) as error:
            raise _refused(f"the SDK cannot load the document: {_told(error)}") from error

    def variant(self, flag_key: str, subject: Subject) -> str | None:
        """What *subject* gets now. None: what the application's own code defaults to."""
        try:
            return self._resolve(flag_key, subject).variant
        # An SDK raises whatever its rules run into, in every request of the application.
        except Exception as error:
            raise _refused(f"the SDK cannot evaluate flag {flag_key}: {_told(error)}") from error

    def _resolve(self, flag_key: str, subject: Subject) -> FlagResolutionDetails[Any]:
        attributes = {} if subject.tenant is None else {TENANT: subject.tenant}
        context = EvaluationContext(subject.user, attributes)
        match self._first_value[flag_key]:
            case bool():
                return self._core.resolve_boolean_value(flag_key, default_value=False, ctx=context)
            case int() | float():
                return self._core.resolve_float_value(flag_key, 0.0, context)
            case str():
                return self._core.resolve_string_value(flag_key, "", context)
            case _:
                return self._core.resolve_object_value(flag_key, {}, context)


def _told(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip()


def _refused(seen: str) -> FlagDocumentRefused:
    return FlagDocumentRefused(
        seen, expected="a document that every SDK evaluates", hint="compare it with one of steward.flags.documents"
    )
