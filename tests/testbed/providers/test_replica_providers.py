"""The replica's own twins: as `clients.json` names them, and after a kill."""

from __future__ import annotations

import json
from pathlib import Path

import anthropic
import openai
import pytest

from replica import faults, start
from replica.server import Place
from replica.servers import SERVERS
from replica.servers.providers import clients_file
from tests.testbed.providers.ground import ASKED

pytestmark = pytest.mark.without_search


@pytest.fixture
def described(replica: Place):
    start.up(replica.state, SERVERS, ["providers"])
    return json.loads(clients_file(replica).read_text())


def _secret(reference: str) -> str:
    return Path(reference.removeprefix("file:")).read_text().strip()


def test_clients_find_their_way_by_the_file_and_a_kill_is_mended(replica: Place, described) -> None:
    assert clients_file(replica).stat().st_mode & 0o777 == 0o600
    ours, theirs = described["openai"], described["anthropic"]
    (key,) = ours["accounts"]["openai-main"]["keys"].values()
    pool = theirs["accounts"]["anthropic-main"]["keys"]
    assert len(pool) == 3
    with openai.OpenAI(api_key=_secret(key), base_url=ours["url"] + "/v1", max_retries=0) as client:
        said = client.chat.completions.create(model="gpt-6-luna", messages=ASKED).choices[0].message.content
        faults.kill(replica.state, "providers")
        start.up(replica.state, SERVERS, ["providers"])
        again = client.chat.completions.create(model="gpt-6-luna", messages=ASKED).choices[0].message.content
    assert said == again
    with anthropic.Anthropic(
        api_key=_secret(pool["apikey_platform_3"]), base_url=theirs["url"], max_retries=0
    ) as client:
        assert client.messages.create(model="claude-haiku-5-5", max_tokens=9, messages=ASKED).content
