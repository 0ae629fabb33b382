"""Which keys of an account go, which one comes, and what a rotation is judged to have come to."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from services.gateway.credentials import Credential, Credentials
from steward.ai import keys
from steward.ai.key_rotation import (
    KEY_ID,
    REPLACES,
    KeysBegun,
    NewKey,
    OldKey,
    PoolKey,
    Proof,
    Switched,
    VersionSeen,
    draw,
    old_keys,
    strays,
)
from steward.ai.key_rotation_errors import NotRotatable, PoolEmpty
from steward.ai.key_rotation_report import KeyRotationReport, RotationFacts, assess, not_rotated, render, warnings_of
from steward.ai.keys import ProviderKey, is_hint_of, prefix_of, version_of
from steward.errors import BadInput
from steward.settings import Provider, Settings
from steward.verdicts import Verdict

SECRET = "sk-svcacct-0123456789-Ab3d"
BEGUN = KeysBegun(
    account="openai",
    kind="openai",
    secret="provider-openai",
    started_at=datetime(2026, 11, 26, tzinfo=UTC),
    version="v1",
    fingerprint="f1",
    old=(OldKey(id="key_1", version="v1"),),
    workers=("gateway-1",),
)
NEW = NewKey(id="key_2", secret="s", version="v", fingerprint="f2")
PROVED = Proof(new_answers=True, refused_attempts=0, attempts=7)
DONE = RotationFacts(new=NEW, switched=Switched(version="v2"), revoked=("key_1",), proof=PROVED)


def key(key_id, *, hint="", owner="", name="", active=True):
    return ProviderKey(id=key_id, name=name or key_id, hint=hint, owner=owner, is_active=active)


def seen(version, **tags):
    return VersionSeen(version=version, tags={name.replace("_", "-"): value for name, value in tags.items()})


@pytest.mark.parametrize(
    ("hint", "fits"),
    [
        ("sk-svca...Ab3d", True),
        ("sk-**********Ab3d", True),
        ("sk-…Ab3d", True),
        ("sk-svca...Zz9z", False),
        ("sk-proj...Ab3d", False),
        # By chance, or by everything.
        ("sk-...b3d", None),
        ("sk-...", None),
        ("", None),
        ("Ab3d", None),
    ],
)
def test_a_hint_fits_the_secret_whose_both_ends_it_shows(hint, fits):
    assert is_hint_of(hint, SECRET) is fits


def test_the_tag_of_the_version_in_use_tells_which_key_goes_and_without_one_the_hint_does():
    listed = [key("key_1", hint="sk-svca...Ab3d", owner="sa_1"), key("key_9", hint="sk-svca...Zz9z")]
    tagged = seen("v1", key_id="key_1")
    assert old_keys(tagged, SECRET, [tagged], listed) == (OldKey(id="key_1", owner="sa_1", version="v1"),)
    bare = seen("v1")
    assert old_keys(bare, SECRET, [bare], listed) == (OldKey(id="key_1", owner="sa_1", version="v1"),)
    assert old_keys(bare, "sk-another", [bare], listed) == ()


def test_a_tag_that_names_a_key_of_other_looks_is_not_believed():
    with pytest.raises(
        NotRotatable, match=r"names key_1, which the provider shows as sk-svca\.\.\.Ab3d: it is another"
    ):
        old_keys(seen("v1", key_id="key_1"), "sk-another", [], [key("key_1", hint="sk-svca...Ab3d")])


def test_two_keys_that_look_alike_are_told_apart_by_a_person():
    with pytest.raises(NotRotatable, match="2 keys that could be the one in use: key_1, key_2") as refused:
        old_keys(seen("v1"), SECRET, [], [key(name, hint="sk-svca...Ab3d") for name in ("key_2", "key_1")])
    assert KEY_ID in refused.value.hint


def test_keys_that_an_earlier_rotation_left_alive_go_too_and_revoked_ones_are_not_thought_of():
    versions = [seen("v2", key_id="key_2", steward_replaces="key_1"), seen("v0", key_id="key_0"), seen("v9", other="x")]
    listed = [key("key_2"), key("key_1"), key("key_0", active=False), key("key_8")]
    found = old_keys(versions[0], SECRET, versions, listed)
    assert found == (OldKey(id="key_1"), OldKey(id="key_2", version="v2"))
    assert REPLACES == "steward-replaces"


def test_a_service_account_that_has_other_keys_is_not_taken_back():
    listed = [key("key_1", owner="sa"), key("key_7", owner="sa")]
    with pytest.raises(NotRotatable, match="sa of a key that is to go has others too: key_7"):
        old_keys(seen("v1", key_id="key_1"), SECRET, [], listed)


def test_the_pool_gives_what_this_operation_took_already_else_the_first_that_the_provider_has():
    pool = [
        PoolKey(secret="c", key_id="k3", state="available"),
        PoolKey(secret="a", key_id="k1", state="available"),
        PoolKey(secret="b", key_id="k2", state="taken", operation="7/1"),
        PoolKey(secret="0", key_id="", state="available"),
        PoolKey(secret="1", key_id="k0", state="refused"),
    ]
    listed = [key("k1", active=False), key("k2"), key("k3")]
    assert draw(pool, listed, "7/1", "claude").secret == "b"
    assert draw(pool, listed, "8/1", "claude").secret == "c"
    with pytest.raises(
        PoolEmpty, match="pool of claude has no key left; the provider has no active key of the ids of 2"
    ):
        draw(pool, [], "8/1", "claude")


def test_only_what_this_installation_made_for_the_account_and_no_version_held_is_a_stray():
    prefix = prefix_of("0a1b2c3d-4e5f", "openai")
    listed = [
        key("key_1", name=f"{prefix}17-1"),
        key("key_2", name=f"{prefix}18-1"),
        key("key_3", name=f"{prefix}16-1"),
        key("key_4", name=prefix_of("ffffffff", "openai") + "17-1"),
        key("key_5", name=prefix_of("0a1b2c3d", "openai-batch") + "17-1"),
        key("key_6", name="by hand"),
    ]
    versions = [seen("v2", key_id="key_2", steward_replaces="key_3")]
    assert [each.id for each in strays(listed, prefix, versions)] == ["key_1"]


@pytest.mark.parametrize(
    ("facts", "verdict", "words"),
    [
        (DONE, Verdict.VERIFIED, ""),
        (RotationFacts(), Verdict.UNKNOWN, ""),
        (RotationFacts(error="VaultUnavailable: away"), Verdict.UNKNOWN, ""),
        (
            RotationFacts(new_key_refused=True, error="refused"),
            Verdict.REFUTED,
            "does not take the new key: the old one",
        ),
        (DONE.model_copy(update={"revoked": None, "proof": None, "lagging": ("w",)}), Verdict.UNKNOWN, "worker w does"),
        (
            DONE.model_copy(update={"revoked": None, "proof": None, "open_attempts": 2}),
            Verdict.UNKNOWN,
            "2 attempts under",
        ),
        (DONE.model_copy(update={"error": "tidying failed"}), Verdict.UNKNOWN, ""),
        *(
            (DONE.model_copy(update={"proof": PROVED.model_copy(update=change)}), verdict, words)
            for change, verdict, words in [
                ({"still_answer": ("key_1",)}, Verdict.REFUTED, "key_1 was revoked, and the provider still takes it"),
                ({"new_answers": False}, Verdict.REFUTED, "which is in use"),
                ({"refused_attempts": 3}, Verdict.REFUTED, "refused 3 attempts"),
                ({"lagging": ("w",)}, Verdict.UNKNOWN, "worker w does"),
            ]
        ),
    ],
)
def test_what_was_seen_to_be_wrong_is_refuted_and_what_was_not_seen_is_unknown(facts, verdict, words):
    judged, findings = assess(facts)
    assert judged is verdict
    assert words in " ".join(findings)


def test_a_report_says_which_key_is_in_use_and_warns_of_an_empty_pool():
    facts = DONE.model_copy(update={"new": NEW.model_copy(update={"pool_left": 1}), "revoked": None, "proof": None})
    verdict, findings = assess(facts)
    report = KeyRotationReport(
        account="openai",
        reason="ticket 7",
        period="p",
        attempt=1,
        verdict=verdict,
        begun=BEGUN,
        facts=facts,
        findings=findings,
        warnings=warnings_of(BEGUN, facts),
        ended_at=BEGUN.started_at,
    )
    shown = render(report)
    assert shown.index("verdict: UNKNOWN") < shown.index("the new key is in use, the old one is not revoked")
    assert "the pool of openai has 1 keys left" in shown
    assert "the next rotation revokes it" in not_rotated(report).message
    assert warnings_of(BEGUN, DONE) == ()


def test_a_worker_tells_of_a_new_key_once_no_attempt_can_have_chosen_the_one_before(monkeypatch):
    assert Credential(SECRET, "f1").told == "f1"
    changed = Credential(SECRET, "f2", before="f1")
    assert (changed.version, changed.told) == ("f2", "f1")
    monkeypatch.setattr(keys, "ENTERING_SECONDS", 0)
    assert changed.told == "f2"


def test_a_worker_that_has_not_read_all_its_keys_tells_of_none(tmp_path):
    (tmp_path / "one").write_text(SECRET)
    there, away = (Provider(kind="openai", url="http://a", key=f"file:{tmp_path / name}") for name in ("one", "two"))
    worker = Credentials(Settings.model_construct(providers={"a": there, "b": away}, vault=None), ["a", "b"])
    assert worker.versions is None
    with pytest.raises(BadInput, match="cannot read secret file"):
        asyncio.run(worker.refresh())
    assert worker.versions is None
    (tmp_path / "two").write_text(SECRET)
    asyncio.run(worker.refresh())
    assert worker.versions == {"a": version_of(SECRET), "b": version_of(SECRET)}


def test_a_fingerprint_is_the_beginning_of_a_hash_and_no_secret_shows_itself():
    assert (len(version_of(SECRET)), version_of(SECRET) == version_of(SECRET + "x")) == (16, False)
    assert SECRET not in repr(Credential(SECRET, "f1"))
