"""Invoices that a person imports: checked before they are kept, kept for good, and the newest counts."""

from __future__ import annotations

import datetime as dt
import json
import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest

from replica import inventory
from steward.__main__ import main
from steward.clients.cost_invoices import import_invoice, latest_invoice
from steward.clients.s3 import open_evidence_bucket
from steward.costs.period import PeriodInvalid
from steward.costs.statements.invoices import InvoiceUnusable
from steward.errors import BadInput
from steward.settings import Costs, Provider, load
from tests.unit.costs.statement_samples import MONTH, invoice_json, line

pytestmark = pytest.mark.without_search

BODY = invoice_json([line("12.00"), line("3.01", **{"class": "input"})])
CORRECTED = invoice_json([line("12.00"), line("3.02", **{"class": "input"})])


@pytest.fixture
def account():
    """That no other run has: what is kept is kept for good."""
    return f"openai-{secrets.token_hex(4)}"


@pytest.fixture
def settings(replica, account, tmp_path):
    terms = tmp_path / "terms.toml"
    terms.write_text(f'[accounts.{account}]\norganization = "org"\n')
    provider = Provider(kind="openai", url="https://api.openai.com", key="file:/nowhere")
    described = {"providers": {account: provider, "other": provider}, "costs": Costs(terms=terms)}
    return load(inventory.settings_file(replica)).model_copy(update=described)


@pytest.fixture
def objects(settings):
    with open_evidence_bucket(settings) as bucket:
        yield bucket


def counting(objects, account, month=MONTH):
    return latest_invoice(objects, account, "openai", month)


def test_an_imported_invoice_is_locked_and_counts(settings, objects, account) -> None:
    assert counting(objects, account) is None
    stored = import_invoice(settings, account, MONTH, BODY)
    assert stored.object_key == f"ai-costs/invoices/{account}/{MONTH}/001.json"
    kept = objects.get(stored.object_key, stored.version_id)
    assert kept.body == BODY
    assert kept.locked_until > dt.datetime.now(dt.UTC)
    found, named = counting(objects, account)
    assert (str(found.payable), named) == ("15.01", stored)
    assert counting(objects, account, "2026-09") is None


def test_the_same_file_again_is_no_new_invoice_and_a_corrected_one_counts(settings, objects, account) -> None:
    first = import_invoice(settings, account, MONTH, BODY)
    assert import_invoice(settings, account, MONTH, BODY) == first
    second = import_invoice(settings, account, MONTH, CORRECTED)
    assert second.object_key.endswith("/002.json")
    # A copy of the first that somebody finds later takes nothing back.
    assert import_invoice(settings, account, MONTH, BODY) == first
    assert str(counting(objects, account)[0].payable) == "15.02"


def test_what_is_put_over_an_invoice_afterwards_does_not_count(settings, objects, account) -> None:
    stored = import_invoice(settings, account, MONTH, BODY)
    objects.client.put_object(Bucket=objects.name, Key=stored.object_key, Body=CORRECTED)
    objects.client.delete_object(Bucket=objects.name, Key=stored.object_key)
    assert counting(objects, account)[1] == stored
    assert import_invoice(settings, account, MONTH, BODY) == stored


def test_invoices_that_come_at_the_same_time_are_all_kept(settings, objects, account) -> None:
    bodies = [invoice_json([line(f"{n}.00")]) for n in range(1, 4)]
    with ThreadPoolExecutor(len(bodies)) as pool:
        stored = list(pool.map(lambda body: import_invoice(settings, account, MONTH, body), bodies))
    assert sorted(each.object_key[-8:] for each in stored) == ["001.json", "002.json", "003.json"]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (invoice_json([line("1.00")], period_start="2026-09-01T00:00:00Z"), "period_start"),
        (invoice_json([line("1.00")], currency="EUR"), "currency is EUR, expected USD"),
        (invoice_json([line("1.00")], issuer="anthropic"), "issuer is anthropic, expected openai"),
        (invoice_json([line("1.00")], organization="org-of-others"), "organization org-of-others"),
        (invoice_json([line("1.00")], total="2.00"), "add up"),
        (BODY[:200], "no JSON"),
        (b"\x89PNG\r\n\x1a\n\xff\x00", "no JSON"),
        (b"", "no JSON"),
        (b"[]", "invoice"),
        (json.dumps({"object": "list", "data": []}).encode(), "invoice_id"),
    ],
)
def test_what_is_not_that_invoice_is_refused_and_not_kept(settings, objects, account, body, why) -> None:
    with pytest.raises(InvoiceUnusable, match=why):
        import_invoice(settings, account, MONTH, body)
    assert counting(objects, account) is None


def test_an_account_or_a_month_that_there_is_not_is_refused(settings, account) -> None:
    with pytest.raises(BadInput, match="no account 'nobody'; known"):
        import_invoice(settings, "nobody", MONTH, BODY)
    with pytest.raises(PeriodInvalid):
        import_invoice(settings, account, "../2026-10", BODY)
    with pytest.raises(BadInput, match="tell of no costs"):
        import_invoice(settings.model_copy(update={"costs": None}), account, MONTH, BODY)


def test_the_command_tells_what_counts_and_what_is_wrong(settings, account, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("steward.__main__.load", lambda _: settings)
    file = tmp_path / "invoice.json"
    file.write_bytes(BODY)
    assert main(["costs", "import-invoice", account, MONTH, str(file)]) == 0
    assert f"ai-costs/invoices/{account}/{MONTH}/001.json" in capsys.readouterr().out
    assert main(["costs", "import-invoice", account, MONTH, str(tmp_path / "absent.json")]) == 1
    told = capsys.readouterr().err
    assert "absent.json: No such file" in told
    assert "HINT: " in told
