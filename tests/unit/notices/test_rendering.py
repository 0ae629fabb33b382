from __future__ import annotations

import shutil

import pytest

from steward.notices.errors import NoticeUnfit, TemplatesUnusable
from steward.notices.notice import Happened, Notice
from steward.notices.rendering import GITHUB_CHARACTERS, SHIPPED, SLACK_CHARACTERS, Templates, check_templates


def notice(**values):
    said = {"rollout": 7, "environment": "production", "release": "shop-2", "flag": "new-search"}
    return Notice.model_validate({**said, "happened": Happened.EXPOSED, "step": 2, "exposure": 25, **values})


@pytest.fixture
def own(tmp_path):
    """The shipped templates with one of them rewritten."""

    def own(name, text):
        folder = shutil.copytree(SHIPPED, tmp_path / "templates", dirs_exist_ok=True)
        (folder / name).write_text(text)
        return Templates(folder)

    return own


def test_the_shipped_templates_say_something_of_everything_that_may_happen():
    assert check_templates(Templates()) == ["slack", "slack, again", "mail", "github"]


def test_each_happening_has_a_headline_of_its_own():
    lines = {Templates().mail(notice(happened=happened)).subject for happened in Happened}
    assert len(lines) == len(Happened)


@pytest.mark.parametrize(
    "text", ["{{ relaese }}", "{% if happened == 'exposed' %}", "{{ 1 / 0 }}", "{{ ''.__class__.__mro__ }}", ""]
)
def test_a_template_that_does_not_render_is_found_by_the_check(own, text):
    with pytest.raises(TemplatesUnusable):
        check_templates(own("slack.txt.j2", text))


def test_a_template_that_lacks_one_happening_is_found_by_the_check(own):
    left_out = (SHIPPED / "headline.txt.j2").read_text().replace('happened == "withdrawn"', "false")
    with pytest.raises(TemplatesUnusable, match="when withdrawn"):
        check_templates(own("headline.txt.j2", left_out))


def test_a_name_is_no_mention_and_no_link_in_slack():
    said = Templates().slack(notice(release="<!channel>", reasons=["a & b <https://x|y>"]))
    assert "&lt;!channel&gt;" in said
    assert "a &amp; b &lt;https://x|y&gt;" in said
    assert "<" not in said


def test_slack_is_told_so_where_an_earlier_message_may_have_arrived():
    assert "second time" in Templates().slack(notice(), again=True)
    assert "second time" not in Templates().slack(notice())


def test_no_text_is_longer_than_its_receiver_takes_and_no_entity_is_cut():
    long = notice(release="r" * 300, reasons=["&" * 1000] * 40)
    slack = Templates().slack(long)
    assert len(slack) <= SLACK_CHARACTERS
    assert slack.count("&") == slack.count("&amp;")
    github = Templates().github(long)
    assert len(github) == GITHUB_CHARACTERS
    assert github.startswith("rollout 7, step 2: ")


@pytest.mark.parametrize("break_", ["\n", "\r\n", "\r", "\x0b", "\N{NEXT LINE}", "\N{LINE SEPARATOR}", "\x00"])
def test_a_name_with_a_line_break_is_no_second_header(break_):
    with pytest.raises(NoticeUnfit):
        Templates().mail(notice(release=f"shop{break_}Bcc: all@example.net"))


def test_what_happened_has_one_id_and_its_thread_begins_with_the_rollout():
    begun, exposed = notice(happened=Happened.BEGUN, step=0), notice()
    assert exposed.message_id == notice(reasons=["worded otherwise"], run_url="https://x").message_id
    assert exposed.message_id != notice(step=3).message_id
    assert exposed.thread_id == begun.message_id == begun.thread_id
    # Two databases count their rollouts from one.
    assert exposed.message_id != notice(environment="staging").message_id


def test_a_rollout_has_one_end_whichever_step_an_attempt_found_it_at():
    ends = {notice(happened=Happened.ROLLED_BACK, step=step).key for step in (0, 2)}
    assert ends == {"rolled back"}
