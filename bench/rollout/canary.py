"""Whether anybody who was exposed at one step is not at a later one, by what the SDKs themselves answer."""

from __future__ import annotations

import time
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.ground import progress
from steward.errors import StewardError
from steward.flags.agreement import rehearsal, sample
from steward.flags.buckets import Subject
from steward.flags.documents import document
from steward.flags.evaluation import Evaluator
from steward.flags.model import Flag
from steward.flags.node import Answers, Question, ask_node
from steward.rollout.plan import Plan

ON, OFF = "on", "off"
#: Node's core, as a rollout asks it before it starts.
_NODE = Path(str(files("deployments"))) / "flags" / "agreement"
_ANSWER_SECONDS = 300.0


class ShareOff(StewardError):
    """So many are exposed as no step exposes: that nobody left would say nothing."""


def measure(*, users: int, seed: int) -> dict[str, Any]:
    """*users*, asked about at each step of the default plan."""
    steps = Plan().steps
    flag = Flag(key="new-search", variants={ON: True, OFF: False}, off=OFF)
    # What comes after the steps there is the lease's end and the kill switch.
    states = rehearsal(flag, ON, steps, time.time())[: len(steps)]
    question = Question(tuple(document([each]) for each in states), flag.key, flag.kind, _users(users, seed))
    python, node = _ask_python(question), ask_node(question, _NODE, _ANSWER_SECONDS).variants
    for step, ours, theirs in zip(steps, python, node, strict=True):
        shares = [100 * answers.count(ON) / users for answers in (ours, theirs)]
        progress(f"  {step:3} % exposed: {shares[0]:.3f} % in Python, {shares[1]:.3f} % in Node")
        if any(abs(share - step) > 1 for share in shares):
            raise ShareOff(f"at {step} % {shares[0]:.2f} % are exposed in Python, {shares[1]:.2f} % in Node")
    return {
        "left_the_canary": left(python) + left(node),
        "in_two_variants": sum(ours != theirs for ours, theirs in zip(_of_users(python), _of_users(node), strict=True)),
        "canary_users": users,
    }


def left(answers: Answers) -> int:
    """Users who had it at a step, and not at one after it. A step a row."""
    return sum(map(_gone, _of_users(answers)))


def _gone(of_user: tuple[str | None, ...]) -> bool:
    return any(before == ON != after for before, after in pairwise(of_user))


def _of_users(answers: Answers) -> list[tuple[str | None, ...]]:
    return list(zip(*answers, strict=True))


def _users(count: int, seed: int) -> tuple[Subject, ...]:
    """All different."""
    found = dict.fromkeys(sample(count, seed))
    while len(found) < count:
        seed += 1
        found |= dict.fromkeys(sample(count - len(found), seed))
    return tuple(found)


def _ask_python(question: Question) -> Answers:
    evaluators = [Evaluator(each) for each in question.documents]
    return [[each.variant(question.flag, subject) for subject in question.subjects] for each in evaluators]
