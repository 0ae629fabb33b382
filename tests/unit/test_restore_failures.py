"""Stories of unassigned shards as Elasticsearch 9.5 tells them, shortened between the exceptions."""

import pytest

from steward.snapshots.restoring import is_damage, root_cause

STORY = (
    "failed shard on node [n]: failed recovery, failure org.elasticsearch.indices.recovery.RecoveryFailedException: "
    "[copy][0]: Recovery failed on {scratch}\n\tat org.elasticsearch.index.shard.IndexShard.x(IndexShard.java:3872)\n"
    "Caused by: org.elasticsearch.index.snapshots.IndexShardRestoreFailedException: failed to restore snapshot\n\t... 9 more\n"
)


@pytest.mark.parametrize(
    ("cause", "damaged"),
    [
        (
            "org.apache.lucene.index.CorruptIndexException: checksum failed (hardware problem?) : expected=1 actual=2",
            True,
        ),
        ("java.nio.file.NoSuchFileException: /repository/indices/x/0/__a", True),
        ("java.io.EOFException: unexpected end of file", True),
        ("java.io.IOException: No space left on device", False),
        (
            "org.apache.lucene.index.CorruptIndexException: misplaced codec footer\nCaused by: java.io.IOException: File too large",
            False,
        ),
        ("org.elasticsearch.common.breaker.CircuitBreakingException: [parent] Data too large", False),
        ("java.nio.file.AccessDeniedException: /data/_0.cfs", False),
    ],
)
def test_only_the_repositorys_own_damage_refutes_a_snapshot(cause, damaged):
    assert is_damage(f"{STORY}Caused by: {cause}\n\tat java.base/java.lang.Thread.run(Thread.java:1)") is damaged


def test_the_innermost_cause_is_told_and_not_the_stack():
    told = root_cause(f"{STORY}Caused by: java.io.EOFException: unexpected end of file\n\tat x.Y.z(Y.java:1)")
    assert told == "java.io.EOFException: unexpected end of file"


def test_a_story_without_an_exception_is_told_as_it_is():
    assert root_cause("NEW_INDEX_RESTORED") == "NEW_INDEX_RESTORED"
    assert not is_damage("NEW_INDEX_RESTORED")
