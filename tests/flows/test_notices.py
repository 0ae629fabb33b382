"""Notices as steps of a durable flow: told once whatever dies, and never what ends a rollout."""

from __future__ import annotations

import tomllib

import pytest
import tomli_w

from steward.notices.notice import Told
from tests.flows.durable_ground import unique
from tests.flows.killed_runs import Death, run_killed
from tests.flows.told_samples import told_rollout
from tests.integration.notices_ground import listening

pytestmark = pytest.mark.without_search


@pytest.fixture
def heard(tmp_path):
    with listening(tmp_path) as heard:
        yield heard


@pytest.fixture
def told_settings(book, ledger_settings, heard, tmp_path, monkeypatch):
    """The ledger's settings with `[notices]`."""
    path = tmp_path / "settings.toml"
    written = {**tomllib.loads(ledger_settings.read_text()), "notices": heard.table}
    path.write_text(tomli_w.dumps(written))
    monkeypatch.setenv("STEWARD_SETTINGS", str(path))
    return path


def test_a_killed_flow_tells_each_target_and_none_without_need_a_second_time(replica, told_settings, heard):
    request = {"environment": unique("production")}
    run_killed(replica, told_settings, "tests.flows.told_samples.told_rollout", request, Death("after", "tell"))
    told = told_rollout(request)
    assert all(each.ok for each in told)
    assert len(told) == 6
    # The status is looked for before it is set, and the mail is known by its id.
    assert [status["state"] for status in heard.received.statuses] == ["in_progress", "failure"]
    assert len({mail["message-id"] for mail in heard.received.mails}) == 2
    for what in ("5 % of users have it", "is rolled back"):
        said = [text for text in heard.received.slack if what in text]
        assert said
        assert all("second time" in text for text in said[1:])


def test_a_target_that_is_away_is_told_of_and_the_flow_goes_on(told_settings, heard, tmp_path):
    (tmp_path / "webhook").write_text(heard.web.url + "/services/nobody")
    told = told_rollout({"environment": unique("production")})
    refused = Told(target="releases", ok=False, error="the webhook refuses it: 404")
    assert [each for each in told if not each.ok] == [refused, refused]
    assert len(heard.received.mails) == len(heard.received.statuses) == 2
