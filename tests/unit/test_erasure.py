"""An erasure is proved by trying: a key that was overlooked anywhere must show."""

from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID, uuid4

import pytest

from steward.fieldcrypt.cipher import FieldCipher
from steward.fieldcrypt.tenantkeys import TenantKeys
from steward.keys.columns import EncryptedColumns
from steward.keys.erasure import Erased, Remains, check_request, complete_after
from steward.keys.erasure_errors import NotConfirmed, NotErasable, ReasonMissing
from steward.keys.erasure_proof import Shredded, Tried, try_erased, try_rows
from steward.keys.erasure_report import (
    ErasureFacts,
    ErasureNotVerified,
    ErasureReport,
    Proof,
    Sampled,
    assess_erasure,
    render_erasure,
)
from steward.verdicts import Verdict
from tests.unit.fieldcrypt.in_memory import InMemoryKeyring, InMemoryVault

NOW = datetime(2025, 7, 31, tzinfo=UTC)
FIELD = {"column": "email", "index": "email_index"}
TABLE = {"name": "customers", "row_id": ["id"], "tenant": "tenant_id", "field": [FIELD, {"column": "notes"}]}
(CUSTOMERS,) = EncryptedColumns.model_validate({"table": [TABLE]}).tables


class Row(NamedTuple):
    row_id: UUID
    tenant: str
    sealed: tuple[bytes | None, ...]


@pytest.fixture
def keyring():
    keyring = InMemoryKeyring(InMemoryVault())
    keyring.enrol("acme", "globex", "initech")
    return keyring


@pytest.fixture
def keys(keyring):
    """Makes keys as a process has them that begins now."""
    made = []

    def make():
        made.append(TenantKeys(keyring, keyring.vault))
        return made[-1]

    yield make
    for each in made:
        each.close()


def row(keys, tenant, written_by=None):
    row_id, cipher = uuid4(), FieldCipher(written_by or tenant, keys)
    email = cipher.encrypt("customers", "email", row_id, f"{row_id}@example.net")
    return Row(row_id, tenant, (email, cipher.blind_index("customers", "email", "x"), None))


def rows(keys):
    return {tenant: [row(keys, tenant) for _ in range(3)] for tenant in ("acme", "globex", "initech")}


def generations(keys, *tenants):
    return [each for tenant in tenants for each in keys.of(tenant).reading.values()]


def shredded(keys, rows, *, ids, left):
    return try_erased(keys, "app", CUSTOMERS, rows, erased_ids=ids, left=left)


def test_the_values_of_the_erased_are_noise_and_those_of_others_open(keyring, keys):
    held, ids = rows(keys()), {keyring.current("acme")}
    keyring.erase("acme")
    after = keys()
    left = generations(after, "globex", "initech")
    assert shredded(after, held["acme"], ids=ids, left=left) == Shredded(
        application="app", table="customers", rows=3, values=3, tries=6
    )
    tried = try_rows(after, "app", CUSTOMERS, held["globex"] + held["initech"])
    assert (tried.rows, tried.values, tried.opened, tried.refused) == (6, 6, 6, {})


def test_a_key_of_the_erased_that_is_left_somewhere_is_found(keyring, keys):
    held, before = rows(keys()), keys()
    overlooked = generations(before, "acme")
    keyring.erase("acme")
    found = shredded(keys(), held["acme"], ids={overlooked[0].key_id}, left=overlooked)
    assert found.opened == 3


def test_keys_that_are_still_in_memory_are_found(keyring, keys):
    before = keys()
    held = rows(before)
    found = shredded(before, held["acme"], ids={keyring.current("acme")}, left=[])
    assert found.opened == 3


def test_a_value_in_clear_is_found_for_no_erased_key_protects_it(keyring, keys):
    clear = Row(uuid4(), "acme", (b"ada@example.net" * 9, None, b""))
    keyring.erase("acme")
    found = shredded(keys(), [clear], ids=set(), left=[])
    assert (found.values, found.in_clear, found.opened) == (2, 2, 0)


def test_a_value_under_another_tenants_key_is_found(keyring, keys):
    copied = row(keys(), "acme", written_by="globex")
    ids = {keyring.current("acme")}
    keyring.erase("acme")
    found = shredded(keys(), [copied], ids=ids, left=[])
    assert (found.strange_keys, found.opened) == (1, 0)


def test_a_row_that_does_not_open_is_named_by_a_digest_alone(keys):
    lost = row(keys(), "globex", written_by="acme")
    tried = try_rows(keys(), "app", CUSTOMERS, [lost])
    assert tried.refused == {"CiphertextForeign": 1}
    (name,) = tried.failed
    assert len(name) == 16
    assert str(lost.row_id) not in tried.model_dump_json()


REMAINS = Remains(seen_at=NOW, erased_at=NOW, wraps=0, states={"destroyed": 2}, key_ids=(1, 2))
GONE = Shredded(application="app", table="customers", rows=3, values=5, tries=20)
OPEN = Tried(application="app", table="customers", rows=3, values=5, opened=5)
LOST = OPEN.model_copy(update={"opened": 4, "refused": {"CiphertextTampered": 1}, "failed": ("aa",)})
PROOF = Proof(remains=REMAINS, load_refused=True, shredded=(GONE,), others=(OPEN,))
WELL = ErasureFacts(
    erased=Erased(epoch=9, erased_at=NOW, complete_after=complete_after(NOW, 30)),
    before=Sampled(tenants_own=(OPEN,), others=(OPEN,)),
    proof=PROOF,
)


def with_proof(**values):
    return WELL.model_copy(update={"proof": PROOF.model_copy(update=values)})


def with_rows(**values):
    return with_proof(shredded=(GONE.model_copy(update=values),))


@pytest.mark.parametrize(
    ("facts", "verdict", "words"),
    [
        (WELL, Verdict.VERIFIED, ""),
        (ErasureFacts(), Verdict.UNKNOWN, ""),
        (WELL.model_copy(update={"error": "the vault is away"}), Verdict.UNKNOWN, ""),
        (WELL.model_copy(update={"lagging": ("web-1 pid 7",)}), Verdict.UNKNOWN, "web-1 pid 7"),
        (with_proof(load_refused=False), Verdict.REFUTED, "still gives"),
        (with_proof(remains=REMAINS.model_copy(update={"wraps": 1})), Verdict.REFUTED, "1 wrapped keys"),
        (with_proof(remains=REMAINS.model_copy(update={"states": {"retired": 1}})), Verdict.REFUTED, "not destroyed"),
        (with_rows(opened=1), Verdict.REFUTED, "1 of 5 values of the tenant in table customers of app still decrypt"),
        (with_rows(in_clear=2), Verdict.REFUTED, "2 values of the tenant in table customers of app are no ciphertexts"),
        (with_rows(strange_keys=1), Verdict.REFUTED, "not its own"),
        (with_proof(others=(LOST,)), Verdict.REFUTED, "1 of 5 sampled values of other tenants"),
        (
            with_proof(others=(LOST,)).model_copy(update={"before": Sampled(others=(LOST,))}),
            Verdict.UNKNOWN,
            "did not before the erasure",
        ),
    ],
)
def test_only_an_erasure_that_was_tried_and_found_whole_is_verified(facts, verdict, words):
    found, findings = assess_erasure(facts)
    assert found is verdict
    assert words in " ".join(each.fact for each in findings)


def test_what_is_shown_says_until_when_it_is_not_complete():
    verdict, findings = assess_erasure(WELL)
    report = ErasureReport(
        **{name: getattr(WELL, name) for name in type(WELL).model_fields},
        tenant="acme",
        reason="ticket 12",
        period="for ever",
        attempt=1,
        verdict=verdict,
        findings=findings,
        retention_days=30,
        started_at=NOW,
        ended_at=NOW,
    )
    shown = render_erasure(report)
    assert "verdict: VERIFIED" in shown
    assert "Complete after 2025-08-30 00:00:00 UTC" in shown
    assert "acme" in ErasureNotVerified(report).message


@pytest.mark.parametrize(
    ("request_", "refusal", "seen"),
    [
        (("acme", "acne", "ticket 12"), NotConfirmed, "'acne'"),
        (("acme", "", "ticket 12"), NotConfirmed, "''"),
        (("acme", "acme", "  "), ReasonMissing, "'acme'"),
        (("golden", "golden", "ticket 12"), NotErasable, "'golden'"),
    ],
)
def test_what_must_not_be_erased_is_refused_in_words(request_, refusal, seen):
    with pytest.raises(refusal) as refused:
        check_request(*request_)
    assert seen in refused.value.message
    assert refused.value.hint
