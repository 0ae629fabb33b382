"""Accounts that no other run of tests names, and what is kept of a day of theirs."""

from __future__ import annotations

import secrets

from steward.clients.cost_pages import load_bill
from steward.clients.s3 import open_evidence_bucket
from steward.costs.kept import StoredObject
from tests.keyring_ground import query

OPENAI = "openai-" + secrets.token_hex(4)
ANTHROPIC = "anthropic-" + secrets.token_hex(4)
SOMEWHERE = StoredObject(object_key="ai-costs/days/x", version_id="v", sha256="a" * 64)


class Killed(BaseException):
    """As a process that dies: nothing catches it."""


def bill(settings, reading):
    with open_evidence_bucket(settings) as objects:
        return load_bill(objects, reading)


def objects_of(settings, account, day):
    with open_evidence_bucket(settings) as objects:
        return objects.first_versions(f"ai-costs/pages/{account}/{day}/")


def rows(settings, day):
    columns = "account, reading, report, number, sha256, object_key, version_id"
    return query(settings, f"SELECT {columns} FROM steward.cost_pages WHERE day = %s ORDER BY object_key", day)  # noqa: S608  the test's own words
