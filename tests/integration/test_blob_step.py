"""The step on the ledger: what a killed attempt read is not read again, and a stale one notes nothing more."""

import uuid
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from replica import inventory
from steward.clients.blobs_fs import FolderBlobs
from steward.clients.postgres import connect
from steward.clients.snapshot_blobs import ManifestAbsent, manifest_of
from steward.operations.claims import Identity, Run, claim, release
from steward.operations.errors import Superseded
from steward.operations.holding import holding
from steward.operations.ledger import Ledger
from steward.settings import FolderRepository, load
from steward.settings.snapshots import Snapshots
from steward.snapshots.checked import Attempt
from steward.snapshots.moments import Moments
from steward.snapshots.policy import SnapshotPolicy
from steward.snapshots.taking import SnapshotTaken
from steward.verdicts import Verdict
from tasks import blobs as step
from tests.integration.blob_nights import CLUSTER, FIRST, nights_of
from tests.integration.fresh_database import changed
from tests.integration.repository_ground import repository

NIGHT = Identity("nightly-snapshot", CLUSTER, str(FIRST))
FIRST_RUN, SECOND_RUN = (Run(f"00000000-0000-0000-0000-00000000000{number}") for number in (1, 2))


class Watched(FolderBlobs):
    """Notes what is read as a stream, and calls *at* before each."""

    def __init__(self, root, at=lambda _: None) -> None:
        super().__init__(root)
        self.at, self.streamed = at, Counter()

    def chunks(self, path):
        self.at(self)
        self.streamed[path] += 1
        return super().chunks(path)


@pytest.fixture(scope="module")
def ground(replica):
    with repository(replica) as made:
        made.write("a", *range(20))
        made.write("b", 1)
        yield made


@pytest.fixture
def settings(replica, ground):
    with nights_of(load(inventory.settings_file(replica)), ground.name) as nights:
        place = Snapshots(repositories={ground.name: FolderRepository(kind="fs", path=ground.folder)})
        fast = changed(nights.settings, "operations", lease_seconds=1.0, heartbeat_seconds=0.2)
        yield fast.model_copy(update={"snapshots": place})


@pytest.fixture
def run(ground, settings, monkeypatch):
    """Run the step on the snapshot, reading through the given blobs."""

    @contextmanager
    def production(_policy):
        yield type(
            "Hand", (), {"request": staticmethod(lambda method, path, body=None, **_: ground.ask(method, path, body))}
        )

    name = f"nightly-{uuid.uuid4().hex[:8]}"
    taken = SnapshotTaken(
        repository=ground.name, name=name, uuid=ground.snapshot(name), started_at=0, ended_at=0, indices=[], shards=3,
        bytes=0, files=0, incremental_bytes=0, incremental_files=0, upload_seconds=0, before=Moments(), moments=Moments(),
    )  # fmt: skip
    attempt = Attempt(cluster=CLUSTER, night=FIRST, attempt=1, moment=1, snapshot=name, started_at=datetime.now(UTC))
    monkeypatch.setattr(step, "load", lambda: settings)
    monkeypatch.setattr(step, "production", production)

    def check(blobs):
        @contextmanager
        def opened(_settings, _repository):
            yield blobs

        monkeypatch.setattr(step, "open_blobs", opened)
        return step.check_blobs.fn(SnapshotPolicy(repository=ground.name), attempt, taken)

    check.snapshot = name
    return check


@pytest.fixture
def book(settings):
    made = Ledger(settings)
    yield made
    made.close()


def kept(settings, snapshot):
    with connect(settings) as db:
        return manifest_of(db, CLUSTER, snapshot)


def test_a_killed_attempt_is_taken_up_where_it_was(run, book, ground, settings):
    def killed(blobs):
        if blobs.streamed.total() >= 9:
            raise ConnectionError("killed")

    dead, living = Watched(ground.folder, killed), Watched(ground.folder)
    held = claim(book, NIGHT, FIRST_RUN)
    with holding(book, held), pytest.raises(ConnectionError):
        run(dead)
    release(book, held)
    with connect(settings) as db:
        noted = {path for (path,) in db.execute("SELECT path FROM steward.snapshot_blobs") if "/__" in path}
    with pytest.raises(ManifestAbsent):
        kept(settings, run.snapshot)
    with holding(book, claim(book, NIGHT, SECOND_RUN)):
        report = run(living)
        # Its result stands, and nothing is read once more.
        assert run(Watched(ground.folder, killed)) == report
    assert report.verdict is Verdict.VERIFIED
    assert noted
    assert noted <= dead.streamed.keys()
    assert not noted & living.streamed.keys()
    assert kept(settings, run.snapshot).digest() == report.manifest.sha256


def test_an_attempt_that_was_overtaken_notes_and_keeps_nothing(run, book, ground, settings):
    first = claim(book, NIGHT, FIRST_RUN)

    def overtaken(_blobs):
        # As by a run that found this one's lease expired.
        book.query(
            "UPDATE steward.operations SET token = token + 1000 WHERE id = %(id)s AND token = %(token)s", **first.keys
        )

    with holding(book, first) as held:
        held.heartbeat.stop()
        with pytest.raises(Superseded):
            run(Watched(ground.folder, overtaken))
    with connect(settings) as db:
        assert db.execute("SELECT count(*) FROM steward.snapshot_blobs").fetchone() == (0,)
    with pytest.raises(ManifestAbsent):
        kept(settings, run.snapshot)
