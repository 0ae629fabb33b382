"""Python's and Node's SDK, both real, about the same users: at every step of a rollout they say the same."""

from __future__ import annotations

import json
import time
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from steward.flags import Audience, Flag, Split
from steward.flags.agreement import agreement, compared, rehearsal, require_agreement, sample
from steward.flags.buckets import Subject
from steward.flags.documents import document
from steward.flags.errors import AgreementUnknown, FlagDocumentRefused, SdksDisagree
from steward.flags.node import Question, ask_node
from tests.unit.flags.broken import REFUSED_BY_FLAGD
from tests.unit.flags.strategies import BRIEF, SUBJECTS, VALUES, flags

pytestmark = pytest.mark.without_search

FOLDER = Path(str(files("deployments"))) / "flags" / "agreement"
RECORDED = json.loads((Path(__file__).parents[1] / "golden" / "flags" / "core_2_0_0.json").read_text())
FLAG = Flag(
    key="new-search",
    variants={"on": True, "off": False},
    off="off",
    audiences=(Audience(variant="on", tenants=("tenant-7",), users=("user-1", "ada")),),
)
EXPERIMENT = Flag(
    key="button",
    variants={"red": "#f00", "blue": "#00f", "off": ""},
    off="off",
    split=Split(weights=(("red", 20), ("blue", 30), ("off", 50))),
)
STEPS = (5, 25, 50, 100)


def test_both_put_the_same_users_into_every_step_of_a_rollout():
    found = agreement(rehearsal(FLAG, "on", STEPS, time.time()), sample(5000), FOLDER)
    require_agreement(found)
    assert (found.ids, found.states, found.disagreeing) == (5000, 6, 0)
    assert found.python_version.startswith("openfeature-flagd-core 1.0.0 on Python 3.")
    assert found.node_version.startswith("@openfeature/flagd-core 4.0.1 on Node ")


def test_both_split_an_experiment_alike():
    require_agreement(agreement([EXPERIMENT], sample(5000), FOLDER))


@pytest.mark.parametrize("kind", sorted(VALUES))
@given(data=st.data())
@settings(BRIEF, max_examples=2, phases=[Phase.generate])
def test_both_read_every_flag_alike_and_flagds_own_schema_takes_its_document(kind, data):
    """Two questions of twenty flags: starting Node is what takes time."""
    states = data.draw(st.lists(flags("x", kind), min_size=20, max_size=20))
    require_agreement(agreement(states, data.draw(st.lists(SUBJECTS, min_size=10, max_size=10)), FOLDER))


@pytest.mark.parametrize("broken", REFUSED_BY_FLAGD.values(), ids=REFUSED_BY_FLAGD)
def test_what_our_schema_was_tried_with_is_broken_to_flagds_own(broken):
    with pytest.raises(FlagDocumentRefused, match="Node's SDK refuses"):
        ask_node(Question((broken,), "x", "boolean", (Subject("ada"),)), FOLDER, 60)


def test_the_check_finds_a_core_that_hashes_other_bytes():
    """openfeature-flagd-core 2.0.0, as it answered: recorded once, for two releases do not go into one environment."""
    flag = FLAG.changed(audiences=()).exposing(RECORDED["percent"], "on")
    assert flag.key == RECORDED["flag"]
    people = [Subject(f"user-{number}") for number in range(200)]
    recorded = ["on" if number in RECORDED["on"] else "off" for number in range(200)]
    require_agreement(agreement([flag], people, FOLDER))
    told = ask_node(Question((document([flag]),), flag.key, flag.kind, tuple(people)), FOLDER, 60)
    found = compared([flag], people, [recorded], told.variants, node_version=told.version)
    assert found.disagreeing / found.ids == pytest.approx(0.375, abs=0.1)
    with pytest.raises(SdksDisagree, match=r"'user-\d+' at on 2500, off 7500"):
        require_agreement(found)


def test_the_check_finds_keys_that_the_two_hash_in_two_ways():
    """Beyond ASCII they never agreed, with the releases that are pinned too: JavaScript's hash takes UTF-16."""
    people = [Subject(f"Jörg-{number}") for number in range(500)]
    found = agreement([FLAG.exposing(25, "on")], people, FOLDER)
    assert found.disagreeing > 100
    with pytest.raises(SdksDisagree, match="ASCII"):
        require_agreement(found)


def test_a_user_whom_nobody_hashes_is_told_by_name_in_both():
    people = [Subject("Jörg"), Subject("x", "tenant-é")]
    named = FLAG.changed(audiences=(Audience(variant="on", users=("Jörg",), tenants=("tenant-é",)),))
    require_agreement(agreement([named], people, FOLDER))


def test_an_installation_without_its_packages_is_unknown(tmp_path):
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "evaluate.mjs").write_text((FOLDER / "evaluate.mjs").read_text())
    with pytest.raises(AgreementUnknown, match="@openfeature/flagd-core"):
        agreement([FLAG], sample(1), tmp_path)
