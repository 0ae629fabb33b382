"""What the repository says of itself is what the cluster says of it, or it is told."""

from steward.repository import layout
from tests.unit.blob_check_ground import ONE, book, facts
from tests.unit.blob_ground import SAMPLE, Cluster, check
from tests.unit.repository.sample import CATALOGUE, rewritten


def test_a_repository_that_was_rolled_back_is_told():
    told = facts(check(book=book(), cluster=Cluster(generation=9, pending=9)))
    assert any("index-9: catalogue: it is missing" in each for each in told)
    assert any(f"newest catalogue is {CATALOGUE}; the cluster is at generation 9" in each for each in told)


def test_another_repository_in_its_place_is_told():
    def other(document):
        document["uuid"] = "another-repository-uuid"

    (told,) = facts(check(rewritten(SAMPLE, CATALOGUE, other)))
    assert "it is of repository another-repository-uuid; the cluster's is" in told


def test_another_cluster_that_wrote_it_is_told():
    def other(document):
        document["cluster_id"] = "another-cluster"

    assert "cluster another-cluster wrote it last" in facts(check(rewritten(SAMPLE, CATALOGUE, other)))[0]


def test_a_newer_catalogue_than_the_clusters_is_told():
    told = facts(check({**SAMPLE, "index-7": SAMPLE[CATALOGUE]}))
    assert "the newest catalogue is index-7; the cluster is at generation 1" in told[0]


def test_a_repository_that_the_cluster_marked_corrupted_is_refuted():
    (told,) = facts(check(cluster=Cluster(generation=-3, pending=-3)))
    assert "another hand changed the repository" in told


def test_a_wrong_index_latest_is_told():
    (told,) = facts(check({**SAMPLE, layout.LATEST: (5).to_bytes(8, "big")}))
    assert told.startswith("index.latest: latest: it says generation 5, expected 1; needed by one, two")


def test_what_the_catalogue_says_of_any_snapshot_and_the_cluster_otherwise_is_told():
    def later(document):
        next(each for each in document["snapshots"] if each["name"] == "one")["start_time_millis"] += 1

    (told,) = facts(check(rewritten(SAMPLE, CATALOGUE, later)))
    assert f"of snapshot {ONE} it says otherwise than the cluster: start" in told
    (told,) = facts(check(cluster=Cluster(without=("one",))))
    assert told.startswith(f"snap-{ONE}.dat: snapshot: the cluster cannot read snapshot one, which {CATALOGUE} lists")


def test_an_absent_snapshot_is_told():
    (told, *_) = facts(check(snapshot="three", snapshot_uuid="no-such-uuid"))
    assert "none with the UUID no-such-uuid" in told
