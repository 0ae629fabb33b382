"""Before anything of a commit runs: whether it is there, what it says of itself, and what it is compared with."""

from __future__ import annotations

from datetime import UTC, datetime

from steward.clients.announcing import announce_key
from steward.clients.git import require_git
from steward.clients.postgres import Connection, connect
from steward.clients.rollouts_releases import last_certified
from steward.clients.secrets import read_secret
from steward.errors import BadInput
from steward.operations.steps import Kind
from steward.pipeline.errors import CertifiedUnproved, NoSuchCommit, UnusableManifest
from steward.pipeline.manifest import FILE, Manifest, read_manifest
from steward.pipeline.request import Candidate, CandidateRequest, Certified
from steward.pipeline.tests_bounds import TestsBefore
from steward.rollout.gates import Gate, QualityGates
from steward.settings import Settings, load
from tasks.durable import step
from tasks.pipeline_certified import suites_passed
from tasks.pipeline_workspace import Workspace, github_of, remove_workspace, repository_of, workspace
from tasks.rollout_gates import gates_of


@step("begin", run_name="begin {request.name}")
def begin_candidate(request: CandidateRequest) -> Candidate:
    """Raises BadInput: GitMissing, UnknownRepository, NoSuchCommit, UnusableManifest, nothing to compare with. Nothing has run by then."""
    # First: whatever else is wrong, here nothing can be proved.
    require_git()
    settings = load()
    told = repository_of(settings, request.repository)
    require_ways_out(settings, told.environment)
    github_of(settings, request.repository)
    with connect(settings) as db:
        compared = _compared_with(db, settings, request, told.environment)
    with workspace(settings, request.repository) as work:
        work.repository.fetch(request.commit)
        compared = _with_manifest(work, compared, request) if compared else None
        return Candidate(
            request=request,
            release=request.name,
            commit=request.commit,
            tree=work.repository.tree(request.commit),
            environment=told.environment,
            flag=request.flag or told.flag,
            manifest=_manifest(work, request.commit),
            certified=compared,
            begun_at=datetime.now(UTC),
        )


@step("remove the checkout", kind=Kind.ALWAYS)
def remove_checkout(request: CandidateRequest) -> None:
    """Whatever became of it. A folder that is gone stays gone."""
    settings = load()
    if settings.pipeline:
        remove_workspace(settings)


def require_ways_out(settings: Settings, environment: str) -> None:
    """Raises BadInput where the proved release could not be handed over: told now, and not after an hour of proving."""
    host = settings.application_host(environment)
    read_secret(host.token, settings.vault)
    if announce := settings.proving.announce:
        announce_key(announce, settings.vault)


def _compared_with(db: Connection, settings: Settings, request: CandidateRequest, environment: str) -> Certified | None:
    """The last certified release and its commit; None where a person says that there is none."""
    release = last_certified(db, environment, besides=request.name)
    gates = gates_of(db, settings, release.release) if release else None
    if release and gates:
        return Certified(release=release.release, commit=gates.commit, tests=_passed(db, settings, request, gates))
    if request.first:
        return None
    seen = (
        f"no evidence tells the commit of {release.release}, the last certified release"
        if release
        else (f"no release is certified in {environment}")
    )
    raise BadInput(
        f"{seen}: there is nothing to compare {request.name} with",
        hint="for the first release that comes through the pipeline, say so: first",
    )


def _passed(
    db: Connection, settings: Settings, request: CandidateRequest, gates: QualityGates
) -> dict[Gate, TestsBefore]:
    try:
        return suites_passed(db, settings, gates)
    except CertifiedUnproved:
        # Left out only where a person said so: bounds alone would let a suite shrink unseen.
        if request.first:
            return {}
        raise


def _with_manifest(work: Workspace, compared: Certified, request: CandidateRequest) -> Certified | None:
    try:
        work.repository.fetch(compared.commit)
    except NoSuchCommit:
        if request.first:
            return None
        raise BadInput(
            f"{compared.release}, the last certified release, is of commit {compared.commit}, which {request.repository} "
            "does not have",
            hint="was its history rewritten, or is that another repository's release? If it is right, say so: first",
        ) from None
    return compared.model_copy(update={"manifest": _manifest_or_none(work, compared.commit)})


def _manifest(work: Workspace, commit: str) -> Manifest:
    text = work.repository.read(commit, FILE)
    if text is None:
        raise UnusableManifest(f"commit {commit} has no {FILE}", hint="docs/pipeline.md tells how to write one")
    return read_manifest(text, f"{FILE} of commit {commit}")


def _manifest_or_none(work: Workspace, commit: str) -> Manifest | None:
    try:
        return _manifest(work, commit)
    except UnusableManifest:
        return None
