"""Caches of prompts as both providers have them: what of a prompt is read, what is written, what is neither.

OpenAI caches by itself, prefixes of 1,024 tokens and more in steps of 128; with newer models what is written is a class of
its own, kept for 30 minutes. Anthropic caches up to the breakpoints that a
caller sets, for 5 minutes or an hour. A prefix here ends where a block of the prompt (a message, a tool, a text) ends.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_LEAST_TOKENS = 1024
_STEP_TOKENS = 128
_SECONDS = {"5m": 300.0, "1h": 3600.0, "auto": 1800.0}
_MOST_PREFIXES = 50_000


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a prompt; `breakpoint` is "5m" or "1h" where the caller set one behind it."""

    content: bytes
    tokens: int
    breakpoint: str = ""


@dataclass(frozen=True, slots=True)
class Split:
    """The classes of a prompt's tokens; their sum is the prompt."""

    uncached: int = 0
    read: int = 0
    write_5m: int = 0
    write_1h: int = 0
    write_30m: int = 0

    @property
    def total(self) -> int:
        """All input tokens."""
        return self.uncached + self.read + self.write_5m + self.write_1h + self.write_30m


@dataclass(frozen=True, slots=True)
class Plan:
    """A split, and what to remember if the prompt is taken."""

    split: Split
    prefixes: Sequence[tuple[bytes, str]] = ()


class PromptCache:
    """Which prefixes were seen, and until when they count; *clock* is monotonic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[bytes, float] = {}

    def split(self, scope: str, blocks: Sequence[Block], *, automatic: bool, writes: bool = False) -> Plan:
        """How a prompt would be counted now.

        *scope*: caches are shared by nobody outside it. *automatic*: without breakpoints; *writes*: telling what is written.
        """
        prefixes = _prefixes(scope, blocks)
        total = prefixes[-1][1] if prefixes else 0
        long = [each for each in prefixes if each[1] >= _LEAST_TOKENS]
        if automatic:
            return Plan(self._automatic(long, total, writes=writes), [(digest, "auto") for digest, _, _ in long])
        asked = [each for each in long if each[2]]
        return Plan(self._asked(asked, total), [(digest, duration) for digest, _, duration in asked])

    def remember(self, plan: Plan) -> None:
        """The prompt was taken: its prefixes count from now on, and those that were read count anew."""
        for digest, duration in plan.prefixes:
            while len(self._until) >= _MOST_PREFIXES:
                self._until.pop(next(iter(self._until)))
            self._until[digest] = self._clock() + _SECONDS[duration]

    def forget(self) -> None:
        """Everything."""
        self._until.clear()

    def _automatic(self, long: list[tuple[bytes, int, str]], total: int, *, writes: bool) -> Split:
        found = max((tokens for digest, tokens, _ in long if self._fresh(digest)), default=0)
        read = found // _STEP_TOKENS * _STEP_TOKENS
        reached = max((tokens for _, tokens, _ in long), default=0) // _STEP_TOKENS * _STEP_TOKENS if writes else read
        return Split(uncached=total - max(read, reached), read=read, write_30m=max(0, reached - read))

    def _asked(self, asked: list[tuple[bytes, int, str]], total: int) -> Split:
        read = max((tokens for digest, tokens, _ in asked if self._fresh(digest)), default=0)
        written = {"5m": 0, "1h": 0}
        reached = read
        for _, tokens, duration in asked:
            written[duration] += max(0, tokens - reached)
            reached = max(reached, tokens)
        return Split(total - reached, read, written["5m"], written["1h"])

    def _fresh(self, digest: bytes) -> bool:
        return self._until.get(digest, 0.0) > self._clock()


def _prefixes(scope: str, blocks: Sequence[Block]) -> list[tuple[bytes, int, str]]:
    """(digest of all up to here, tokens up to here, breakpoint) for each block."""
    running = hashlib.blake2b(scope.encode(), digest_size=16)
    found: list[tuple[bytes, int, str]] = []
    tokens = 0
    for block in blocks:
        running.update(len(block.content).to_bytes(8, "big") + block.content)
        tokens += block.tokens
        found.append((running.digest(), tokens, block.breakpoint))
    return found
