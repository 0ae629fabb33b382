"""Keys are made, listed and taken back as each provider's API lets one, and what is taken back ends at once."""

from __future__ import annotations

import anthropic
import openai
import pytest

from tests.testbed.providers.ground import ASKED, PROJECT, WORKSPACE, Twins

pytestmark = pytest.mark.without_search


def test_openai_makes_a_key_that_works_until_it_is_deleted(twins: Twins) -> None:
    accounts = twins.openai().admin.organization.projects.service_accounts
    made = accounts.create(PROJECT, name="gateway", expires_in_seconds=3600)
    assert made.api_key is not None
    assert made.api_key.expires_at - made.api_key.created_at == 3600
    fresh = twins.openai(api_key=made.api_key.value)
    assert fresh.chat.completions.create(model="gpt-4o-mini", messages=ASKED).choices
    keys = twins.openai().admin.organization.projects.api_keys
    listed = {key.id: key for key in keys.list(PROJECT)}
    assert listed[made.api_key.id].name == "gateway"
    assert listed[made.api_key.id].last_used_at
    assert made.api_key.value not in str(listed)
    assert accounts.retrieve(made.id, project_id=PROJECT).name == "gateway"
    assert accounts.delete(made.id, project_id=PROJECT).deleted
    with pytest.raises(openai.AuthenticationError):
        fresh.chat.completions.create(model="gpt-4o-mini", messages=ASKED)
    with pytest.raises(openai.NotFoundError):
        accounts.delete(made.id, project_id=PROJECT)
    assert made.id not in {each.id for each in accounts.list(PROJECT)}
    assert made.api_key.value not in twins.log()


def test_a_key_ends_by_itself_when_its_time_is_over(twins: Twins) -> None:
    made = twins.openai().admin.organization.projects.service_accounts.create(
        PROJECT, name="brief", expires_in_seconds=1
    )
    assert made.api_key is not None
    fresh = twins.openai(api_key=made.api_key.value)
    with pytest.raises(openai.AuthenticationError):
        # Until the second is over.
        list(iter(fresh.models.list, None))


def test_openai_pages_keys(twins: Twins) -> None:
    accounts = twins.openai().admin.organization.projects.service_accounts
    made = [accounts.create(PROJECT, name=f"page {number}") for number in range(3)]
    pages = list(accounts.list(PROJECT, limit=2).iter_pages())
    listed = [each.id for page in pages for each in page.data]
    assert len(pages) > 1
    assert len(set(listed)) == len(listed)
    assert {each.id for each in made} <= set(listed)
    for each in made:
        accounts.delete(each.id, project_id=PROJECT)


def test_anthropic_lists_keys_and_switches_them_off_and_on(twins: Twins) -> None:
    keys = twins.anthropic(api_key=twins.secret("anthropic-main.admin")).organization.api_keys
    assert {key.id for key in keys.list(workspace_id=WORKSPACE)} == {"a1", "a2"}
    user = twins.anthropic(api_key=twins.secret("a2"))
    assert user.models.list().data
    assert keys.update("a2", status="inactive").status == "inactive"
    with pytest.raises(anthropic.AuthenticationError):
        user.messages.create(model="claude-haiku-5-5", max_tokens=5, messages=ASKED)
    assert [key.id for key in keys.list(status="inactive")] == ["a2"]
    keys.update("a2", status="active")
    assert user.messages.create(model="claude-haiku-5-5", max_tokens=5, messages=ASKED).content
    assert keys.retrieve("a2").scope.type == "workspace"


def test_openai_makes_admin_keys_that_administer_until_they_are_deleted(twins: Twins) -> None:
    admins = twins.openai().admin.organization.admin_api_keys
    made = admins.create(name="rotator", expires_in_seconds=600)
    fresh = twins.openai(admin_api_key=made.value).admin.organization
    assert fresh.projects.api_keys.list(PROJECT).data
    assert admins.retrieve(made.id).expires_at == made.expires_at
    assert admins.delete(made.id).deleted
    with pytest.raises(openai.AuthenticationError):
        fresh.projects.api_keys.list(PROJECT)


def test_only_administrators_administer(twins: Twins) -> None:
    with pytest.raises(openai.PermissionDeniedError):
        twins.openai(admin_api_key=twins.secret("o1")).admin.organization.projects.service_accounts.create(
            PROJECT, name="no"
        )
    with pytest.raises(openai.AuthenticationError):
        twins.openai(admin_api_key="sk-nobody").admin.organization.admin_api_keys.list()
    with pytest.raises(anthropic.PermissionDeniedError):
        twins.anthropic().organization.api_keys.list()
    (key,) = twins.openai().admin.organization.admin_api_keys.list()
    assert key.redacted_value != twins.secret("openai-main.admin")
