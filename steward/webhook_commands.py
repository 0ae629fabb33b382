"""`python -m steward webhooks …`: what people see of deliveries, and how one is tried again, or sent."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue, ValidationError

from steward.clients.announcing import announce
from steward.clients.postgres import connect
from steward.clients.receivers import Answer
from steward.clients.webhook_records import STATES, Begun, Record, begun, body, newest, record, retry
from steward.errors import BadInput, StewardError
from steward.notices.errors import ReceiverRefused, ReceiverUnavailable
from steward.settings import Announce, Settings, Webhooks
from steward.settings.webhooks import SignedSource
from steward.webhooks import signed
from steward.webhooks.delivery import payload_of
from steward.webhooks.errors import MalformedBody

_log = logging.getLogger(__name__)
#: A receiver that is started anew is there again by then.
_PATIENCE_SECONDS, _PAUSE_SECONDS = 30.0, 2.0
_TIME = "%Y-%m-%d %H:%M:%S"


def list_deliveries(settings: Settings, chosen: argparse.Namespace) -> list[str]:
    """Newest first."""
    _demand_listed(settings, chosen)
    with connect(settings) as db:
        found = newest(db, source=chosen.source, stands=chosen.state, limit=chosen.limit)
        starts = begun(db, [each.id for each in found])
    return [_line(each, starts) for each in found] or ["no such delivery"]


def show_delivery(settings: Settings, chosen: argparse.Namespace) -> list[str]:
    """What is known of it, and what may be done."""
    with connect(settings) as db:
        found, told = record(db, chosen.id), body(db, chosen.id)
        starts = begun(db, [found.id])
    return [
        _line(found, starts),
        f"  {found.event}, happened {found.occurred_at:{_TIME}}, {found.how} under the id {found.delivery}{_repeats(found)}",
        *(line for each in starts for line in _start(each)),
        *_may_be_done(found, has_body=told is not None),
        *(_written(told) if chosen.body else []),
    ]


def retry_delivery(settings: Settings, chosen: argparse.Namespace) -> list[str]:
    """Recorded when it returns; a dispatcher does it."""
    with connect(settings) as db:
        refused = retry(db, chosen.id)
    return [
        *(f"{each.rule} was refused {each.done_at:{_TIME}}: {_plain(each.why or '')}" for each in refused),
        f"delivery {chosen.id}: the rules are asked anew; see what comes of it: python -m steward webhooks show {chosen.id}",
    ]


def send(settings: Settings, chosen: argparse.Namespace) -> list[str]:
    """Sent when it returns. A receiver that is away is tried again for half a minute, and said meanwhile."""
    webhooks, source = _sender(settings, chosen.source)
    identity = chosen.id or f"by-hand-{uuid.uuid4().hex}"
    message: dict[str, JsonValue] = {
        "type": chosen.type,
        "timestamp": datetime.now(UTC).isoformat(),
        "data": dict(_data(chosen.data)),
    }
    # As its receiver will read it, so that what is wrong is told by name.
    signed.read(chosen.source, {signed.ID: identity}, json.dumps(message).encode())
    told = _receiver(chosen.url or webhooks.address(chosen.source), source)
    try:
        answer = _patiently(settings, told, identity, message)
    except ReceiverUnavailable as error:
        raise ReceiverUnavailable(error.message, hint=f"send it again, with --id {identity}: it counts once") from None
    except ReceiverRefused as error:
        raise ReceiverRefused(error.message, hint=_REFUSED) from None
    return [f"{identity}: {_answered(answer)}"]


_REFUSED = "docs/webhooks.md says what each status means, and the receiver's log what is wrong with it"


def _demand_listed(settings: Settings, chosen: argparse.Namespace) -> None:
    if chosen.state is not None and chosen.state not in STATES:
        raise BadInput(f"there is no state {chosen.state!r}", hint=f"one of {', '.join(STATES)}")
    if chosen.limit < 1:
        raise BadInput(f"--limit {chosen.limit} lists nothing", hint="expected 1 or more")
    known = settings.webhooks.sources if settings.webhooks else {}
    if chosen.source is not None and chosen.source not in known:
        raise BadInput(f"the settings have no source {chosen.source!r}", hint=f"known: {', '.join(known) or 'none'}")


def _sender(settings: Settings, name: str) -> tuple[Webhooks, SignedSource]:
    webhooks = settings.webhooks
    known = {each: source for each, source in (webhooks.sources if webhooks else {}).items() if source.kind == "signed"}
    if webhooks is None or name not in known:
        github = webhooks is not None and name in webhooks.sources
        raise BadInput(
            f"{name} is GitHub's to sign" if github else f"the settings have no source {name!r}",
            hint=f"a source of kind signed: {', '.join(known) or 'none is there'}; GitHub sends its own again from its webhook's page",
        )
    return webhooks, known[name]


def _data(told: str) -> Mapping[str, JsonValue]:
    text = _text(told)
    try:
        read = payload_of(text.encode())
        json.dumps(read, allow_nan=False)
    except MalformedBody as error:
        raise BadInput(
            f"--data: {error.message.replace('the body', 'it')}", hint='expected {"name": "value", …}'
        ) from None
    except ValueError:
        raise BadInput("--data has a number, or half of a character, that JSON cannot hold", hint="mend it") from None
    return read


def _text(told: str) -> str:
    try:
        if told == "-":
            return sys.stdin.read()
        return Path(told[1:]).read_text() if told.startswith("@") else told
    except OSError as error:
        raise BadInput(f"--data: cannot read {told[1:]}: {error.strerror}", hint="@FILE names a file") from None
    except UnicodeDecodeError:
        raise BadInput("--data is not UTF-8", hint="JSON is") from None


def _receiver(url: str, source: SignedSource) -> Announce:
    try:
        # The first: whoever replaces a secret puts the new one before the old.
        return Announce(url=url, secret=source.secrets[0])
    except ValidationError as error:
        raise BadInput(
            f"cannot send to {url!r}: {error.errors()[0]['msg'].removeprefix('Value error, ')}",
            hint="https://HOST/webhooks/SOURCE; http:// on loopback alone",
        ) from None


def _patiently(settings: Settings, told: Announce, identity: str, message: Mapping[str, JsonValue]) -> Answer:
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return announce(told, settings.vault, identity, message)
        except ReceiverUnavailable as error:
            pause = max(_PAUSE_SECONDS, error.retry_after_seconds)
            if time.monotonic() + pause > until:
                raise
            # Without a configuration, warnings go to standard error.
            _log.warning("not yet: %s", error.message)
            time.sleep(pause)


def _answered(answer: Answer) -> str:
    try:
        read = payload_of(answer.body)
        return f"{read['state']} as delivery {read['delivery']}"
    except (StewardError, KeyError):
        # Somebody else's receiver.
        return f"answered {answer.status}"


def _line(found: Record, starts: list[Begun]) -> str:
    came = "; ".join(_came(each) for each in starts if each.delivery_id == found.id)
    return f"{found.id}  {found.received_at:{_TIME}}  {found.source} {found.key}: {came or found.stands}"


def _came(each: Begun) -> str:
    if each.state == "started":
        return f"started {each.deployment}, run {each.run_id}"
    return f"{each.rule} {each.state}" + (f", {_plain(each.why)}" if each.why else "")


def _start(each: Begun) -> Iterator[str]:
    ended = f"{each.state} {each.done_at:{_TIME}}" if each.done_at else f"waiting, due {each.next_try_at:{_TIME}}"
    tries = "1 try" if each.tries == 1 else f"{each.tries} tries"
    yield f"  rule {each.rule}, {each.deployment or 'which starts no run'}: {ended} after {tries}"
    if each.parameters:
        yield f"    {json.dumps(each.parameters, sort_keys=True)}"
    if each.tell_at:
        yield f"    GitHub has not heard of it yet: told again {each.tell_at:{_TIME}}"


def _repeats(found: Record) -> str:
    if not found.repeats:
        return ""
    return f"; came again {found.repeats} times, last {found.last_repeat_at:{_TIME}}"


def _may_be_done(found: Record, *, has_body: bool) -> Iterator[str]:
    if not has_body:
        yield "  what it told is forgotten"
    elif found.stands in {"refused", "ignored"}:
        yield f"  once a rule fits it: python -m steward webhooks retry {found.id}"


def _written(told: bytes | None) -> list[str]:
    if told is None:
        return []
    # Escaped as JSON has it, so that nothing in it commands a terminal.
    return json.dumps(payload_of(told), indent=2).splitlines()


def _plain(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in text)
