"""Notices by template: one folder, a file for each receiver's words, and no word of them in code.

Each receiver has its own escaping, done where a value is put into the text: a template is text as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from steward.notices.errors import NoticeUnfit, TemplatesUnusable
from steward.notices.notice import Happened, Notice

SHIPPED = Path(str(files("deployments"))) / "notices"
#: What Slack takes in one block of text.
SLACK_CHARACTERS = 3000
#: What GitHub takes as the description of a status.
GITHUB_CHARACTERS = 140
#: RFC 5322 allows 998, and whoever reads a list of mails sees far less.
SUBJECT_CHARACTERS = 200
#: A judge names a handful of metrics; a stack trace that came along is no reason.
MOST_REASONS, REASON_CHARACTERS = 12, 400
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


@dataclass(frozen=True)
class Mail:
    """A mail's own words."""

    subject: str
    body: str


@dataclass(frozen=True)
class Templates:
    """The templates of a folder; absent: the shipped ones. All of them raise TemplatesUnusable."""

    folder: Path | None = None

    def slack(self, notice: Notice, *, again: bool = False) -> str:
        """In Slack's mrkdwn. *again*: an earlier try may have arrived, and the text says so."""
        return _cut_lines(self._rendered("slack.txt.j2", notice, again=again), SLACK_CHARACTERS)

    def mail(self, notice: Notice) -> Mail:
        """Raises NoticeUnfit where the subject would be more headers than one."""
        subject = self._rendered("mail_subject.txt.j2", notice)
        if _CONTROL.search(subject):
            # Not mended: a name with a line break in it is somebody's attempt, or a template's fault.
            raise NoticeUnfit(
                "the subject of the mail would have a control character in it",
                hint="see mail_subject.txt.j2, and whether the names of release, environment and flag are one line each",
            )
        return Mail(_shortened(subject, SUBJECT_CHARACTERS), self._rendered("mail.txt.j2", notice) + "\n")

    def github(self, notice: Notice) -> str:
        """The description of a deployment status: one line."""
        line = " ".join(_CONTROL.sub(" ", self._rendered("github.txt.j2", notice)).split())
        return _shortened(line, GITHUB_CHARACTERS)

    def _rendered(self, name: str, notice: Notice, *, again: bool = False) -> str:
        folder = self.folder or SHIPPED
        try:
            text = _environment(folder, name).get_template(name).render(**_words(notice), again=again)
        except (TemplateError, OSError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            reason = f"{type(error).__name__}: {_CONTROL.sub(' ', str(error))[:REASON_CHARACTERS]}"
            raise TemplatesUnusable(
                f"{folder / name} does not render when {notice.happened}: {reason}",
                hint="python -m steward notices check tells of each template; the shipped ones are in deployments/notices",
            ) from None
        return text.strip()


def check_templates(templates: Templates) -> list[str]:
    """Render every template for everything that may happen: those that did. Raises TemplatesUnusable, NoticeUnfit."""
    rendering: dict[str, Callable[[Notice], object]] = {
        "slack": templates.slack,
        "slack, again": partial(templates.slack, again=True),
        "mail": templates.mail,
        "github": templates.github,
    }
    for name, render in rendering.items():
        for notice in _samples():
            if not render(notice):
                raise TemplatesUnusable(
                    f"{name} says nothing when {notice.happened}", hint="let its template say something"
                )
    return list(rendering)


def _samples() -> Iterator[Notice]:
    """Of everything that may happen, a notice with all it can have, and one with nothing that may be absent."""
    for happened in Happened:
        bare = Notice(rollout=1, environment="production", release="shop-2", flag="new-search", happened=happened)
        yield bare
        yield bare.model_copy(
            update={
                "step": 2,
                "exposure": 12.5,
                "reasons": ("errors: e-value 1,204 of 100 for harm", "<!channel> & co"),
                "page_url": "https://flags.example.net/rollouts/1",
                "run_url": "https://prefect.example.net/runs/flow-run/1",
                "deployment_id": 1,
                "had_proved_itself": True,
            }
        )


def _words(notice: Notice) -> dict[str, Any]:
    """What a template may name."""
    reasons = [_shortened(" ".join(each.split()), REASON_CHARACTERS) for each in notice.reasons[:MOST_REASONS]]
    if left := len(notice.reasons) - len(reasons):
        reasons.append(f"and {left} more")
    return {
        "rollout": notice.rollout,
        "environment": notice.environment,
        "release": notice.release,
        "flag": notice.flag,
        "happened": str(notice.happened),
        "step": notice.step,
        "exposure": f"{notice.exposure:g}",
        "reasons": reasons,
        "page_url": notice.page_url,
        "run_url": notice.run_url,
        "had_proved_itself": notice.had_proved_itself,
    }


def _slack_escaped(value: Any) -> Any:
    # These three and no others, as Slack's reference asks: a mention is `<!channel>`, a link `<https://…>`.
    return str(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _as_it_is(value: Any) -> Any:
    return value


@lru_cache(maxsize=8)
def _made(folder: Path, *, slack: bool) -> ImmutableSandboxedEnvironment:
    # Escaping is by `finalize`, since Slack knows three entities and none of HTML's others: a mail has none at all.
    return ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        finalize=_slack_escaped if slack else _as_it_is,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=True,
    )


def _environment(folder: Path, name: str) -> ImmutableSandboxedEnvironment:
    return _made(folder, slack=name.startswith("slack"))


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + _ELLIPSIS


def _cut_lines(text: str, most: int) -> str:
    """Whole lines, so that no entity and no link is cut in two."""
    if len(text) <= most:
        return text
    kept, length = list[str](), len(_ELLIPSIS)
    for line in text.splitlines():
        length += len(line) + 1
        if length > most:
            break
        kept.append(line)
    return "\n".join([*kept, _ELLIPSIS])
