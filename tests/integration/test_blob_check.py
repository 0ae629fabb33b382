"""The blob check on a repository that Elasticsearch writes, asking the cluster that writes it: nights, and damage to them."""

from collections import Counter

import pytest

from replica import inventory
from steward.clients.blobs_fs import FolderBlobs
from steward.repository import layout
from steward.settings import load
from steward.verdicts import Verdict
from tests.integration.blob_nights import look, nights_of
from tests.integration.repository_ground import repository
from tests.unit.repository.sample import Memory, as_smile, codec_of, document_of, flipped, framed, lucene


class Counting(FolderBlobs):
    """Notes what is read as a stream."""

    def __init__(self, root) -> None:
        super().__init__(root)
        self.streamed = Counter()

    def chunks(self, path):
        self.streamed[path] += 1
        return super().chunks(path)


def loaded(ground):
    return Memory({path: (ground.folder / path).read_bytes() for path in ground.on_disk()})


def facts(report):
    return [str(finding) for finding in report.findings]


@pytest.fixture(scope="module")
def ground(replica):
    with repository(replica) as made:
        yield made


@pytest.fixture(scope="module")
def nights(replica, ground):
    with nights_of(load(inventory.settings_file(replica)), ground.name) as made:
        yield made


class Told:
    """What the looks at one repository came to, by name; `of` keeps what lay there."""

    def __init__(self) -> None:
        self.reports, self.read, self.path = {}, {}, {}


def without_a_file(blobs, path, snapshot):
    """The shard's generation lists one file fewer for *snapshot*, under a right checksum."""
    document = document_of(path, blobs[path])
    document["snapshots"][snapshot]["files"].pop()
    return Memory({**blobs, path: framed(codec_of(path), as_smile(document))})


def damaged(blobs, before, other, known):
    """Name of the damage → the repository with it, and the path that must be named."""
    index_n = layout.catalogue_path(layout.generations(blobs)[-1])
    old_n = layout.catalogue_path(layout.generations(before)[-1])
    meta = next(path for path in blobs if path.startswith("meta-") and path not in before)
    generation = next(path for path in blobs if "/0/index-" in path)
    return {
        "rolled back": (before, old_n),
        "another repository": (other, layout.catalogue_path(layout.generations(other)[-1])),
        "index.latest of the generation before": ({**blobs, layout.LATEST: before[layout.LATEST]}, layout.LATEST),
        "global metadata flipped": ({**blobs, meta: flipped(blobs[meta], 60)}, meta),
        "shard's generation flipped": ({**blobs, generation: flipped(blobs[generation], 60)}, generation),
        "shard's generation rewritten": (without_a_file(blobs, generation, "two"), generation),
        "catalogue's time changed": ({**blobs, index_n: _later(blobs[index_n])}, index_n),
        "data rewritten under a right checksum": ({**blobs, known: lucene(bytes(len(blobs[known]) - 16))}, known),
    }


def _later(catalogue):
    at = catalogue.index(b'"start_time_millis":') + len('"start_time_millis":')
    return catalogue[:at] + (b"2" if catalogue[at : at + 1] == b"1" else b"1") + catalogue[at + 1 :]


@pytest.fixture(scope="module")
def told(ground, nights, replica):
    """Night 0 VERIFIED; night 1 looked at under every damage, then as it is; and what became of it."""
    told = Told()

    def night(name, number, snapshot, uuid, blobs=None, **options):
        blobs = blobs or Counting(ground.folder)
        told.reports[name] = look(nights, number, blobs, ground, snapshot=snapshot, uuid=uuid, by=name, **options)
        told.read[name] = getattr(blobs, "streamed", None)

    ground.write("a", *range(20))
    ground.write("b", *range(5))
    ground.merge("b")
    night("one", 0, "one", ground.snapshot("one"))
    nights.end(0, "one")
    before = loaded(ground)
    known = next(path for path in before if "/__" in path and ".part" not in path)
    ground.write("a", 30, 31)
    two = ground.snapshot("two")
    with repository(replica) as elsewhere:
        elsewhere.snapshot("other")
        other = loaded(elsewhere)
    # Late enough for everything to be due: each look by itself.
    for number, (name, (blobs, path)) in enumerate(damaged(loaded(ground), before, other, known).items()):
        night(name, 40 + number, "two", two, Memory(blobs), days=1)
        told.path[name] = path
    night("two", 1, "two", two)
    told.on_disk = ground.on_disk()
    nights.end(1, "two", Verdict.REFUTED)
    three = ground.snapshot("three")
    night("three, after a refuted night", 2, "three", three)
    nights.end(2, "three")
    _deleted(ground, nights, night)
    return told


def _deleted(ground, nights, night):
    """Snapshots that expire, that somebody deletes, before a look and during it; and an index that is gone."""
    ground.delete("one")
    four = ground.snapshot("four")
    night("one is gone", 3, "four", four)
    nights.end(3, "four", Verdict.REFUTED)
    night("one is gone and was told", 4, "four", four)
    nights.end(4, "four", expired=["three"])
    ground.delete("three")
    ground.ask("DELETE", f"/{ground.index('b')}")
    five = ground.snapshot("five")
    night("three expired", 5, "five", five)
    generation = next(
        path
        for path in loaded(ground)
        if "/0/index-" in path and not any(entry.path == path for entry in nights.manifest("five").entries)
    )
    blobs = loaded(ground)
    night(
        "generation of a deleted index", 5, "five", five, Memory({**blobs, generation: flipped(blobs[generation], 60)})
    )
    deletions = iter(["two"])

    class Moving(Counting):
        def sizes(self, prefix=""):
            self.streamed[prefix] += 1
            if prefix == "" and (name := next(deletions, None)):
                ground.delete(name)
            return super().sizes(prefix)

    night("another deleted meanwhile", 5, "five", five, Moving(ground.folder))
    nights.generation_path = generation


def test_nights_on_a_sound_repository_are_verified_and_the_manifest_is_every_blob_of_it(told, nights):
    one, two = (told.reports[name] for name in ("one", "two"))
    assert [(each.verdict, facts(each)) for each in (one, two)] == [(Verdict.VERIFIED, [])] * 2
    assert one.entries == one.new
    assert two.entries + two.elder >= len(told.on_disk)


def test_a_night_reads_what_is_new_and_little_else(told):
    assert all(count == 1 for count in told.read["two"].values())
    assert 0 < told.reports["two"].new < told.reports["two"].entries


@pytest.mark.parametrize(
    "name",
    [
        "rolled back",
        "another repository",
        "index.latest of the generation before",
        "global metadata flipped",
        "shard's generation flipped",
        "shard's generation rewritten",
        "catalogue's time changed",
        "data rewritten under a right checksum",
    ],
)
def test_what_a_restore_does_not_notice_is_refuted_and_named(told, name):
    report = told.reports[name]
    assert report.verdict is Verdict.REFUTED
    assert any(told.path[name] in each for each in facts(report)), facts(report)
    assert report.manifest is None


def test_a_refuted_night_is_nothing_that_later_ones_are_compared_with(told):
    report = told.reports["three, after a refuted night"]
    assert (report.verdict, facts(report)) == (Verdict.VERIFIED, [])
    # What `two` had brought is new again.
    assert report.new > 3


def test_a_verified_snapshot_that_somebody_deleted_is_refuted_once(told):
    first, second = told.reports["one is gone"], told.reports["one is gone and was told"]
    assert first.verdict is Verdict.REFUTED
    assert [each.partition(" on ")[0] for each in facts(first)] == ["REFUTED: one: VERIFIED"]
    assert (second.verdict, facts(second)) == (Verdict.VERIFIED, [])


def test_a_snapshot_that_expired_is_not_missed_nor_are_its_blobs(told):
    report = told.reports["three expired"]
    assert (report.verdict, facts(report)) == (Verdict.VERIFIED, [])


def test_the_generation_of_a_shard_that_only_older_snapshots_have_is_read_too(told, nights):
    (fact,) = facts(told.reports["generation of a deleted index"])
    assert nights.generation_path in fact
    assert "two" in fact
    assert "five" not in fact


def test_a_snapshot_that_somebody_deletes_meanwhile_makes_nothing_wrong_of_tonights(told):
    report = told.reports["another deleted meanwhile"]
    assert (report.verdict, facts(report)) == (Verdict.VERIFIED, [])
    # It was listed, and what it showed was not believed.
    assert told.read["another deleted meanwhile"][""] == 2
