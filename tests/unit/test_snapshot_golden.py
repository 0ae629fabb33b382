from steward.snapshots.golden import MOST_HITS, Hits, assess_matches, compare_hits, disputed
from steward.verdicts import Verdict


def test_the_same_hits_are_not_disputed():
    hits = Hits(found={"a": 1, "b": 2})
    assert disputed(hits, hits) == []


def test_a_document_that_only_one_side_finds_refutes_when_it_is_the_same_document():
    ids = disputed(Hits(found={"a": 1, "b": 2}), Hits(found={"a": 1}))
    assert ids == ["b"]
    [finding] = compare_hits("q", ids, {"b": 2}, {"b": 2})
    assert finding.verdict is Verdict.REFUTED
    assert "document b" in finding.fact


def test_a_document_written_or_deleted_in_the_window_is_no_fault_of_the_search():
    assert compare_hits("q", ["b", "c"], {"b": 2, "c": 3}, {"b": 9}) == []
    assert compare_hits("q", ["d"], {}, {"d": 4}) == []


def test_beyond_the_bound_only_what_both_lists_cover_is_compared():
    full = Hits(found={f"d{i}": i for i in range(MOST_HITS)})
    longer = Hits(found={f"d{i}": i for i in range(MOST_HITS - 1)} | {"late": MOST_HITS + 5})
    assert disputed(full, longer) == [f"d{MOST_HITS - 1}"]


def test_a_query_that_matches_nothing_anywhere_proves_nothing():
    [finding] = assess_matches({"full text": 3, "keyword": 0})
    assert finding.verdict is Verdict.UNKNOWN
    assert "keyword" in finding.subject
