"""Whether SDKs of two languages give the same users the same variants: asked before a rollout starts.

They did not always. openfeature-flagd-core 2.0.0 hashes other bytes than @openfeature/flagd-core 4.0.1 does, and then
37 % of users are in another variant at 25 %. With targeting keys beyond ASCII the two disagree in every release,
for imurmurhash of JavaScript hashes UTF-16 by another rule. A user who is asked about in both languages would flip.
"""

from __future__ import annotations

import platform
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from uuid import UUID

from steward.flags.buckets import Subject
from steward.flags.documents import document
from steward.flags.errors import AgreementUnknown, SdksDisagree
from steward.flags.evaluation import Evaluator
from steward.flags.model import Flag
from steward.flags.node import Answers, Question, ask_node

_SHOWN = 5
_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Difference:
    """One user who gets two variants."""

    subject: Subject
    #: The flag's split when it was asked.
    split: str
    python: str | None
    node: str | None

    def __str__(self) -> str:
        return f"{self.subject.user!r} at {self.split}: {self.python} in Python, {self.node} in Node"


@dataclass(frozen=True, slots=True)
class Agreement:
    """What both were asked, and where they differ."""

    flag: str
    #: How many users were asked about, and in how many states of the flag.
    ids: int
    states: int
    #: Of the users, how many get two variants in any state.
    disagreeing: int
    python_version: str
    node_version: str
    first: tuple[Difference, ...] = ()

    def __str__(self) -> str:
        between = f"{self.python_version} and {self.node_version}"
        asked = f"{self.ids:,} users in {self.states} states of flag {self.flag}"
        if not self.disagreeing:
            return f"{between} agree on {asked}"
        differences = "; ".join(str(each) for each in self.first)
        return f"{between} disagree on {self.disagreeing:,} of {asked}: {differences}"


def require_agreement(agreement: Agreement) -> None:
    """Raises SdksDisagree if a single user would get two variants, AgreementUnknown if nobody was asked about."""
    if not agreement.ids or not agreement.states:
        raise AgreementUnknown("no user was asked about", hint="ask about a sample: steward.flags.agreement.sample")
    if agreement.disagreeing:
        raise SdksDisagree(
            str(agreement),
            agreement=agreement,
            hint="pin openfeature-flagd-core 1.0.0 and @openfeature/flagd-core 4.0.1 in every application, and give "
            "ASCII targeting keys (an id, or a hash in hexadecimal)",
        )


def agreement(
    states: Sequence[Flag], subjects: Sequence[Subject], folder: Path, timeout_seconds: float = 60
) -> Agreement:
    """Python's and Node's answers for each of *subjects* in each of *states* of one flag, compared.

    *folder* is deployments/flags/agreement. Raises FlagDocumentRefused if either SDK refuses a document,
    AgreementUnknown if Node cannot be asked.
    """
    if not states:
        raise AgreementUnknown("no state of a flag was asked about", hint="steward.flags.agreement.rehearsal has all")
    question = Question(tuple(document([flag]) for flag in states), states[0].key, states[0].kind, tuple(subjects))
    told = ask_node(question, folder, timeout_seconds)
    return compared(states, subjects, _ask_python(question), told.variants, node_version=told.version)


def compared(
    states: Sequence[Flag],
    subjects: Sequence[Subject],
    python: Answers,
    node: Answers,
    *,
    node_version: str,
    python_version: str | None = None,
) -> Agreement:
    """The answers of both beside each other. Two that fall back to the application's default do not agree."""
    differences = [
        Difference(subject, str(flag.split), ours, theirs)
        for flag, of_python, of_node in zip(states, python, node, strict=True)
        for subject, ours, theirs in zip(subjects, of_python, of_node, strict=True)
        if ours is None or ours != theirs
    ]
    return Agreement(
        flag=states[0].key if states else "",
        ids=len(subjects),
        states=len(states),
        disagreeing=len({each.subject for each in differences}),
        python_version=python_version or _python_version(),
        node_version=node_version,
        first=tuple(differences[:_SHOWN]),
    )


def rehearsal(flag: Flag, variant: str, percents: Iterable[float], now_seconds: float) -> tuple[Flag, ...]:
    """The states that a rollout takes *flag* through: each step on lease, then the lease run out, then killed.

    Leases are a day away on either side, so that none ends between the two answers.
    """
    steps = [flag.changed(killed=False).exposing(percent, variant) for percent in percents]
    alive = [step.changed(lease_until=int(now_seconds) + _DAY_SECONDS) for step in steps]
    ended = [step.changed(lease_until=int(now_seconds) - _DAY_SECONDS) for step in steps[-1:]]
    return (*alive, *ended, *(step.changed(killed=True) for step in steps[-1:]))


def sample(count: int, seed: int = 0) -> list[Subject]:
    """*count* users with keys as applications have them: numbers, UUIDs, hashes, addresses, all of ASCII."""
    chance = random.Random(seed)  # noqa: S311 - a sample that a second look must find again
    shapes = (
        lambda: f"user-{chance.randrange(10**6)}",
        lambda: str(UUID(int=chance.getrandbits(128), version=4)),
        lambda: f"{chance.getrandbits(128):032x}",
        lambda: str(chance.randrange(1, 10**9)),
        lambda: f"{chance.getrandbits(40):x}@example.com",
    )
    return [Subject(shapes[number % len(shapes)](), f"tenant-{chance.randrange(50)}") for number in range(count)]


def _ask_python(question: Question) -> Answers:
    evaluators = [Evaluator(made) for made in question.documents]
    return [[each.variant(question.flag, subject) for subject in question.subjects] for each in evaluators]


def _python_version() -> str:
    return f"openfeature-flagd-core {version('openfeature-flagd-core')} on Python {platform.python_version()}"
