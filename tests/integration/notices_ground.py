"""Ground for tests of notices: receivers that run, and settings that reach them."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from demo.receivers.__main__ import notices
from demo.receivers.mail import MailReceiver
from demo.receivers.received import Received
from demo.receivers.web import WebReceiver
from steward.notices.notice import Happened, Notice


class Listening(NamedTuple):
    """Those who are told."""

    received: Received
    web: WebReceiver
    mail: MailReceiver
    table: dict[str, object]
    """`[notices]` of a settings file."""


@contextmanager
def listening(folder):
    received = Received()
    with ExitStack() as stack:
        web = stack.enter_context(WebReceiver(received).running())
        mail = stack.enter_context(MailReceiver(received).running())
        yield Listening(received, web, mail, notices(web, mail, folder))


def exposed(**values):
    said = {"rollout": 7, "environment": "production", "release": "shop-2", "flag": "new-search", "deployment_id": 42}
    return Notice.model_validate({**said, "happened": Happened.EXPOSED, "step": 2, "exposure": 25, **values})
