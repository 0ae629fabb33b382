"""A proved release becomes one deployment at GitHub, however often it is asked for."""

import pytest

from steward.clients.github_api import GitHub
from steward.clients.github_deploying import ensure_deployment
from steward.errors import BadInput
from steward.settings import GitHubApi, Pipeline, Settings
from tasks.pipeline_workspace import github_of
from tests.integration.github_ground import REPOSITORY, StandIn

pytestmark = pytest.mark.without_search

COMMIT = "f95f852bd8fca8fcc58a9a2d6c842781e32a215e"
PAYLOAD = {"release": "f95f852bd8fc", "flag": "new-search", "statement": "a" * 64}


@pytest.fixture(scope="module")
def github(tmp_path_factory):
    folder = tmp_path_factory.mktemp("github")
    there = StandIn(folder)
    there.start()
    try:
        api = GitHubApi(url=there.url, repository=REPOSITORY, token=f"file:{folder}/token")
        yield GitHub(api, None), there
    finally:
        there.kill()


def test_asked_for_twice_it_is_one_and_another_release_of_the_commit_is_another(github):
    client, there = github
    first = ensure_deployment(client, COMMIT, "production", PAYLOAD, "x" * 500)
    assert ensure_deployment(client, COMMIT, "production", PAYLOAD, "again") == first
    assert ensure_deployment(client, COMMIT, "production", PAYLOAD | {"release": "v2"}, "v2") != first
    made = there.ask("GET", f"/deployments/{first}")
    assert (made["sha"], made["task"], made["environment"], made["payload"]) == (
        COMMIT,
        "deploy",
        "production",
        PAYLOAD,
    )
    assert len(made["description"]) == 140


def test_a_repository_that_names_a_source_without_an_api_is_refused_and_one_that_names_none_deploys_nowhere():
    shop = {"url": "/srv/shop", "flag": "f"}
    told = Settings.model_construct(pipeline=None, webhooks=None)
    repositories = {"shop": shop | {"github": "ci"}, "other": shop}
    told = told.model_copy(update={"pipeline": Pipeline(folder="/x", repositories=repositories)})
    assert github_of(told, "other") is None
    with pytest.raises(BadInput, match="names the source ci of webhooks, which has no GitHub API"):
        github_of(told, "shop")
