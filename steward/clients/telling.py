"""Telling a notice to whom the settings name: a few tries, a few seconds, and an answer whatever happens.

Whoever tells goes on with something that matters more, so nothing here raises, and nothing takes longer than SECONDS.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from steward.clients.github_deployments import DeploymentStatus, GitHubDeployment, state_of
from steward.clients.mail import Letter, send_mail
from steward.clients.slack import send_to_slack
from steward.errors import StewardError
from steward.notices.errors import ReceiverUnavailable
from steward.notices.notice import Happened, Notice, Told
from steward.notices.rendering import Templates
from steward.settings import GitHubTarget, MailTarget, Settings, SlackTarget, Vault

#: Of one notice to one target, its secret and all tries included; targets are told side by side.
SECONDS = 10.0
#: Of one reply. Webhooks and mail servers answer within a second.
REPLY_SECONDS = 3.0
#: Before each further try.
PAUSES_SECONDS = (0.5, 2.0)


@dataclass(frozen=True)
class Telling:
    """One notice on its way to one target. `again`: an earlier process may have told it."""

    settings: Settings
    target: str
    notice: Notice
    again: bool = False

    def come_to(self) -> Told:
        """What it comes to, within SECONDS."""
        # A thread that hangs is left: it is a daemon, and its process need not wait for it.
        answers = SimpleQueue[Told]()
        threading.Thread(target=lambda: answers.put(self._told()), name=f"tell-{self.target}", daemon=True).start()
        try:
            return answers.get(timeout=SECONDS)
        except Empty:
            return Told(target=self.target, ok=False, error=f"no answer within {SECONDS:g} s; it may yet arrive")

    def _told(self) -> Told:
        try:
            self._patiently(time.monotonic() + SECONDS)
        except StewardError as error:
            return Told(target=self.target, ok=False, error=error.message)
        except Exception as error:  # noqa: BLE001  a rollout does not end for a notice; the text may quote a secret
            return Told(target=self.target, ok=False, error=f"it could not be told: {type(error).__name__}")
        return Told(target=self.target, ok=True)

    def _patiently(self, until: float) -> None:
        again = self.again
        for pause in PAUSES_SECONDS:
            try:
                return self._try(again=again)
            except ReceiverUnavailable as away:
                pause = max(pause, away.retry_after_seconds)  # noqa: PLW2901  whichever is longer
                if time.monotonic() + pause + REPLY_SECONDS > until:
                    raise
                again = again or away.may_have_arrived
            time.sleep(pause)
        return self._try(again=again)

    def _try(self, *, again: bool) -> None:
        vault, templates = self.settings.vault, Templates(self.settings.notices.templates)
        match self.settings.notices.targets[self.target]:
            case SlackTarget() as slack:
                send_to_slack(slack, vault, templates.slack(self.notice, again=again), REPLY_SECONDS)
            case MailTarget() as mail:
                words = templates.mail(self.notice)
                letter = Letter(words.subject, words.body, self.notice.message_id, self.notice.thread_id)
                send_mail(mail, vault, letter, REPLY_SECONDS)
            case GitHubTarget() as github:
                _set_status(github, vault, self.notice, templates.github(self.notice), again=again)


def targets_of(settings: Settings, notice: Notice) -> list[str]:
    """Whom there is something to tell: GitHub only of what came from a deployment there."""
    return [
        name
        for name, target in settings.notices.targets.items()
        if notice.deployment_id is not None or not isinstance(target, GitHubTarget)
    ]


def linked(settings: Settings, notice: Notice) -> Notice:
    """With the address of its status page, where it has one and the settings know it."""
    pages = settings.notices.pages or (settings.flags.url if settings.flags else "")
    if notice.page_url or not pages or notice.happened is Happened.REFUSED:
        return notice
    return notice.model_copy(update={"page_url": f"{pages}/rollouts/{notice.rollout}"})


def tell_everybody(settings: Settings, notice: Notice) -> list[Told]:
    """For whoever has no ledger to note what was told: side by side, within SECONDS."""
    told = linked(settings, notice)
    return _side_by_side(Telling(settings, name, told).come_to for name in targets_of(settings, notice))


def _side_by_side(tellings: Iterable[Callable[[], Told]]) -> list[Told]:
    found: list[SimpleQueue[Told]] = []
    for telling in tellings:
        found.append(queue := SimpleQueue[Told]())
        threading.Thread(target=lambda t=telling, q=queue: q.put(t()), daemon=True).start()
    return [each.get() for each in found]


def _set_status(github: GitHubTarget, vault: Vault | None, notice: Notice, description: str, *, again: bool) -> None:
    if notice.deployment_id is None:
        return
    deployment = GitHubDeployment(github, vault, notice.deployment_id)
    status = DeploymentStatus(state_of(notice), description, notice.page_url or notice.run_url)
    if again and deployment.has(status, REPLY_SECONDS):
        return
    deployment.add(status, REPLY_SECONDS)
