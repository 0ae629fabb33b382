"""An OpenFeature hook: learns of each evaluation which variant a user got, in which rollout and step."""

from __future__ import annotations

import logging

from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagEvaluationDetails, FlagValueType
from openfeature.hook import Hook, HookContext, HookHints

from steward.flags.application.exposures import current_request
from steward.flags.application.outcomes import Outcomes

_log = logging.getLogger("steward.flags")


class ExposureHook(Hook):
    """For any client, whatever its provider. An error in a hook would give the caller its default: so none leaves here."""

    def __init__(self, outcomes: Outcomes) -> None:
        self._outcomes = outcomes

    def before(self, hook_context: HookContext, hints: HookHints) -> EvaluationContext | None:
        """The request's user, where the application evaluates for no other."""
        del hints
        request = current_request.get()
        if request is None or not request.user or hook_context.evaluation_context.targeting_key:
            return None
        return EvaluationContext(targeting_key=request.user)

    def after(self, hook_context: HookContext, details: FlagEvaluationDetails[FlagValueType], hints: HookHints) -> None:
        """Note the exposure, for its user and for the request. Without a user nobody was exposed."""
        del hints
        try:
            self._note(hook_context, details)
        except Exception as error:  # noqa: BLE001  as the class says
            self._outcomes.broke()
            _log.warning("an exposure was not noted: %s", type(error).__name__)

    def _note(self, hook_context: HookContext, details: FlagEvaluationDetails[FlagValueType]) -> None:
        request = current_request.get()
        user = hook_context.evaluation_context.targeting_key or (request.user if request else None)
        if not user or not details.variant or "rollout" not in details.flag_metadata:
            return
        seen = self._outcomes.exposed(details.flag_key, details.variant, details.flag_metadata, user)
        if seen is not None and request is not None and seen not in request.exposures:
            request.exposures.append(seen)
