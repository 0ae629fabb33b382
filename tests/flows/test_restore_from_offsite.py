"""Recoveries from the bucket alone, onto a real cluster: the copy's own cluster and repository are gone."""

import tomllib

import pytest
import tomli_w

import flows.restore_from_offsite as flow
from replica import inventory
from steward.clients.elasticsearch import open_search
from steward.clients.postgres import connect
from steward.errors import BadInput, Unavailable
from steward.evidence.store import list_statements
from steward.operations.effects import left_effects
from steward.operations.ledger import Ledger
from steward.repository.copying import blob_key, root_of
from steward.repository.manifest import Entry
from steward.settings import load
from steward.snapshots import recovery
from steward.snapshots.offsite_document import OffsiteIndex
from steward.snapshots.recovery_plan import IndexInTheWay
from steward.snapshots.recovery_report import RecoveryDeclined, RecoveryNotVerified
from steward.verdicts import Verdict
from tasks import recovery_planning as planning
from tasks import restoring_offsite as acts
from tests.flows.killed_runs import Death, run_killed
from tests.flows.prefect_server import artifact
from tests.flows.recovery_ground import DOCUMENTS, LOCK, NIGHT, _fields, copied, recover, staged
from tests.integration.offsite_ground import content_of

NAME = "restore-from-offsite"


@pytest.fixture(scope="module")
def laid(replica):
    with copied(replica, load(inventory.settings_file(replica))) as copy:
        yield copy


@pytest.fixture(scope="module")
def serving(ledger_settings, tmp_path_factory):
    """Settings in which the one-node cluster serves tenants: its user restores as one who was lent the role."""
    written = tomllib.loads(ledger_settings.read_text())
    users = written["search"]["scratch"]["users"]
    users["recover"] = users.pop("restore")
    path = tmp_path_factory.mktemp("serving") / "settings.toml"
    path.write_text(tomli_w.dumps(written))
    return path


@pytest.fixture
def copy(book, laid, serving, monkeypatch):
    monkeypatch.setenv("STEWARD_SETTINGS", str(serving))
    laid.clear()
    yield laid
    laid.clear()


def repositories(copy):
    return [name for name in copy.ground.ask("GET", "/_snapshot") if name.startswith("recovery-")]


def nothing_left(replica, copy):
    """Neither here nor there; the ledger knows of nothing that would have to be removed."""
    return (staged(replica), repositories(copy), left_effects(Ledger(load()), NAME, copy.cluster)) == ([], [], [])


def both(copy):
    return [copy.index(letter) for letter in DOCUMENTS]


def test_tenants_go_on_with_what_the_bucket_alone_held(copy, replica):
    report = recover(copy.request())
    assert (report.verdict, report.findings) == (Verdict.VERIFIED, [])
    assert (report.documents, report.standing) == (sum(DOCUMENTS.values()), "not on record")
    assert {each.digest for each in report.indices} == {each.digest for each in copy.document.indices}
    assert [copy.count(copy.alias(letter)) for letter in DOCUMENTS] == list(DOCUMENTS.values())
    copy.write(copy.alias("a"))
    assert copy.count(copy.index("a")) == DOCUMENTS["a"] + 1
    assert nothing_left(replica, copy)
    with connect(load()) as db:
        [statement] = list_statements(db, NAME, subject=copy.cluster, period=report.period)
    assert statement.verdict is Verdict.VERIFIED
    assert "verdict: VERIFIED" in artifact("restore-from-offsite")
    assert "| its night | 2026-11-26: not on record |" in artifact("restore-from-offsite-plan")


def test_one_tenant_is_restored_beside_what_there_is_and_brings_no_alias(copy, replica):
    copy.ground.make("a", shards=1)
    report = recover(copy.request(tenants=["a"], names="under a prefix", night=str(NIGHT)))
    [index] = report.indices
    assert index.target.startswith("recovered-20261126-")
    assert copy.there() == sorted([index.target, copy.index("a")])
    assert copy.count(index.target) == DOCUMENTS["a"]
    assert copy.alias("a") not in recovery.aliases_of(copy.api)
    # The other tenant's blobs stayed where they are.
    assert report.stages[1].bytes < sum(entry.bytes for entry in copy.document.blobs.entries)
    assert nothing_left(replica, copy)


@pytest.mark.parametrize("closed", [False, True])
def test_nothing_is_restored_over_an_index_that_is_there(copy, replica, closed):
    copy.ground.make("b", shards=1)
    copy.ground.write("b", 1)
    if closed:
        # Elasticsearch itself would restore over this one.
        copy.ground.ask("POST", f"/{copy.index('b')}/_close")
    with pytest.raises(IndexInTheWay, match=f"index {copy.index('b')}: there already"):
        recover(copy.request())
    assert copy.there() == [copy.index("b")]
    if closed:
        copy.ground.ask("POST", f"/{copy.index('b')}/_open?wait_for_active_shards=1")
    assert copy.count(copy.index("b")) == 1
    assert nothing_left(replica, copy)


def test_an_index_that_is_made_while_a_person_thinks_is_left_alone(copy, replica, monkeypatch):
    """Between the question's plan and its answer."""
    show = flow.show_plan

    def make_meanwhile(*asked):
        copy.ground.make("a", shards=1)
        copy.ground.write("a", 7)
        return show(*asked)

    monkeypatch.setattr(flow, "show_plan", make_meanwhile)
    with pytest.raises(RecoveryNotVerified, match="there already") as failure:
        recover(copy.request())
    assert failure.value.verdict is Verdict.UNKNOWN
    assert copy.count(copy.index("a")) == 1
    assert nothing_left(replica, copy)


def test_a_persons_no_touches_nothing(copy, replica):
    with pytest.raises(RecoveryDeclined, match=r"Ada said no to restoring .*: as agreed"):
        recover(copy.request(), approved=False)
    assert copy.there() == []
    assert nothing_left(replica, copy)


def test_a_copy_of_no_such_night_or_tenant_is_refused(copy):
    with pytest.raises(BadInput, match=r"no copy of cluster .* of night 2020-01-01; the newest: 2026-11-26"):
        recover(copy.request(night="2020-01-01"))
    with pytest.raises(BadInput, match="holds 2 tenants, and not 'zeta'"):
        recover(copy.request(tenants=["zeta"]))
    with pytest.raises(BadInput, match="no copy of cluster 'nobody'"):
        recover(copy.request(cluster="nobody"))


def test_who_is_not_lent_the_role_is_told_before_anything_is_read(copy):
    with (
        open_search(load(), "scratch", "monitoring") as client,
        pytest.raises(recovery.RoleNotLent, match="user monitoring on scratch lacks cluster:admin/repository/delete, "),
    ):
        recovery.check_rights(client, "scratch", both(copy))


def test_a_damaged_blob_costs_its_own_index_alone(copy, replica):
    victim = copy.document.indices[0]
    at = next(each for each in copy.document.blobs.entries if f"{victim.folder}/0/__" in each.path)
    other = b"x" * at.bytes
    key = blob_key(root_of(copy.cluster, copy.document.blobs.repository), at.path)
    version = copy.bucket.put(key, iter([other]), content_of(other), LOCK).version
    entries = tuple(
        Entry(each.path, each.bytes, each.sha256, version) if each == at else each
        for each in copy.document.blobs.entries
    )
    damaged = copy.another("damaged", blobs={"entries": entries})
    copy.keep(damaged)
    with pytest.raises(RecoveryNotVerified) as failure:
        recover(copy.request(snapshot="damaged"))
    report = failure.value.report
    assert report.verdict is Verdict.REFUTED
    assert [each.subject for each in report.findings] == [victim.name, f"{victim.name}[{at.path}]"]
    assert (copy.there(), report.opened) == ([copy.index("b")], [copy.index("b")])
    assert copy.count(copy.alias("b")) == DOCUMENTS["b"]
    assert nothing_left(replica, copy)


def test_what_its_night_did_not_hold_stays_closed_and_the_next_recovery_replaces_it(copy, replica):
    held = copy.document.indices[0]
    other = "steward-content-v1:61:" + "c" * 64
    indices = (OffsiteIndex(**_fields(held) | {"digest": other}), *copy.document.indices[1:])
    copy.keep(copy.another("otherwise", indices=indices))
    with pytest.raises(RecoveryNotVerified, match=r"REFUTED: .*holds 60 documents .* its night found 61") as failure:
        recover(copy.request(snapshot="otherwise", tenants=["a"]))
    assert failure.value.report.opened == []
    with pytest.raises(Exception, match="index read-only"):
        copy.write(copy.index("a"))
    [left] = left_effects(Ledger(load()), NAME, copy.cluster)
    assert left.effect_id == copy.index("a")
    report = recover(copy.request(snapshot=copy.document.blobs.snapshot_uuid))
    assert report.verdict is Verdict.VERIFIED
    copy.write(copy.alias("a"))
    assert nothing_left(replica, copy)


def test_what_a_person_has_opened_since_is_nobodys_to_replace(copy, replica):
    held = copy.document.indices[0]
    indices = (OffsiteIndex(**_fields(held) | {"digest": "steward-content-v1:1:" + "d" * 64}),)
    copy.keep(copy.another("opened", indices=indices))
    with pytest.raises(RecoveryNotVerified):
        recover(copy.request(snapshot="opened"))
    copy.ground.ask("PUT", f"/{copy.index('a')}/_settings", {"index.blocks.read_only": None})
    copy.write(copy.index("a"))
    with pytest.raises(IndexInTheWay):
        recover(copy.request())
    assert copy.count(copy.index("a")) == DOCUMENTS["a"] + 1
    recover(copy.request(names="under a prefix"))
    assert nothing_left(replica, copy)


def test_what_its_night_did_not_read_is_restored_opened_and_unknown(copy):
    indices = tuple(
        OffsiteIndex(**_fields(each) | {"digest": None, "documents": None}) for each in copy.document.indices
    )
    copy.keep(copy.another("unread", indices=indices))
    with pytest.raises(RecoveryNotVerified, match="UNKNOWN") as failure:
        recover(copy.request(snapshot="unread"))
    assert failure.value.report.opened == both(copy)
    copy.write(copy.alias("a"))


def test_killed_while_it_fetches_and_while_it_restores_it_goes_on_where_it_was(copy, replica, serving):
    """Two processes die one after the other; the third finishes, and nothing is fetched or restored twice."""
    run = "tests.flows.recovery_ground.recover"
    fetching = Death("call", "steward.clients.staging:FolderPlace.write#9")
    run_killed(replica, serving, run, copy.request(), fetching, period="killed")
    restoring = Death("call", "steward.snapshots.recovery:await_restore")
    run_killed(replica, serving, run, copy.request(), restoring, period="killed")
    begun = recovery.index_uuids(copy.api, both(copy))
    report = recover(copy.request(), period="killed")
    assert (report.verdict, report.attempt) == (Verdict.VERIFIED, 3)
    assert recovery.index_uuids(copy.api, both(copy)) == begun
    assert report.stages[1].bytes < sum(each.bytes for each in copy.document.blobs.entries)
    assert nothing_left(replica, copy)


def test_a_server_that_is_away_throws_nothing_away_and_the_next_run_goes_on(copy, replica, monkeypatch):
    fetches, fetch = [], acts.fetch
    monkeypatch.setattr(acts, "fetch", lambda *asked, **more: fetches.append(1) or fetch(*asked, **more))
    # Without the pauses between its tries.
    monkeypatch.setattr(flow, "compare_recovered", flow.compare_recovered.with_options(retries=0))
    with monkeypatch.context() as patch:
        patch.setattr(acts, "content_digests", away)
        with pytest.raises(Unavailable):
            recover(copy.request(), period="away")
    assert [len(staged(replica)), len(repositories(copy))] == [1, 1]
    with pytest.raises(Exception, match="index read-only"):
        copy.write(copy.index("a"))
    assert recover(copy.request(), period="away").verdict is Verdict.VERIFIED
    assert len(fetches) == 1
    assert nothing_left(replica, copy)


def test_what_an_ended_recovery_left_is_cleared_by_the_next_and_keeps_nobody_waiting(copy, replica, monkeypatch):
    monkeypatch.setattr(flow, "restore_indices", flow.restore_indices.with_options(retries=0))
    with monkeypatch.context() as patch:
        patch.setattr(acts, "register", away)
        with pytest.raises(Unavailable):
            recover(copy.request(tenants=["a"]))
        patch.undo()
        [left] = staged(replica)
        unregister = acts.unregister
        patch.setattr(acts, "unregister", lambda api, name: away() if name == left else unregister(api, name))
        assert recover(copy.request(tenants=["b"])).verdict is Verdict.VERIFIED
    assert staged(replica) == [left]
    copy.clear()
    assert recover(copy.request(tenants=["b"])).verdict is Verdict.VERIFIED
    assert nothing_left(replica, copy)


def away(*_asked):
    raise Unavailable("no node answers")


def test_writers_are_let_in_as_often_as_it_is_asked_and_never_at_another_index(copy):
    recover(copy.request(tenants=["b"]))
    uuids = recovery.index_uuids(copy.api, [copy.index("b")])
    assert recovery.open_indices(copy.api, uuids) == [copy.index("b")]
    with pytest.raises(recovery.RestoreReplaced, match=r"has UUID .*; restored was other"):
        recovery.open_indices(copy.api, {copy.index("b"): "other"})


def test_where_nights_are_proved_and_where_nobody_may_restore_it_is_refused(book, replica):
    asked = {"because": "a test", "cluster": "production"}
    with pytest.raises(BadInput, match="scratch is where nights are proved"):
        recover(asked | {"into": "scratch"})
    described = load().cluster("scratch")
    users = {"monitoring": described.users["monitoring"]}
    lacking = load().model_copy(update={"search": {"scratch": described.model_copy(update={"users": users})}})
    with (
        pytest.raises(BadInput, match="cluster scratch has no user for 'recover'"),
        planning.target(lacking, "scratch"),
    ):
        pass
