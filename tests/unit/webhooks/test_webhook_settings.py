"""`[webhooks]` of the settings: what is taken, and what is refused by its field."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from steward.settings import Settings, Webhooks
from steward.settings.references import references_in

GITHUB = {"kind": "github", "secrets": ["file:/run/secrets/github"]}
API = {"repository": "octo/shop", "token": "file:/run/secrets/token"}
APP = {"id": 1, "installation": 2, "key": "keyvault:app"}


def made(**sources):
    return Webhooks.model_validate({"url": "https://hooks.example.net", "sources": sources})


def test_what_is_not_said_is_what_github_s_own_limits_ask_for():
    webhooks = made(github=GITHUB, ci={"kind": "signed", "secrets": ["keyvault:ci"]})
    assert (webhooks.most_bytes, webhooks.sources["github"].window_hours, webhooks.rules) == (1_048_576, 72, None)
    assert webhooks.address("ci") == "https://hooks.example.net/webhooks/ci"


def test_every_secret_is_a_reference_that_the_settings_know_of():
    webhooks = made(github={**GITHUB, "secrets": ["keyvault:a", "file:/b"], "api": {"repository": "o/r", "app": APP}})
    assert list(references_in(webhooks)) == [
        ("sources.github.secrets.0", "keyvault:a"),
        ("sources.github.secrets.1", "file:/b"),
        ("sources.github.api.app.key", "keyvault:app"),
    ]


def test_a_secret_of_the_vault_needs_a_vault():
    with pytest.raises(ValidationError, match=r"webhooks.sources.ci.secrets.0 names a secret of the vault"):
        Settings.model_validate(
            {
                "search": {},
                "postgres": {"url": "postgresql://s@h/d", "password": "file:/p"},
                "objects": {
                    "region": "r",
                    "access_key": "file:/a",
                    "secret_key": "file:/s",
                    "evidence_bucket": "e",
                },
                "evidence": {"signing_key": "file:/k", "public_key": "/p"},
                "webhooks": {
                    "url": "https://h",
                    "sources": {"ci": {"kind": "signed", "secrets": ["keyvault:ci"]}},
                },
            }
        )


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ({**GITHUB, "secrets": []}, "at least 1"),
        ({**GITHUB, "secrets": ["file:/a"] * 5}, "at most 4"),
        ({**GITHUB, "secrets": ["a secret itself"]}, "never the secret itself"),
        ({**GITHUB, "kind": "gitlab"}, "'github', 'signed'"),
        ({**GITHUB, "window_hours": 0}, "greater than or equal to 1"),
        ({**GITHUB, "api": {**API, "app": APP}}, "expected either token or app"),
        ({**GITHUB, "api": {"repository": "octo/shop"}}, "expected either token or app"),
        ({**GITHUB, "api": {**API, "url": "http://api.example.net"}}, "expected https://HOST"),
        ({**GITHUB, "api": {**API, "url": "https://u:p@api.example.net"}}, "expected https://HOST"),
        ({**GITHUB, "api": {**API, "repository": "shop"}}, "pattern"),
        ({"kind": "signed", "secrets": ["file:/a"], "api": API}, "not permitted"),
    ],
)
def test_a_source_of_another_shape_is_refused(source, word):
    with pytest.raises(ValidationError, match=word):
        made(one=source)


@pytest.mark.parametrize("name", ["", "UP", "a/b", "a b", "-a", "x" * 64])
def test_a_name_that_is_no_part_of_a_path_is_refused(name):
    with pytest.raises(ValidationError, match="pattern"):
        made(**{name: GITHUB})


def test_the_address_of_github_s_api_loses_its_slash():
    api = made(github={**GITHUB, "api": {**API, "url": "http://127.0.0.1:8/"}}).sources["github"].api
    assert (api.url, api.hook) == ("http://127.0.0.1:8", None)


@pytest.mark.parametrize(("page", "begins"), [("webhooks", "```toml\n"), ("settings", "[webhooks]")])
def test_the_documented_settings_are_taken(page, begins):
    text = Path(f"docs/{page}.md").read_text()
    block = (
        text[text.index(begins) :]
        .removeprefix("```toml\n")
        .partition("[operations]" if page == "settings" else "```")[0]
    )
    webhooks = Webhooks.model_validate(tomllib.loads(block)["webhooks"])
    assert webhooks.sources["github"].api.hook == 109948940
