"""What the flag server serves of what it read, and whom it knows."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.flags.board import Board
from services.flags.serving import Assembly
from services.flags.tokens import Tokens
from services.problems import Refused
from steward.clients.flag_store import Store, StoredFlag, UnreadableFlag
from steward.flags.model import Flag
from steward.settings import Flags

NOW = datetime(2026, 11, 26, tzinfo=UTC)


def stored(key="search", version=1, percent=25, **fields):
    flag = Flag(key=key, variants={"on": True, "off": False}, off="off", **fields).exposing(percent, "on")
    return StoredFlag(flag, version, 0, NOW)


def document_of(served):
    return json.loads(served.configuration)


def test_a_document_tells_its_revision():
    served = Assembly().make(Store(7, (stored(),)))
    assert document_of(served)["metadata"] == {"revision": 7}
    assert served.refused == {}


def test_a_flag_that_is_not_valid_is_served_as_it_was_with_its_kill():
    assembly = Assembly()
    good = stored()
    assembly.make(Store(1, (good,)))
    bad = replace(good, version=2, flag=good.flag.model_copy(update={"off": "neither"}))
    served = assembly.make(Store(2, (bad, stored("other"))))
    assert list(served.refused) == ["search"]
    assert document_of(served)["flags"]["search"]["targeting"]["fractional"][0] == ["on", 2500]
    assert "other" in document_of(served)["flags"]
    killed = replace(bad, version=3, flag=bad.flag.model_copy(update={"killed": True}))
    assert "targeting" not in document_of(assembly.make(Store(3, (killed,))))["flags"]["search"]
    mended = assembly.make(Store(4, (stored(version=4, percent=50),)))
    assert mended.refused == {}
    assert document_of(mended)["flags"]["search"]["targeting"]["fractional"][0] == ["on", 5000]


def test_a_flag_that_was_never_readable_is_left_to_the_applications_own_default():
    served = Assembly().make(Store(1, (), (UnreadableFlag("search", 1, False, "it is no flag"),)))
    assert document_of(served)["flags"] == {}
    assert served.refused == {"search": "it is no flag"}


def test_a_renewed_lease_is_served_without_looking_again():
    assembly = Assembly()
    assembly.make(Store(1, (stored(lease_until=100),)))
    served = assembly.make(Store(2, (stored(lease_until=160),)))
    assert '"<": [{"var": "$flagd.timestamp"}, 160]' in served.configuration


def test_who_waits_gets_the_newest_and_no_older_one():
    async def told():
        board = Board()
        board.take(Store(5, (stored(),)))
        first = await board.newer(None)
        waiting = asyncio.create_task(board.newer(first))
        await asyncio.sleep(0)
        board.take(Store(4, (stored(percent=5),)))
        await asyncio.sleep(0)
        assert not waiting.done()
        assert (board.served, board.behind) == (first, 4)
        for revision in (6, 7):
            board.take(Store(revision, (stored(),)))
        assert (await waiting).revision == 7
        board.lost("the network is away")
        assert board.lines()[0].startswith("ok: revision 7")
        assert "the network is away" in board.lines()[1]

    asyncio.run(told())


@pytest.fixture
def tokens(tmp_path):
    for name in ("ada", "bob"):
        (tmp_path / name).write_text(f"token-of-{name}")
    made = Flags.model_validate(
        {
            "sync": "localhost:8015",
            "url": "https://flags.example",
            "tokens": {
                "ada": {"role": "writer", "token": f"file:{tmp_path / 'ada'}"},
                "bob": {"role": "reader", "token": f"file:{tmp_path / 'bob'}"},
            },
        }
    )
    found = Tokens(made, None)
    found.read()
    return found


def test_a_token_says_who_comes_and_what_they_may(tokens):
    ada, bob = tokens.find("Bearer token-of-ada"), tokens.find("bearer token-of-bob")
    assert (ada.name, ada.may_write, bob.name, bob.may_write) == ("ada", True, "bob", False)
    tokens.demand_writer(ada)
    with pytest.raises(Refused, match="bob may read; ada may change flags"):
        tokens.demand_writer(bob)


def test_a_token_that_may_be_among_those_not_read_yet_is_not_called_unknown(tokens, tmp_path):
    (tmp_path / "bob").unlink()
    fresh = Tokens(tokens._flags, None)
    fresh.read()
    assert fresh.find("Bearer token-of-ada").name == "ada"
    with pytest.raises(Refused) as refused:
        fresh.find("Bearer token-of-bob")
    assert refused.value.status == 503


def test_a_token_that_is_changed_counts_without_a_restart_and_one_that_cannot_be_read_stays(tokens, tmp_path):
    (tmp_path / "ada").write_text("another")
    (tmp_path / "bob").unlink()
    tokens.read()
    assert tokens.find("Bearer another").name == "ada"
    assert tokens.find("Bearer token-of-bob").name == "bob"
    with pytest.raises(Refused, match="needs a token"):
        tokens.find("Bearer token-of-ada")


def test_the_server_takes_a_rollout_back_without_scipy():
    """It is installed with `flags` alone, and has to be back within a second."""
    told = "import sys, services.flags.answering; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", told], check=True, capture_output=True, text=True)
    assert not {"scipy", "numpy", "prefect"} & set(done.stdout.split())
