"""What of a prompt is read, written, or neither."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from replica.providers.prompt_cache import Block, PromptCache, Split


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _take(cache: PromptCache, blocks: list[Block], **how) -> Split:
    plan = cache.split("main", blocks, **{"automatic": False, **how})
    cache.remember(plan)
    return plan.split


LONG = Block(b"long", 2000, "5m")
TAIL = Block(b"tail", 50)


def test_a_breakpoint_is_written_once_and_then_read() -> None:
    cache = PromptCache(Clock())
    assert _take(cache, [LONG, TAIL]) == Split(uncached=50, write_5m=2000)
    assert _take(cache, [LONG, TAIL]) == Split(uncached=50, read=2000)


def test_both_durations_are_told_apart_in_one_prompt() -> None:
    cache = PromptCache(Clock())
    blocks = [Block(b"tools", 3000, "1h"), Block(b"system", 1500, "5m"), TAIL]
    assert _take(cache, blocks) == Split(uncached=50, write_1h=3000, write_5m=1500)
    assert _take(cache, [blocks[0], Block(b"other", 10)]) == Split(uncached=10, read=3000)


def test_a_cache_ends_and_a_read_renews_it() -> None:
    clock = Clock()
    cache = PromptCache(clock)
    _take(cache, [LONG])
    for _ in range(3):
        clock.now += 299
        assert _take(cache, [LONG]).read == 2000
    clock.now += 301
    assert _take(cache, [LONG]).write_5m == 2000


def test_short_prompts_and_other_prefixes_are_not_cached() -> None:
    cache = PromptCache(Clock())
    short = Block(b"short", 1023, "5m")
    assert _take(cache, [short]) == _take(cache, [short]) == Split(uncached=1023)
    _take(cache, [LONG])
    assert _take(cache, [Block(b"before", 1), LONG]).read == 0


def test_what_was_refused_is_not_remembered() -> None:
    cache = PromptCache(Clock())
    cache.split("main", [LONG], automatic=False)
    assert _take(cache, [LONG]).write_5m == 2000


def test_automatic_caches_go_in_steps_and_tell_writes_only_where_they_cost() -> None:
    blocks = [Block(b"long", 2000), TAIL]
    for writes, first in ((False, Split(uncached=2050)), (True, Split(uncached=2, write_30m=2048))):
        cache = PromptCache(Clock())
        assert _take(cache, blocks, automatic=True, writes=writes) == first
        assert _take(cache, blocks, automatic=True, writes=writes) == Split(uncached=2, read=2048)


blocks = st.lists(
    st.builds(Block, st.sampled_from([b"a", b"b", b"c"]), st.integers(0, 1500), st.sampled_from(["", "5m", "1h"])),
    max_size=6,
)


@settings(max_examples=100, deadline=None)
@given(st.lists(blocks, max_size=8), st.booleans())
def test_the_classes_always_add_up_to_the_prompt(prompts, automatic) -> None:
    cache = PromptCache(Clock())
    for prompt in prompts:
        split = _take(cache, prompt, automatic=automatic, writes=True)
        assert split.total == sum(block.tokens for block in prompt)
        assert min(split.uncached, split.read, split.write_5m, split.write_1h, split.write_30m) >= 0
