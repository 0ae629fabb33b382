"""A delivery that never arrived begins its run all the same, once: GitHub's list brings it in, and its redelivery is a repeat."""

import pytest

from flows.reconcile_webhooks import ReconcileRequest, reconcile_webhooks
from steward.verdicts import Verdict
from tests.integration.dispatch_ground import Work, runs_of
from tests.integration.github_ground import HOOK
from tests.integration.webhook_dispatcher.ground import deploys, only
from tests.integration.webhooks_ground import Receiver, rows
from tests.watching.ground import written

pytestmark = pytest.mark.without_search


@pytest.fixture
def receiver(settings, github, tmp_path):
    """Where GitHub delivers; it does not run yet."""
    made = Receiver(settings, tmp_path)
    github.direct(f"http://127.0.0.1:{made.port}/webhooks/github")
    # Noted as old enough to be looked at: a younger one may still be on its way.
    github.turn(age_seconds=300)
    yield made
    made.close()
    github.direct("")


@pytest.fixture
def reconciled(settings, in_replica, tmp_path, monkeypatch):
    monkeypatch.setenv("STEWARD_SETTINGS", str(written(settings, tmp_path)))
    return lambda: reconcile_webhooks(ReconcileRequest(label="lost-delivery"))


def test_a_delivery_that_never_arrived_begins_one_run(github, receiver, reconciled, client, target):
    settings, before = receiver.settings, len(github.deliveries())
    made = github.deploy(payload={"release": "v5"})
    lost = github.noted(before + 1)[0]
    assert lost["status_code"] == 502
    report = reconciled()
    assert report.verdict is Verdict.VERIFIED
    (brought,) = report.outcomes[0].recovered
    assert (brought.guid, brought.key, brought.is_new) == (lost["guid"], f"deployment/{made['id']}/created", True)
    work = Work(settings, deploys(target))
    work.do()
    (run,) = runs_of(client, brought.key, "github", "deploy")
    assert (only(settings, brought.row)["run_id"], run.parameters) == (run.id, {"request": {"release": "v5"}})

    receiver.start()
    github.ask("POST", f"/hooks/{HOOK}/deliveries/{lost['id']}/attempts", status=202)
    assert github.noted(before + 2)[0]["status_code"] == 200
    work.do()
    assert [each.id for each in runs_of(client, brought.key, "github", "deploy")] == [run.id]
    (kept,) = [each for each in rows(settings) if each["key"] == brought.key]
    assert (kept["how"], kept["repeats"]) == ("reconciled", 1)
