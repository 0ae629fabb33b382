from datetime import date

import pytest

from steward.errors import Unavailable
from steward.repository.errors import ManifestUnreadable
from steward.snapshots.recovery_choice import NOT_ON_RECORD, WITHOUT_VERDICT, NoSuchCopy, choose
from steward.verdicts import Verdict
from tests.unit.recovery_samples import document, listed, request

NIGHTS = [document(date(2026, 11, day)) for day in (26, 25, 24)]
NAMES = [each.blobs.snapshot for each in NIGHTS]


def record(*verdicts):
    """Of the nights from the newest on; None where that one is not on record, "" where it came to none."""
    told = zip(NIGHTS, verdicts, strict=False)
    return {each.blobs.snapshot: (each.night, verdict or None) for each, verdict in told if verdict is not None}


def chosen(asked=None, known=None, held=NIGHTS, unreadable=(), error=ManifestUnreadable):
    by_key = {listed(each).key: each for each in held}

    def read(copy):
        if by_key[copy.key] in unreadable:
            raise error("its manifest is cut off")
        return by_key[copy.key]

    return choose(asked or request(), [listed(each) for each in held], read, known or {})


def test_the_newest_copy_whose_night_is_verified_is_restored():
    found = chosen(known=record(Verdict.REFUTED, Verdict.VERIFIED, Verdict.VERIFIED))
    assert (found.document, found.standing) == (NIGHTS[1], Verdict.VERIFIED)
    assert found.passed_over == (f"{NAMES[0]}: REFUTED",)


def test_the_bucket_alone_is_enough():
    found = chosen()
    assert (found.document, found.standing, found.passed_over) == (NIGHTS[0], NOT_ON_RECORD, ())


def test_a_night_that_a_younger_record_does_not_know_is_no_worse_for_it():
    assert chosen(known=record(None, Verdict.VERIFIED)).document is NIGHTS[0]


def test_a_night_that_came_to_no_verdict_is_passed_over():
    found = chosen(known=record(""))
    assert (found.document, found.passed_over) == (NIGHTS[1], (f"{NAMES[0]}: {WITHOUT_VERDICT}",))


def test_a_snapshot_that_is_named_is_restored_whatever_came_of_its_night():
    for name in (NAMES[1], NIGHTS[1].blobs.snapshot_uuid):
        found = chosen(request(snapshot=name), record(Verdict.VERIFIED, Verdict.REFUTED))
        assert (found.document, found.standing) == (NIGHTS[1], Verdict.REFUTED)


def test_a_night_that_is_named_is_restored_and_no_other():
    assert chosen(request(night=date(2026, 11, 24))).document is NIGHTS[2]
    with pytest.raises(NoSuchCopy, match="of night 2026-11-01; the newest: 2026-11-26, 2026-11-25"):
        chosen(request(night=date(2026, 11, 1)))


def test_a_document_that_cannot_be_read_is_passed_over_with_its_reason():
    found = chosen(unreadable=[NIGHTS[0]])
    assert found.document is NIGHTS[1]
    assert found.passed_over == (f"2026-11-26 ({NIGHTS[0].blobs.snapshot_uuid}): its manifest is cut off",)


@pytest.mark.parametrize("of", [{"cluster": "staging"}, {"night": date(2026, 11, 1)}])
def test_a_document_that_lies_where_another_should_is_passed_over(of):
    strange = document(**{"night": NIGHTS[0].night, "blobs": NIGHTS[0].blobs} | of)
    copies = {listed(NIGHTS[0]).key: strange, listed(NIGHTS[1]).key: NIGHTS[1]}
    found = choose(request(), [listed(each) for each in NIGHTS[:2]], lambda copy: copies[copy.key], {})
    assert found.document is NIGHTS[1]
    [why] = found.passed_over
    assert f"its document is of {strange.cluster}/repository-uuid, night {strange.night}" in why


def test_a_store_that_is_away_is_no_reason_to_take_an_older_copy():
    with pytest.raises(Unavailable):
        chosen(unreadable=[NIGHTS[0]], error=Unavailable)


def test_where_something_is_known_against_every_copy_a_person_has_to_name_one():
    with pytest.raises(NoSuchCopy, match=f"nothing speaks for any .*{NAMES[0]}: REFUTED; .*UNKNOWN") as refusal:
        chosen(known=record(Verdict.REFUTED, Verdict.UNKNOWN, Verdict.REFUTED))
    assert "name the snapshot" in refusal.value.hint


def test_a_snapshot_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(NoSuchCopy, match=f"no copy .* is of snapshot 'nightly-x'; seen: {NAMES[0]}"):
        chosen(request(snapshot="nightly-x"))


def test_a_cluster_without_copies_is_refused():
    with pytest.raises(NoSuchCopy, match="no copy of cluster 'production'"):
        chosen(held=[])
