"""GitHub asked over HTTP: with a token and as an App, over pages, refused and limited; runs that wait are answered."""

from __future__ import annotations

import time

import jwt
import pytest

from steward.clients import github_app
from steward.clients.github_api import GitHub, require_below
from steward.clients.github_asking import GitHubAway, GitHubRefused
from steward.clients.github_deploying import ensure_deployment
from steward.clients.github_deployments import DeploymentStatus, GitHubDeployment
from steward.clients.github_protection import answer
from steward.errors import BadInput
from steward.settings import GitHubTarget
from tests.integration.github_ground import APP, HOOK, Listener, standing_in

pytestmark = pytest.mark.without_search


@pytest.fixture(scope="module")
def standin(tmp_path_factory):
    with standing_in(tmp_path_factory.mktemp("github")) as made:
        yield made


@pytest.fixture
def github(standin):
    standin.turn()
    github_app._tokens.clear()
    return standin


def asked(api):
    return GitHub(api, None).get(f"/hooks/{HOOK}")["id"]


def made(github):
    return github.admin("GET", "/tokens")["made"]


def test_a_token_and_an_app_may_ask_and_an_apps_token_is_kept(github):
    before = made(github)
    assert asked(github.api()) == HOOK
    assert [asked(github.api(as_app=True)) for _ in range(3)] == [HOOK] * 3
    assert made(github) == before + 1


def test_an_apps_token_that_was_revoked_is_made_anew_once(github):
    before = made(github)
    assert asked(github.api(as_app=True)) == HOOK
    github.admin("DELETE", "/tokens")
    assert asked(github.api(as_app=True)) == HOOK
    assert made(github) == before + 2
    github.turn(api_status=401, api_times=1)
    assert asked(github.api(as_app=True)) == HOOK
    assert made(github) == before + 3


def test_a_token_that_ends_within_a_minute_is_not_used_any_more(github):
    api = github.api(as_app=True)
    asked(api)
    [(key, kept)] = github_app._tokens.items()
    github_app._tokens[key] = kept._replace(until=time.time() + 59)
    before = made(github)
    assert asked(api) == HOOK
    assert made(github) == before + 1


def test_the_apps_word_is_issued_a_minute_ago_and_ends_within_ten(github):
    api = github.api(as_app=True)
    key = open(api.app.key.removeprefix("file:")).read()  # noqa: PTH123, SIM115
    claims = jwt.decode(github_app.signed_word(api.app, key, 1000.0), options={"verify_signature": False})
    assert claims == {"iss": str(APP), "iat": 940, "exp": 1540}


def test_a_key_that_is_none_is_told_without_it(github):
    with pytest.raises(BadInput) as refused:
        github_app.signed_word(github.api(as_app=True).app, "-----BEGIN SECRET", 0)
    assert "SECRET" not in str(refused.value)
    assert refused.value.__context__ is None


@pytest.mark.parametrize(
    ("dials", "kind", "transient"),
    [
        ({"api_status": 500}, GitHubAway, True),
        ({"api_status": 403, "api_retry_after_seconds": 5}, GitHubAway, True),
        ({"api_status": 403, "api_retry_after_seconds": 600}, GitHubAway, False),
        ({"api_status": 429}, GitHubAway, False),
        ({"api_status": 403}, GitHubRefused, False),
        ({"api_status": 422}, GitHubRefused, False),
    ],
)
def test_what_may_pass_is_told_from_what_will_not(github, dials, kind, transient):
    github.turn(**dials)
    with pytest.raises(kind) as told:
        asked(github.api())
    assert told.value.transient is transient
    assert "token-of-a-test" not in str(told.value)


def test_who_does_not_answer_in_time_is_away(github):
    github.turn(api_seconds=1)
    with pytest.raises(GitHubAway, match="ReadTimeout"):
        GitHub(github.api(), None, 0.2).get(f"/hooks/{HOOK}")


def test_nobody_there_is_away_and_something_else_is_refused(github):
    with pytest.raises(GitHubAway, match="ConnectError"):
        asked(github.api(url="http://127.0.0.1:1"))
    listener = Listener()
    try:
        with pytest.raises(GitHubAway, match="with 501"):
            asked(github.api(url=listener.url))
    finally:
        listener.close()


HOSTILE = [
    "http://127.0.0.1:1/repos/example/shop/actions/runs/1/deployment_protection_rule",
    "https://api.github.com.evil.example/repos/example/shop/actions/runs/1/deployment_protection_rule",
    "{url}@evil.example/repos/example/shop/actions/runs/1/deployment_protection_rule",
    "{url}/repos/example/other/actions/runs/1/deployment_protection_rule",
    "{url}/repos/example/shop/actions/runs/1/../../../../../user/repos",
    "{url}/repos/example/shop/actions/runs/1/deployment_protection_rule?x=1",
    "{url}/repos/example/shop/actions/runs/1/deployment_protection_rule#x",
    "{url}/repos/example/shop/actions/runs/%2e%2e/deployment_protection_rule",
    "{url}/repos/example/shop/deployments",
    "",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_a_callback_that_is_no_run_of_the_sources_repository_gets_nothing(github, url):
    with pytest.raises(BadInput, match="nothing is sent there"):
        answer(github.api(), None, url.format(url=github.url), environment="production", state="approved", comment="")


@pytest.mark.parametrize(
    "url",
    ["https://api.github.com", "https://api.github.com.evil/x", "https://api.github.com/a/../b", "http://[", "//x"],
)
def test_an_address_that_is_not_below_the_apis_is_not_asked(url):
    with pytest.raises(BadInput, match="not under"):
        require_below("https://api.github.com", url)


def test_a_next_page_elsewhere_is_not_followed(github, monkeypatch):
    from steward.clients import github_api  # noqa: PLC0415

    exchange = github_api.exchange
    listener = Listener()
    monkeypatch.setattr(
        github_api, "exchange", lambda *words, **more: exchange(*words, **more)._replace(following=listener.url)
    )
    try:
        with pytest.raises(BadInput, match="not under"):
            list(GitHub(github.api(), None).pages(f"/hooks/{HOOK}/deliveries"))
        assert listener.arrived == []
    finally:
        listener.close()


@pytest.mark.parametrize("state", ["approved", "rejected", None])
def test_a_run_that_waits_is_approved_rejected_or_told_why_it_still_waits(github, state):
    asking = github.admin("POST", "/reviews", {"ref": "main", "environment": "production"})
    url = asking["deployment_callback_url"]
    answer(github.api(), None, url, environment="production", state=state, comment="gates of shop-2")
    newest = github.admin("GET", "/reviews")[0]
    assert (newest.get("state"), newest["comment"]) == (state, "gates of shop-2")
    assert newest["environment_name"] == "production"


def test_an_answer_about_another_environment_is_githubs_to_refuse(github):
    asking = github.admin("POST", "/reviews", {"ref": "main", "environment": "production"})
    with pytest.raises(GitHubRefused) as told:
        answer(github.api(), None, asking["deployment_callback_url"], environment="x", state="approved", comment="")
    assert told.value.status == 422


WANTED = ("f95f852bd8fca8fcc58a9a2d6c842781e32a215e", "production", {"release": "shop-2"})


def test_a_deployment_that_was_made_is_found_and_not_made_a_second_time(github):
    asking = GitHub(github.api(), None)
    number = ensure_deployment(asking, *WANTED, "proved")
    assert ensure_deployment(asking, *WANTED, "proved again") == number
    made = github.ask("GET", f"/deployments/{number}")
    assert (made["sha"], made["task"], made["payload"]) == (WANTED[0], "deploy", {"release": "shop-2"})
    others = [
        (WANTED[0], "production", {"release": "shop-3"}),
        (WANTED[0], "staging", WANTED[2]),
        ("0" * 40, *WANTED[1:]),
    ]
    assert len({number, *(ensure_deployment(asking, *each, "another") for each in others)}) == 4


def test_statuses_of_a_rollout_are_taken_as_github_takes_them(github, tmp_path):
    (tmp_path / "token").write_text("token-of-a-test")
    target = GitHubTarget(kind="github", url=github.url, repository="example/shop", token=f"file:{tmp_path / 'token'}")
    number = github.deploy()["id"]
    status = DeploymentStatus("in_progress", "rollout 7: shop-2 begins", "https://flags.example.net/rollouts/7")
    deployment = GitHubDeployment(target, None, number)
    assert not deployment.has(status, 5)
    deployment.add(status, 5)
    assert deployment.has(status, 5)
