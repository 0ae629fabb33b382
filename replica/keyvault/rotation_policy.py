"""When a key rotates and how long its next version lives: Key Vault's rotation policies, as values.

The rules are those of "Configure cryptographic key auto-rotation in Azure Key Vault": one Rotate and one Notify at
most, an expiry of 28 days or more, a rotation seven days or more after creation and before expiry. Notify is always
there, 30 days before expiry unless said otherwise; what it would send (Event Grid) does not exist here.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from replica.keyvault.errors import bad_parameter

LEAST_EXPIRY = timedelta(days=28)
LEAST_DISTANCE = timedelta(days=7)
#: Beyond it the calendar's arithmetic could leave the years that a datetime knows.
_MOST = timedelta(days=365 * 100)
_DURATION = re.compile(
    r"P(?!$)(?:(\d{1,5})Y)?(?:(\d{1,5})M)?(?:(\d{1,5})W)?(?:(\d{1,5})D)?"
    r"(?:T(?!$)(?:(\d{1,7})H)?(?:(\d{1,7})M)?(?:(\d{1,9})S)?)?"
)
_TRIGGERS = ("timeAfterCreate", "timeBeforeExpiry")
_ACTIONS = {"rotate": "Rotate", "notify": "Notify"}


@dataclass(frozen=True, slots=True)
class Duration:
    """An ISO 8601 duration, kept as it was written: months have no fixed length, so the calendar decides."""

    text: str
    months: int
    rest: timedelta

    @classmethod
    def parse(cls, text: object) -> Duration:
        """Raises a refusal (400 BadParameter) on what is no ISO 8601 duration."""
        found = _DURATION.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise bad_parameter("Durations must be in ISO 8601 format, for example P90D, P3M or P1Y10D.")
        years, months, weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        rest = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
        duration = cls(found.string, years * 12 + months, rest)
        if duration.about > _MOST:
            raise bad_parameter("Durations must not exceed 100 years.")
        return duration

    @property
    def about(self) -> timedelta:
        """For comparing durations with one another, where no date is at hand: a month counts as 30 days, a year 365."""
        years, months = divmod(self.months, 12)
        return timedelta(days=365 * years + 30 * months) + self.rest

    def after(self, moment: datetime) -> datetime:
        return _months_later(moment, self.months) + self.rest

    def before(self, moment: datetime) -> datetime:
        return _months_later(moment, -self.months) - self.rest


@dataclass(frozen=True, slots=True)
class RotationPolicy:
    """What Key Vault does over a key's life. `notify_before_expiry` is always there; the others may be absent."""

    expiry: Duration | None
    rotate_after_create: Duration | None
    rotate_before_expiry: Duration | None
    notify_before_expiry: Duration

    def due_at(self, created: datetime, expires: datetime | None) -> datetime | None:
        """When the version made at *created* and expiring at *expires* is to be followed by the next; None: never."""
        if self.rotate_after_create is not None:
            return self.rotate_after_create.after(created)
        if self.rotate_before_expiry is not None and expires is not None:
            return self.rotate_before_expiry.before(expires)
        return None

    def expires_at(self, created: datetime) -> datetime | None:
        """When a version that this policy makes at *created* expires."""
        return self.expiry.after(created) if self.expiry is not None else None

    def body(self) -> dict[str, Any]:
        """`lifetimeActions` and `attributes` as the contract spells them, Rotate first."""
        rotate = {"timeAfterCreate": self.rotate_after_create, "timeBeforeExpiry": self.rotate_before_expiry}
        notify = {"timeBeforeExpiry": self.notify_before_expiry}
        actions = [("Rotate", rotate), ("Notify", notify)]
        return {
            "lifetimeActions": [
                {"trigger": {name: value.text for name, value in trigger.items() if value}, "action": {"type": action}}
                for action, trigger in actions
                if any(trigger.values())
            ],
            "attributes": {"expiryTime": self.expiry.text} if self.expiry else {},
        }


DEFAULT = RotationPolicy(None, None, None, Duration.parse("P30D"))


def parse_policy(body: Mapping[str, Any]) -> RotationPolicy:
    """The policy in a request's *body*. Raises a refusal (400 BadParameter) that names the rule it breaks."""
    attributes, actions = body.get("attributes") or {}, body.get("lifetimeActions") or []
    if not isinstance(attributes, Mapping) or not isinstance(actions, list):
        raise bad_parameter("A rotation policy needs the object 'attributes' and the list 'lifetimeActions'.")
    expiry = _optional(cast("Mapping[str, Any]", attributes).get("expiryTime"))
    triggers = _triggers(cast("list[Any]", actions))
    rotate, notify = triggers.get("Rotate", {}), triggers.get("Notify", {})
    policy = RotationPolicy(
        expiry,
        rotate.get("timeAfterCreate"),
        rotate.get("timeBeforeExpiry"),
        notify.get("timeBeforeExpiry") or DEFAULT.notify_before_expiry,
    )
    _check_expiry(policy)
    _check_rotation(policy)
    if "timeAfterCreate" in notify:
        raise bad_parameter("The Notify action can only be triggered by timeBeforeExpiry.")
    if "Notify" in triggers:
        _check_before_expiry("Notify", policy.expiry, policy.notify_before_expiry)
    return policy


def moment(unix_seconds: float) -> datetime:
    return datetime.fromtimestamp(unix_seconds, UTC)


def _triggers(actions: Sequence[Any]) -> dict[str, dict[str, Duration]]:
    found: dict[str, dict[str, Duration]] = {}
    for item in actions:
        action = _ACTIONS.get(str(_object(item, "action").get("type")).lower())
        if action is None:
            raise bad_parameter("The type of a lifetime action must be Rotate or Notify.")
        if action in found:
            raise bad_parameter(f"A rotation policy can hold only one {action} action.")
        trigger = _object(item, "trigger")
        given = {name: Duration.parse(trigger[name]) for name in _TRIGGERS if trigger.get(name)}
        if len(given) != 1:
            raise bad_parameter(f"The {action} action needs exactly one of timeAfterCreate and timeBeforeExpiry.")
        found[action] = given
    return found


def _object(item: Any, name: str) -> Mapping[str, Any]:
    value = item.get(name) if isinstance(item, Mapping) else None
    if not isinstance(value, Mapping):
        raise bad_parameter(f"A lifetime action needs the object '{name}'.")
    return value


def _optional(text: object) -> Duration | None:
    return Duration.parse(text) if text else None


def _check_expiry(policy: RotationPolicy) -> None:
    if policy.expiry is not None and policy.expiry.about < LEAST_EXPIRY:
        raise bad_parameter("The expiryTime of a rotation policy must be at least 28 days.")


def _check_rotation(policy: RotationPolicy) -> None:
    after, expiry = policy.rotate_after_create, policy.expiry
    if after is not None and after.about < LEAST_DISTANCE:
        raise bad_parameter("The Rotate action's timeAfterCreate must be at least 7 days.")
    if after is not None and expiry is not None and expiry.about - after.about < LEAST_DISTANCE:
        raise bad_parameter("The Rotate action must be at least 7 days before the policy's expiryTime.")
    if policy.rotate_before_expiry is not None:
        if expiry is None:
            raise bad_parameter("The Rotate action's timeBeforeExpiry needs the policy's expiryTime.")
        _check_before_expiry("Rotate", expiry, policy.rotate_before_expiry)


def _check_before_expiry(action: str, expiry: Duration | None, before: Duration) -> None:
    if before.about < LEAST_DISTANCE:
        raise bad_parameter(f"The {action} action's timeBeforeExpiry must be at least 7 days.")
    if expiry is not None and expiry.about - before.about < LEAST_DISTANCE:
        raise bad_parameter(f"The {action} action must be at least 7 days after creation.")


def _months_later(moment: datetime, months: int) -> datetime:
    """The same day *months* later, or the last of that month where it has no such day."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    month += 1
    return moment.replace(year=year, month=month, day=min(moment.day, monthrange(year, month)[1]))
