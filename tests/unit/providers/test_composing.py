"""An answer is a function of seed and request, and of nothing else."""

from __future__ import annotations

import pytest

from replica.providers import composing

BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def _text(seed: int, body: dict) -> str:
    return composing.compose(composing.digest(seed, body), most=None, tool=None, reasons=False).text


def test_the_same_request_has_the_same_answer_however_it_is_carried() -> None:
    text = _text(1, BODY)
    assert _text(1, {**BODY, "stream": True, "stream_options": {"include_usage": True}, "user": "somebody"}) == text
    assert _text(1, dict(reversed(BODY.items()))) == text


def test_another_seed_or_another_request_has_another_answer() -> None:
    texts = {_text(1, BODY), _text(2, BODY), _text(1, {**BODY, "temperature": 0})}
    assert len(texts) == 3


@pytest.mark.parametrize("most", [1, 5, 10_000])
@pytest.mark.parametrize("reasons", [False, True])
def test_no_answer_is_longer_than_it_may_be(most, reasons) -> None:
    answer = composing.compose(composing.digest(1, BODY), most=most, tool=None, reasons=reasons)
    assert answer.output == len(answer.words) + answer.reasoning <= most
    assert answer.finish == ("length" if most < 10_000 else "stop")


@pytest.mark.parametrize(("content", "tokens"), [(b"", 0), (b"a", 1), (b"abcd", 1), (b"abcde", 2), ("äöü".encode(), 2)])
def test_a_token_is_four_bytes_begun(content, tokens) -> None:
    assert composing.count(content) == tokens


def test_vectors_are_of_length_one() -> None:
    vector = composing.vector(composing.digest(1, BODY), 256)
    assert sum(value * value for value in vector) == pytest.approx(1)


def test_arguments_satisfy_nested_schemas() -> None:
    schema = {
        "type": "object",
        "properties": {
            "place": {"type": "object", "properties": {"depth": {"type": "number"}}},
            "marks": {"type": "array", "items": {"enum": [3, 5]}},
            "sure": {"type": "boolean"},
            "none": {"type": "null"},
        },
    }
    arguments = composing.compose(b"x" * 16, most=None, tool=("mark", schema), reasons=False).arguments
    assert isinstance(arguments["place"]["depth"], float)
    assert arguments["marks"][0] in {3, 5}
    assert isinstance(arguments["sure"], bool)
    assert arguments["none"] is None
