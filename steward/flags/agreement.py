"""Whether SDKs of two languages give the same users the same variants: asked before a rollout starts.

They did not always. openfeature-flagd-core 2.0.0 hashes other bytes than @openfeature/flagd-core 4.0.1 does, and then
37 % of users are in another variant at 25 %. With targeting keys beyond ASCII the two disagree in every release,
for imurmurhash of JavaScript hashes UTF-16 by another rule. A user who is asked about in both languages would flip.
"""

from __future__ import annotations

import json
import os
import platform
import random
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import UUID

from steward.flags.buckets import Subject
from steward.flags.documents import document
from steward.flags.errors import AgreementTimedOut, AgreementUnknown, FlagDocumentRefused, SdksDisagree
from steward.flags.evaluation import Evaluator
from steward.flags.model import Flag

#: By state of the flag, by subject: a variant, or None where the SDK falls back to the application's own default.
Answers = list[list[str | None]]

_SHOWN = 5
_DAY_SECONDS = 86_400
_INSTALL = "`make setup` installs it in deployments/flags/agreement; it takes Node 20 or later and npm"


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
    documents = [document([flag]) for flag in states]
    question: dict[str, Any] = {
        "documents": documents,
        "flag": states[0].key if states else "",
        "kind": states[0].kind if states else "boolean",
        "subjects": [[subject.user, subject.tenant] for subject in subjects],
    }
    answer = _ask_node(question, folder, timeout_seconds)
    return compared(
        states,
        subjects,
        _ask_python(question["flag"], documents, subjects),
        answer["variants"],
        node_version=f"@openfeature/flagd-core {answer['core']} on Node {answer['node']}",
    )


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
    """*count* users with keys as applications have them (all ASCII), the last two without a key."""
    chance = random.Random(seed)  # noqa: S311 - a sample that a second look must find again
    shapes = (
        lambda: f"user-{chance.randrange(10**6)}",
        lambda: str(UUID(int=chance.getrandbits(128), version=4)),
        lambda: f"{chance.getrandbits(128):032x}",
        lambda: str(chance.randrange(1, 10**9)),
        lambda: f"{chance.getrandbits(40):x}@example.com",
    )
    users = [Subject(shapes[number % len(shapes)](), f"tenant-{chance.randrange(50)}") for number in range(count)]
    return [*users, Subject(None, "tenant-1"), Subject("")]


def _ask_python(flag_key: str, documents: Sequence[dict[str, Any]], subjects: Sequence[Subject]) -> Answers:
    evaluators = [Evaluator(made) for made in documents]
    return [[evaluator.variant(flag_key, subject) for subject in subjects] for evaluator in evaluators]


def _python_version() -> str:
    return f"openfeature-flagd-core {version('openfeature-flagd-core')} on Python {platform.python_version()}"


def _ask_node(question: dict[str, Any], folder: Path, timeout_seconds: float) -> dict[str, Any]:
    if not (folder / "node_modules").is_dir():
        raise AgreementUnknown("Node's SDK is not installed", hint=_INSTALL)
    try:
        ran = subprocess.run(
            ["node", "evaluate.mjs"],
            cwd=folder,
            # Nothing of ours: NODE_OPTIONS or a vault's address are no matter of a comparison.
            env={"PATH": os.environ.get("PATH", os.defpath)},
            input=json.dumps(question),
            capture_output=True,
            encoding="utf-8",
            timeout=timeout_seconds,
            check=False,
        )
    except FileNotFoundError as error:
        raise AgreementUnknown("there is no Node to ask", hint=_INSTALL) from error
    except subprocess.TimeoutExpired as error:
        raise AgreementTimedOut(
            f"Node's SDK did not answer within {timeout_seconds:g} s", hint="ask about fewer users, or allow more time"
        ) from error
    if ran.returncode != 0:
        raise AgreementUnknown(f"Node's SDK failed: {_reason(ran.stderr)}", hint=_INSTALL)
    return _read(ran.stdout)


def _reason(stderr: str) -> str:
    """The line that names the error; Node prints the failing source before it and a stack after."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return next((line for line in lines if "Error" in line), lines[-1] if lines else "it said nothing")[:300]


def _read(stdout: str) -> dict[str, Any]:
    try:
        answer = json.loads(stdout)
    except ValueError as error:
        raise AgreementUnknown("Node's SDK answered with something else than JSON", hint=_INSTALL) from error
    if "refused" in answer:
        raise FlagDocumentRefused(
            f"Node's SDK refuses the document: {answer['refused'][:300]}",
            expected="a document that flagd's own schema accepts",
            hint="docs/flags.md has the format",
        )
    return answer
