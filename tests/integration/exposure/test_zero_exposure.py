"""After every flow that deals with keys has run, on content like nothing else: no key, password, token or content is anywhere."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime

import pytest

from steward.clients.postgres import connect
from steward.evidence.envelopes import open_envelope
from steward.evidence.statements import parse_statement
from steward.evidence.store import list_statements
from steward.keys.golden import GOLDEN_TENANT
from steward.verdicts import Verdict
from tests.flows.durable_ground import wait_for
from tests.integration.exposure.planted import planted
from tests.integration.exposure.scanning import Exposed, require_unexposed
from tests.integration.exposure.sentinel_run import TENANTS

pytestmark = pytest.mark.without_search

_log = logging.getLogger(__name__)
#: What comes last of what a flow leaks.
_TOLD = (
    "SELECT 1 FROM log WHERE message LIKE 'the key is %%' AND timestamp > %s",
    "SELECT 1 FROM events WHERE event = 'steward.test.leaked' AND occurred > %s",
)


def statement(ran, flow):
    with connect(ran.settings) as connection:
        [row] = list_statements(connection, flow)
    return parse_statement(open_envelope(row.envelope.encode()).payload)


def test_nothing_is_left_anywhere(ran):
    scanned = require_unexposed(ran.secrets, ran.places())
    _log.info("%d secrets in %d places of %.0f MB", len(ran.secrets), scanned.places, scanned.bytes / 1e6)


def test_the_flows_did_what_they_are_for(ran):
    """Else there would have been nothing to leak."""
    rotation = statement(ran, "monthly-key-rotation")
    # One row of its own cannot be read any more, and is told of.
    assert rotation.verdict is Verdict.REFUTED
    assert rotation.figures["rows_reencrypted"] > 0
    assert rotation.figures["keys_destroyed"]
    assert statement(ran, "backup-keyring").verdict is Verdict.VERIFIED
    assert statement(ran, "shred-tenant").verdict is Verdict.VERIFIED
    assert statement(ran, "audit-keys").findings
    provider = statement(ran, "rotate-provider-keys")
    assert (provider.verdict, len(provider.figures["revoked"])) == (Verdict.VERIFIED, 1)
    # What it replaced, what it made, and where that lay meanwhile.
    assert sum(secret.name.startswith(ran.account.secret) for secret in ran.secrets) == 3


def test_all_that_existed_is_looked_for(ran):
    """Every tenant had a key before the rotation and has another since; the golden one too."""
    generations = dict.fromkeys([*TENANTS, GOLDEN_TENANT], 0)
    for secret in ran.secrets:
        if secret.kind == "master key":
            generations[secret.name.partition("/")[0]] += 1
    assert generations == dict.fromkeys(generations, 2)
    assert {"plaintext", "password", "private number", "master key", "field key", "record key", "provider key"} == {
        secret.kind for secret in ran.secrets
    }


@pytest.mark.parametrize(
    "flow", ["monthly-key-rotation", "backup-keyring", "rotate-provider-keys", "shred-tenant", "audit-keys"]
)
def test_each_flow_told_all_that_it_could_be_made_to_tell(ran, flow):
    run = ran.runs[flow]
    loggers = {
        name.split(".")[0]
        for (name,) in ran.ask_prefect("SELECT name FROM log WHERE flow_run_id = %s AND level = 10", run)
    }
    assert {"botocore", "urllib3", "msal"} <= loggers
    assert flow != "rotate-provider-keys" or "httpcore" in loggers
    assert ran.ask_prefect("SELECT 1 FROM artifact WHERE flow_run_id = %s", run)
    related = ran.ask_prefect("SELECT 1 FROM event_resources WHERE resource_id = %s", f"prefect.flow-run.{run}")
    assert len(related) > 3


def test_every_leak_is_found_and_named(ran):
    """Planted in each place, as it would come there: a parameter, a log line, an exception, a result …"""
    began = datetime.now(UTC)
    with planted(ran) as leaks:
        # Prefect's server writes logs and events seconds after they came: to look everywhere before that is to look twice.
        wait_for(lambda: all(ran.ask_prefect(query, began) for query in _TOLD), "log and event of the leak")

        def unfound():
            with pytest.raises(Exposed) as exposed:
                require_unexposed([leak.secret for leak in leaks], ran.places())
            return [leak for leak in leaks if not any(map(leak.is_told_by, exposed.value.leaks))]

        until = time.monotonic() + 60
        while missing := unfound():
            assert time.monotonic() < until, [(leak.secret.name, leak.where, leak.form) for leak in missing]
