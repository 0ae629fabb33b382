"""The gate of performance with real processes: who is measured, in which order, and what is told where it cannot be."""

from __future__ import annotations

import json

import pytest

from steward.verdicts import Verdict
from tasks.pipeline_performance import prove_performance
from tests.integration.pipeline.ground import Sources, candidate, space

pytestmark = pytest.mark.without_search


@pytest.fixture
def sources(tmp_path):
    return Sources(tmp_path / "sources")


def prints(milliseconds: float | str, log: str) -> dict[str, str | None]:
    """A command that says what it is told to, and writes down that it ran: no test waits for a clock."""
    return {
        "bench.py": f"open({log!r}, 'a').write('{milliseconds} ')\nprint('{{\"milliseconds\": [{milliseconds}]}}')\n"
    }


def proved(tmp_path, sources, old, new, **told):
    table = {"performance": {"command": ["python", "bench.py"], **told}}
    certified = sources.commit(old) if old else ""
    commit = sources.commit(new)
    return prove_performance(space(tmp_path / "space", sources), candidate(commit, table, certified=certified), None)


def test_a_candidate_as_fast_as_the_certified_is_verified_after_the_fewest_pairs_and_one_thrown_away(tmp_path, sources):
    log = str(tmp_path / "log")
    found = proved(tmp_path, sources, prints(10.0, log), prints(10.5, log), pairs=8, most_pairs=8)
    assert found.verdict is Verdict.VERIFIED, found
    assert found.summary == "takes 1.050 times as long (1.050 to 1.050, 8 pairs); 1.1 are allowed"
    assert found.figures["ratio_interval"] == pytest.approx([1.05, 1.05])
    ran = (tmp_path / "log").read_text().split()
    turns = [tuple(ran[at : at + 2]) for at in range(0, len(ran), 2)]
    assert len(turns) == 9
    # Each pair has both, in an order that is drawn.
    assert set(turns) == {("10.0", "10.5"), ("10.5", "10.0")}
    json.dumps(found.model_dump(mode="json"))


def test_one_that_takes_twice_as_long_is_refuted_with_the_ratio(tmp_path, sources):
    log = str(tmp_path / "log")
    found = proved(tmp_path, sources, prints(10, log), prints(20, log), pairs=6, most_pairs=6)
    assert found.verdict is Verdict.REFUTED
    assert found.findings == ("slower: takes 2.000 times as long (2.000 to 2.000, 6 pairs); 1.1 are allowed",)


def test_one_that_cannot_be_measured_is_unknown_with_what_it_said(tmp_path, sources):
    log = str(tmp_path / "log")
    found = proved(tmp_path, sources, prints(10, log), {"bench.py": "raise SystemExit('no data here')"})
    assert found.verdict is Verdict.UNKNOWN
    assert "the candidate could not be measured: python ended with 1" in found.summary
    assert "no data here" in found.tail


def test_a_figure_that_is_none_is_unknown(tmp_path, sources):
    log = str(tmp_path / "log")
    found = proved(tmp_path, sources, prints(10, log), prints("NaN", log))
    assert found.verdict is Verdict.UNKNOWN
    assert (
        found.summary
        == "the performance command printed milliseconds that are not above 0, or no numbers; 0 pairs were measured"
    )


def test_time_that_is_over_is_unknown(tmp_path, sources):
    log = str(tmp_path / "log")
    found = proved(tmp_path, sources, prints(10, log), prints(10, log), stage_seconds=0.001)
    assert found.verdict is Verdict.UNKNOWN


def test_the_first_release_is_measured_alone_and_that_is_said(tmp_path, sources):
    found = proved(tmp_path, sources, None, prints(10, str(tmp_path / "log")))
    assert found.verdict is Verdict.VERIFIED
    assert found.summary == "no certified release to compare with, as was said; milliseconds 10"


def test_a_certified_commit_that_says_nothing_of_its_build_is_unknown(tmp_path, sources):
    commit = sources.commit(prints(10, str(tmp_path / "log")))
    asked = candidate(commit, {"performance": {"command": ["python", "bench.py"]}}, certified=commit)
    asked = asked.model_copy(update={"certified": asked.certified.model_copy(update={"manifest": None})})
    found = prove_performance(space(tmp_path / "space", sources), asked, None)
    assert found.verdict is Verdict.UNKNOWN
    assert "has no usable pipeline.toml" in found.summary
