"""Pages of rollouts for people: made whole by the server, so that they are read without script and on whatever screen."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from services.flags.rollout_words import (
    TONES,
    decided,
    duration,
    headline,
    moment,
    per_cent,
    state,
    tone,
    waits_for,
    word_wanted,
)
from steward.clients.rollouts_shown import ShownPage, ShownRelease, ShownRollout, ShownStage
from steward.rollout.glance import Glance, MetricGlance, e_value, metrics_of
from steward.rollout.picture import NARROW, WIDE, draw_arms

#: A judge looks every five seconds.
REFRESH_SECONDS = 5
#: One is shown, whichever fits the screen.
_WIDTHS = {"wide": WIDE, "narrow": NARROW}
_ENDED = frozenset({"certified", "rolled_back"})
_EXPOSES = frozenset({"exposing", "baking"})


def list_page(rollouts: Iterable[ShownRollout], releases: Iterable[ShownRelease], who: str, seal: str = "") -> str:
    """All that there are, and what is proved where. *seal*: what forms carry; empty: there are none."""
    return _render(
        "list.html.j2",
        refresh_seconds=REFRESH_SECONDS,
        who=who,
        seal=seal,
        rollouts=[_line(each) for each in rollouts],
        releases=[
            {
                "environment": each.environment,
                "release": each.release,
                "colour": each.colour,
                "rollout": each.rollout,
                "certified": moment(each.certified_at),
                "by": each.certified_by,
            }
            for each in releases
        ],
    )


def rollout_page(page: ShownPage, who: str, seal: str = "") -> str:
    """One of them, whole. *seal*: what forms carry; empty: there are none."""
    rollout, last = page.rollout, page.glances[-1] if page.glances else None
    metrics = metrics_of(page.glances)
    return _render(
        "rollout.html.j2",
        refresh_seconds=0 if rollout.state in _ENDED else REFRESH_SECONDS,
        who=who,
        seal=seal,
        acts=list(_acts(page, last)) if seal else [],
        now=moment(rollout.now, seconds=True),
        rollout=_line(rollout),
        planned=list(_planned(page)),
        verdict=_verdict(page, last),
        facts=list(_facts(rollout, last)),
        metrics=[_metric(each) for each in last.weighed] if last else [],
        judged=f"Last looked {duration(max(0.0, rollout.now.timestamp() - last.at))} ago." if last else "",
        # The picture escapes what it is told; it is the one text here that is markup.
        pictures=[
            {css: Markup(draw_arms(page.glances, each, width)) for css, width in _WIDTHS.items()}  # noqa: S704  as said
            for each in metrics
        ],
        guards=[_guard(name, each.value, each.finding, breached=each.breached) for name, each in _guards(last)],
        stages=[_stage(each) for each in page.stages],
        decisions=[
            {
                "at": moment(each.at, seconds=True),
                "who": each.who,
                "said": each.decision.replace("_", " "),
                "step": each.step,
                "why": each.why,
                "via": each.via,
            }
            for each in page.decisions
        ],
        more=list(_more(rollout)),
        plan=json.dumps(rollout.plan, indent=2),
    )


def login_page(following: str, said: str, session_seconds: float) -> str:
    """Asks for a token. *following*: the rollout that was asked for, by its number; empty: all."""
    hours = round(session_seconds / 3600)
    return _render("login.html.j2", seal="", refresh_seconds=0, next=following, said=said, hours=hours)


def trouble_page(heading: str, said: str, hint: str, *, passes: bool) -> str:
    """Why there is no page. *passes*: it is asked for again by itself."""
    refresh = REFRESH_SECONDS if passes else 0
    return _render("trouble.html.j2", seal="", refresh_seconds=refresh, heading=heading, said=said, hint=hint)


@cache
def policy() -> str:
    """The Content-Security-Policy of all of them: their own one style and one script, by hash, and nothing else."""
    html = (_folder() / "frame.html.j2").read_text(encoding="utf-8")
    allowed = {
        "default-src": "'none'",
        "script-src": _hash_of("script", html),
        "style-src": _hash_of("style", html),
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in allowed.items())


def _hash_of(tag: str, html: str) -> str:
    (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", html, flags=re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _render(name: str, **values: Any) -> str:
    return _templates().get_template(name).render(values)


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(_folder()),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _folder() -> Path:
    return Path(str(files("services.flags"))) / "rollout_pages"


def _line(rollout: ShownRollout) -> dict[str, Any]:
    return {
        "id": rollout.id,
        "release": rollout.release,
        "environment": rollout.environment,
        "flag": rollout.flag,
        "state": state(rollout),
        "tone": tone(rollout),
        "exposure": f"{_exposure(rollout):g}",
        "begun": moment(rollout.begun_at),
        "why": rollout.revoked_why or rollout.why or "",
    }


def _exposure(rollout: ShownRollout) -> float:
    # Over with its lease, whatever the row still says.
    lapsed = rollout.state in _EXPOSES and rollout.lease_left <= 0
    return 0.0 if lapsed or rollout.revoked_at else rollout.exposure


def _planned(page: ShownPage) -> Iterator[dict[str, str]]:
    """The plan's steps and the bake, and how each is."""
    rollout = page.rollout
    exposures: list[Any] = rollout.plan.get("steps") or []
    labels = [*(f"{each} %" for each in exposures), "bake"]
    current = len(exposures) if rollout.state == "baking" else rollout.step - 1
    reached = max((_place(each, len(exposures)) for each in page.stages), default=-1)
    for place, label in enumerate(labels):
        if rollout.state == "certified" or (rollout.state in _EXPOSES and place < current):
            css = "passed"
        elif rollout.state in _EXPOSES and place == current:
            css = "current"
        elif rollout.state in {"withdrawing", "rolled_back"} and place <= reached:
            css = "failed" if place == reached else "passed"
        else:
            css = "to-come"
        yield {"label": label, "css": css}


def _place(stage: ShownStage, steps: int) -> int:
    return steps if stage.baking else stage.step - 1


def _verdict(page: ShownPage, last: Glance | None) -> dict[str, Any]:
    rollout = page.rollout
    is_bad = rollout.state in _EXPOSES and last is not None and last.decision == "ROLL_BACK"
    return {
        "css": f"is-{'bad' if is_bad else tone(rollout)}",
        "headline": headline(rollout, last),
        "waits": waits_for(page, last),
        "reasons": list(_reasons(rollout, last)),
    }


def _acts(page: ShownPage, last: Glance | None) -> Iterator[dict[str, str]]:
    """What whoever may write can do about it."""
    rollout = page.rollout
    if wanted := word_wanted(page, last):
        said = (
            "It is proved: let it go on" if wanted == "approve" else "Let it go on without proof: the evidence says so"
        )
        yield {"path": f"{rollout.id}/{wanted}", "css": "", "label": wanted.capitalize(), "said": said, "leave": ""}
    is_in_force = rollout.state == "certified" and not rollout.revoked_at
    if rollout.state in {"preparing", *_EXPOSES} or is_in_force:
        said = "Nobody has it then, and it is revoked" if is_in_force else "Nobody has it then, and the rollout is over"
        yield {
            "path": f"{rollout.environment}/roll-back",
            "css": "danger",
            "label": "Roll back now",
            "said": f"{said}; the version before answers users again",
            "leave": rollout.release,
        }


def _reasons(rollout: ShownRollout, last: Glance | None) -> Iterator[str]:
    """Why it is where it is: of what is over, why it ended."""
    why = rollout.revoked_why or rollout.why or ""
    if why:
        yield why
    is_open = rollout.state in _EXPOSES and rollout.lease_left > 0
    if last and (is_open or last.decision == "ROLL_BACK"):
        # Whoever withdraws it for a finding quotes that.
        yield from (each for each in last.reasons if each not in why)


def _facts(rollout: ShownRollout, last: Glance | None) -> Iterator[dict[str, Any]]:
    def fact(name: str, value: str, note: str = "", left: float | None = None) -> dict[str, Any]:
        return {"name": name, "value": value, "note": note, "left": None if left is None else round(left, 1)}

    if rollout.ended_at:
        yield fact("took", duration((rollout.ended_at - rollout.begun_at).total_seconds()), moment(rollout.ended_at))
        return
    lease = max(0.0, rollout.lease_left)
    said = "users are back when it is over" if rollout.state in _EXPOSES else "it is given up when it is over"
    yield fact("lease", f"{lease:.0f} s" if lease else "over", said, lease)
    yield fact("at this step for", duration((rollout.now - rollout.step_begun_at).total_seconds()))
    if last and rollout.state in _EXPOSES and lease:
        yield from (fact(*each) for each in _ahead(rollout, last))


def _ahead(rollout: ShownRollout, last: Glance) -> Iterator[tuple[str, str, str]]:
    """What comes, and when: nothing that the deadline comes before."""
    left = max(0.0, last.deadline_at - rollout.now.timestamp()) if last.deadline_at else float("inf")
    go, back = last.seconds_to_go, last.seconds_to_roll_back
    if last.decision != "GO":
        yield "proved in about", duration(go) if go is not None and go < left else "not in sight", "at this rate"
    if back is not None and back < left:
        yield "rolled back in about", duration(back), "if it goes on so"
    if last.deadline_at:
        yield "deadline in", duration(left), "then it is rolled back"


def _metric(each: MetricGlance) -> dict[str, Any]:
    health = each.to_health if each.is_compared else None
    return {
        "name": each.metric,
        "exposed": _share(each.on_hits, each.on_users),
        "others": _share(each.off_hits, each.off_users),
        "harm": each.to_harm,
        "harm_said": f"{e_value(each.ln_e_bad)} of {e_value(each.ln_bad_needed)}",
        "health": health,
        "health_said": "proved at the step before"
        if health is None
        else f"{e_value(each.ln_e_good)} of {e_value(each.ln_good_needed)}",
    }


def _share(hits: int, users: int) -> str:
    return f"{per_cent(hits / users)} ({hits:,} of {users:,})" if users else "nobody"


def _guards(last: Glance | None) -> Iterator[tuple[str, Any]]:
    for each in last.guards if last else ():
        yield each.name, each


def _guard(name: str, value: float | None, finding: str, *, breached: bool) -> dict[str, str]:
    css = "bad" if breached else "wait" if finding else ""
    return {"css": css, "said": finding or f"{name} is {value:g}" if value is not None else finding or name}


def _stage(each: ShownStage) -> dict[str, Any]:
    return {
        "label": "bake" if each.baking else f"{each.exposure} %",
        "began": moment(each.began_at, seconds=True),
        "lasted": duration((each.last_at - each.began_at).total_seconds()),
        "looks": f"{each.looks:,}",
        "decision": decided(each.decision),
        "tone": TONES.get(each.decision, "wait"),
        "reason": each.reason or "",
    }


def _more(rollout: ShownRollout) -> Iterator[tuple[str, str]]:
    yield "flag", rollout.flag
    yield "on", rollout.colour
    yield "before it", f"{rollout.previous_release or 'unknown'} on {rollout.previous_colour}"
    yield "begun", moment(rollout.begun_at, seconds=True)
    yield "first exposed", moment(rollout.exposed_at, seconds=True) if rollout.exposed_at else "never"
    yield "attempt (fencing token)", str(rollout.epoch)
