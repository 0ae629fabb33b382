"""Two SDKs' answers beside each other: whoever gets two variants is found, and what could not be asked is no yes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from steward.errors import is_transient
from steward.flags import Flag, node
from steward.flags.agreement import Agreement, agreement, compared, rehearsal, require_agreement, sample
from steward.flags.buckets import Subject, variant_of
from steward.flags.errors import AgreementTimedOut, AgreementUnknown, FlagDocumentRefused, SdksDisagree

FLAG = Flag(key="new-search", variants={"on": True, "off": False}, off="off").exposing(25, "on")
PEOPLE = [Subject("ada"), Subject("grace"), Subject("edsger")]
AGREED = [["on", "off", "off"]]


def beside(python, node, states=(FLAG,)):
    return compared(states, PEOPLE, python, node, python_version="Python's 1", node_version="Node's 4")


def node_that(folder: Path, script: str) -> Path:
    """A folder whose evaluation does what *script* says, in a real Node."""
    (folder / "node_modules").mkdir()
    (folder / "evaluate.mjs").write_text(script)
    return folder


def test_the_same_answers_agree_and_name_what_was_asked():
    found = beside(AGREED, AGREED)
    require_agreement(found)
    assert str(found) == "Python's 1 and Node's 4 agree on 3 users in 1 states of flag new-search"


def test_one_user_with_two_variants_is_a_disagreement_that_names_both():
    with pytest.raises(SdksDisagree) as raised:
        require_agreement(beside(AGREED, [["on", "on", "off"]]))
    assert raised.value.agreement.disagreeing == 1
    assert "Python's 1 and Node's 4 disagree on 1 of 3 users" in str(raised.value)
    assert "'grace' at on 2500, off 7500: off in Python, on in Node" in str(raised.value)
    assert raised.value.hint


def test_a_user_is_counted_once_however_many_states_differ():
    found = beside(AGREED * 2, [["off", "off", "off"]] * 2, (FLAG, FLAG.exposing(50, "on")))
    assert (found.ids, found.states, found.disagreeing, len(found.first)) == (3, 2, 1, 2)


def test_two_sdks_that_both_fall_back_to_the_application_do_not_agree():
    with pytest.raises(SdksDisagree):
        require_agreement(beside([[None, "off", "off"]], [[None, "off", "off"]]))


@pytest.mark.parametrize(("ids", "states"), [(0, 4), (10, 0)])
def test_agreement_on_nobody_is_unknown(ids, states):
    with pytest.raises(AgreementUnknown):
        require_agreement(Agreement("new-search", ids, states, 0, "1", "4"))


def test_an_sdk_that_is_not_installed_leaves_agreement_unknown_and_says_how_to_install_it(tmp_path):
    with pytest.raises(AgreementUnknown, match="not installed") as raised:
        agreement([FLAG], PEOPLE, tmp_path)
    assert "make setup" in raised.value.hint
    assert not is_transient(raised.value)


def test_a_machine_without_node_leaves_agreement_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(node, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AgreementUnknown, match="no Node"):
        agreement([FLAG], PEOPLE, node_that(tmp_path, ""))


@pytest.mark.parametrize(
    ("script", "seen"),
    [
        ("import 'a-package-that-is-not-there'", "a-package-that-is-not-there"),
        ("process.exit(3)", "it said nothing"),
        ("console.log('hello')", "something else than variants"),
        ("console.log('{}')", "something else than variants"),
        ('console.log(\'{"node":"20","core":"4","variants":[["on"]]}\')', "for everybody"),
    ],
)
def test_an_sdk_that_fails_leaves_agreement_unknown_and_says_why(tmp_path, script, seen):
    with pytest.raises(AgreementUnknown, match=seen):
        agreement([FLAG], PEOPLE, node_that(tmp_path, script))


def test_an_sdk_that_hangs_is_ended_and_may_be_asked_again(tmp_path):
    with pytest.raises(AgreementTimedOut) as raised:
        agreement([FLAG], PEOPLE, node_that(tmp_path, "setInterval(() => {}, 1000)"), timeout_seconds=0.5)
    assert is_transient(raised.value)


def test_a_document_that_the_other_sdk_refuses_is_refused(tmp_path):
    script = 'console.log(\'{"node":"20","core":"4","refused":"/flags/x must not"}\')'
    with pytest.raises(FlagDocumentRefused, match="/flags/x must not"):
        agreement([FLAG], PEOPLE, node_that(tmp_path, script))


def test_a_rehearsal_goes_through_every_step_the_lapse_of_the_lease_and_the_kill():
    states = rehearsal(FLAG.changed(killed=True), "on", (5, 25, 50, 100), time.time())
    shares = [
        100 * sum(variant_of(flag, Subject(f"user-{n}"), time.time()) == "on" for n in range(2000)) / 2000
        for flag in states
    ]
    assert shares == [pytest.approx(5, abs=2), pytest.approx(25, abs=4), pytest.approx(50, abs=5), 100, 0, 0]


def test_a_sample_has_keys_of_ascii_of_every_shape_and_is_the_same_again():
    people = sample(1000)
    assert people == sample(1000)
    assert len(set(people)) > 990
    assert all(subject.user and subject.user.isascii() for subject in people)
