"""What the runbook of the night tells a person to send, sent."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows.nightly_snapshot import nightly_snapshot
from replica.elasticsearch import api
from replica.elasticsearch.clusters import HAND, PRODUCTION

RUNBOOK = Path(__file__).parents[2] / "docs" / "runbooks" / "nightly-snapshot.md"
REQUEST = re.compile(r"^ *```json\n *([A-Z]+) (\S+)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)


def requests(**said):
    """Method, path and body of each request on the page, with what stands for names replaced."""
    text = RUNBOOK.read_text()
    for name, value in said.items():
        text = text.replace(name, value)
    return [(method, path, json.loads(body) if body.strip() else None) for method, path, body in REQUEST.findall(text)]


@pytest.fixture
def hand(replica):
    """The user of a person with all rights, as in an emergency."""
    return api.connect(replica, PRODUCTION, "es-1", HAND)


def test_one_tenant_is_restored_from_last_night_beside_what_is_there_and_then_in_its_place(fresh, hand):
    policy = fresh.model_copy(update={"blobs": False, "offsite": False})
    report = nightly_snapshot(policy, datetime.now(UTC).date())
    name = policy.tenants[0]
    alias, old, new = (f"tenant-{name}", f"tenant-{name}-000001", f"tenant-{name}-000002")
    held = next(each.documents for each in report.tenants if each.tenant == name)
    restore, count, block, switch = requests(ACME=name, SNAPSHOT=report.snapshot)
    try:
        assert hand.call(*restore)["snapshot"]["shards"]["failed"] == 0
        assert hand.call(*count)["count"] == held > 0
        assert list(hand.call("GET", f"/_alias/{alias}")) == [old], "the application sees it before it was looked at"
        assert hand.call(*block)["acknowledged"]
        assert hand.call(*switch)["acknowledged"]
        assert hand.call("GET", f"/_alias/{alias}") == {new: {"aliases": {alias: {"is_write_index": True}}}}
        hand.call("PUT", f"/{alias}/_doc/written-afterwards", {})
        assert hand.call("GET", f"/{new}/_doc/written-afterwards")["found"]
    finally:
        back = [{"add": {"index": old, "alias": alias, "is_write_index": True}}, {"remove_index": {"index": new}}]
        hand.call("PUT", f"/{old}/_settings", {"index.blocks.write": None})
        hand.call("POST", "/_aliases", {"actions": [*back]})
