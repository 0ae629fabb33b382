"""Why a delivery is not taken. None of them carries a byte of the body, a header's secret or a signature."""

from __future__ import annotations

from steward.errors import BadInput


class DeliveryRefused(BadInput):
    """Nothing was stored and nothing starts. `status` is what its sender is answered."""

    status: int = 400


class UnknownSource(DeliveryRefused):
    """Nobody of that name is in the settings."""

    status = 404


class Forged(DeliveryRefused):
    """It carries no signature, or one that no secret of the source has made."""

    status = 401


class TooLarge(DeliveryRefused):
    """The body is longer than the settings allow."""

    status = 413


class WrongContentType(DeliveryRefused):
    """The body is not announced as JSON."""

    status = 415


class BadHeader(DeliveryRefused):
    """What its sender calls it is missing, or is no id."""

    status = 400


class MalformedBody(DeliveryRefused):
    """The body is no JSON object, or lacks what its event has."""

    status = 400


class UnknownEvent(DeliveryRefused):
    """It is of an event that nothing here is made for."""

    status = 422


class Stale(DeliveryRefused):
    """What it tells of happened too long ago, or has not happened yet."""

    status = 422


class NoRule(DeliveryRefused):
    """It is genuine, and no rule names what it tells of."""

    status = 422
