"""What became of a case, by its database and the bucket, and not by what the flows say of themselves."""

import json
import tempfile
from collections import Counter
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import duckdb

from steward.clients.cost_book import readings_of
from steward.clients.cost_pages import load_bill
from steward.clients.postgres import connect
from steward.clients.s3 import ObjectMissing, open_evidence_bucket
from steward.costs.focus.rows import BillingAccount, focus_rows
from steward.costs.pricing.prices import load_prices
from steward.evidence.envelopes import open_envelope
from steward.evidence.statements import parse_statement
from steward.evidence.store import list_statements
from tests.keyring_ground import query

#: Of the last line: whatever is no zero is a fault.
FAULTS = ("differing_totals", "counted_twice", "lost", "stuck", "left_over")


class Judgement:
    """Counts faults, and keeps a sentence about each."""

    def __init__(self, settings) -> None:
        self.settings = settings
        self.faults, self.told = Counter(dict.fromkeys(FAULTS, 0)), []

    def fault(self, kind, sentence, count=1):
        self.faults[kind] += count
        self.told.append(f"{kind}: {sentence}")

    def days(self, expected):
        """*expected*: by (account, day, reading) the figures of a clean run. One row each, and no other."""
        rows = query(self.settings, "SELECT account, day, reading, figures FROM steward.cost_days")
        found = Counter(row[:3] for row in rows)
        for name, count in found.items():
            if count > 1 or name not in expected:
                self.fault("counted_twice", f"{count} rows of {name}")
        figures = {row[:3]: row[3] for row in rows}
        for name, clean in expected.items():
            if figures.get(name) is None:
                self.fault("lost", f"{name} has no figures")
            elif figures[name] != clean:
                self.fault("differing_totals", f"{name}: {figures[name]}, clean: {clean}")
        self.readings(expected)

    def readings(self, expected):
        """One of each name, with as many pages as it says."""
        rows = query(
            self.settings,
            "SELECT account, day, reading, r.pages, count(*) FROM steward.cost_readings r"
            " JOIN steward.cost_pages USING (account, day, reading) GROUP BY 1, 2, 3, 4",
        )
        if {row[:3] for row in rows} != set(expected):
            self.fault("lost", f"readings {[row[:3] for row in rows]}, expected {list(expected)}")
        for row in rows:
            if row[3] != row[4]:
                self.fault("lost", f"{row[:3]} has {row[4]} of {row[3]} pages")

    def objects(self):
        """Each as its row says."""
        rows = query(self.settings, _OBJECTS)
        with open_evidence_bucket(self.settings) as bucket:
            for key, version, digest in rows:
                try:
                    body = bucket.get(key, version).body
                except ObjectMissing:
                    self.fault("lost", key)
                else:
                    if sha256(body).hexdigest() != digest:
                        self.fault("differing_totals", f"{key} is another object")
        assert rows

    def focus(self, account, expected):
        """The rows of all readings come to what the newest states, day by day; *expected*: by day."""
        with connect(self.settings) as db:
            readings = [each for day in expected for each in readings_of(db, account, day)]
        with open_evidence_bucket(self.settings) as bucket:
            bills = [load_bill(bucket, reading) for reading in readings]
        prices = load_prices(self.settings.reconciled.prices)
        found = Counter()
        for row in focus_rows(BillingAccount(account, account), bills, prices):
            found[row["ChargePeriodStart"].date()] += row["BilledCost"]
        for day, figures in expected.items():
            self.equal("counted_twice", f"FOCUS of {account} on {day}", found[day], Decimal(figures["billed"]))

    def statement(self, operation, expected, budgets):
        """One row and one piece of evidence, whose totals and FOCUS file come to the clean days' sums; alerts once."""
        billed, ledger = (sum(Decimal(each[name]) for each in expected.values()) for name in ("billed", "ledger"))
        rows = query(self.settings, "SELECT figures, sha256 FROM steward.cost_statements")
        if len(rows) != 1:
            self.fault("counted_twice" if rows else "lost", f"{len(rows)} statements")
        for figures, _ in rows:
            self.equal("differing_totals", "billed", Decimal(figures["billed"]), billed)
            self.equal("differing_totals", "ledger", Decimal(figures["ledger"]), ledger)
        evidence = self.evidence(operation)
        if not evidence:
            return
        names = {each.name: each.digest["sha256"] for each in evidence.artifacts}
        if not {row[1] for row in rows} <= set(names.values()):
            self.fault("differing_totals", "the evidence names another statement")
        self.equal("counted_twice", "FOCUS file", self._focus_file(names), billed)
        alerts = query(self.settings, "SELECT budget, threshold FROM steward.budget_alerts")
        if Counter(alerts) != Counter(budgets):
            self.fault("lost", f"alerts {alerts}, expected {budgets}")
        if len(evidence.figures["decided"]) != len(budgets):
            self.fault("lost", f"told of {evidence.figures['decided']}, expected {budgets}")

    def evidence(self, operation):
        """The one statement of *operation*, or None."""
        with connect(self.settings) as db:
            found = list_statements(db, operation)
        if len(found) != 1:
            self.fault("counted_twice" if found else "lost", f"{len(found)} pieces of evidence of {operation}")
        return parse_statement(open_envelope(found[0].envelope.encode()).payload) if found else None

    def _focus_file(self, names):
        (key,) = (name for name in names if name.endswith(".parquet"))
        with open_evidence_bucket(self.settings) as bucket, tempfile.TemporaryDirectory() as folder:
            body, file = bucket.get(key).body, Path(folder) / "focus.parquet"
            if sha256(body).hexdigest() != names[key]:
                self.fault("differing_totals", f"{key} is not what the evidence says")
            file.write_bytes(body)
            return duckdb.sql(f"SELECT sum(BilledCost) FROM read_parquet('{file}')").fetchall()[0][0]  # noqa: S608  the drill's own file

    def equal(self, kind, what, found, expected):
        if found != expected:
            self.fault(kind, f"{what}: {found}, expected {expected}")

    def closed(self):
        """No operation is open."""
        rows = query(
            self.settings,
            "SELECT name, subject, period, state FROM steward.operations WHERE state IN ('due', 'running', 'waiting')",
        )
        for row in rows:
            self.fault("stuck", f"operation {row}")

    def tidy(self, temporary):
        """Nothing that whoever was killed had in hand."""
        for left in temporary.glob("steward-*"):
            self.fault("left_over", left.name)


def said(judgement):
    return json.dumps({"faults": judgement.faults, "told": judgement.told}, indent=1, default=str)


_OBJECTS = """
SELECT object_key, version_id, sha256 FROM steward.cost_pages
UNION ALL SELECT object_key, version_id, sha256 FROM steward.cost_days WHERE object_key IS NOT NULL
UNION ALL SELECT object_key, version_id, sha256 FROM steward.cost_statements
"""
