import pytest

from steward.snapshots.eligibility import IndexFacts, _seconds, refusal


@pytest.mark.parametrize(
    ("state", "settings", "source", "said"),
    [
        ("close", {}, {}, "the index is close"),
        ("open", {"disable_sequence_numbers": "true"}, {}, "disable_sequence_numbers"),
        ("open", {"mapping": {"source": {"mode": "synthetic"}}}, {}, "synthetic"),
        ("open", {"mapping": {"source": {"mode": "disabled"}}}, {}, "disabled"),
        ("open", {}, {"mode": "synthetic"}, "synthetic"),
        ("open", {}, {"enabled": False}, "disabled"),
        ("open", {}, {"excludes": ["secret"]}, "stored in part"),
        ("open", {}, {"includes": ["open.*"]}, "stored in part"),
        ("open", {"mode": "time_series"}, {}, "synthetic"),
        ("open", {"mode": "logsdb"}, {}, "synthetic"),
    ],
)
def test_an_index_that_cannot_be_proved_is_refused_with_its_reason(state, settings, source, said):
    assert said in (refusal(state, settings, source) or "")


@pytest.mark.parametrize(
    ("settings", "source"),
    [({}, {}), ({"mode": "logsdb", "mapping": {"source": {"mode": "stored"}}}, {}), ({}, {"enabled": True})],
)
def test_an_ordinary_index_is_not_refused(settings, source):
    assert refusal("open", settings, source) is None


@pytest.mark.parametrize(("duration", "seconds"), [("60s", 60), ("5m", 300), ("500ms", 0.5), ("0", 0), ("odd", 0)])
def test_a_duration_that_is_not_understood_is_never_relied_on(duration, seconds):
    assert _seconds(duration) == seconds


def test_facts_travel_as_json():
    facts = IndexFacts(uuid="u", shards=2, refused="why")
    assert IndexFacts.model_validate_json(facts.model_dump_json()) == facts
