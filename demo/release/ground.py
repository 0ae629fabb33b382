"""What stands between a push and the users while the demo plays: settings, rules, and the dispatcher that keeps them."""

from __future__ import annotations

import signal
import sys
import time
import tomllib
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import tomli_w

from demo.release.advisories import knowing_none
from demo.release.origin import NAME, Origin, make
from demo.settings_file import other_for_a_while
from demo.stage import Stage
from replica import start, stop
from replica.servers import SERVERS
from replica.servers.dispatcher import Dispatcher
from replica.state import checkout
from replica.supervision import Keeper
from steward.errors import BadInput, Unavailable
from steward.rollout.plan import Plan
from steward.settings import VARIABLE

RULES = Path("deployments") / "webhooks" / "rules.toml"
_SOURCE = "github"
_DEPLOY = "deploy"
_SPEAK_SECONDS = 60.0


@contextmanager
def listening(stage: Stage, plan: Plan) -> Generator[Origin]:
    """Whatever is pushed to the origin goes the whole way, by *plan*, while the block lasts."""
    path = Path(stage.shell.environment[VARIABLE])
    folder = stage.shell.logs.parent / "demo" / "release"
    before = tomllib.loads(path.read_text())
    if "notices" in before:
        raise BadInput(f"{path} names receivers already, of a demo that was killed", hint="make up writes it anew")
    origin = make(folder, path)
    rules = folder / "rules.toml"
    rules.write_text(tomli_w.dumps(with_plan(tomllib.loads((checkout() / RULES).read_text()), plan)))
    with ExitStack() as block:
        advisories = block.enter_context(knowing_none())
        told = described(before, origin.bare, advisories, rules)
        block.enter_context(other_for_a_while(path, tomli_w.dumps(told)))
        block.enter_context(_dispatching(stage))
        yield origin


def described(settings: Mapping[str, Any], bare: Path, advisories: str, rules: Path) -> dict[str, Any]:
    """The replica's *settings* as whoever has GitHub between the pipeline and the rollout writes them."""
    pipeline = {name: each for name, each in settings["pipeline"].items() if name != "announce"}
    shop = settings["pipeline"]["repositories"][NAME] | {"url": str(bare), _SOURCE: _SOURCE}
    api = settings["webhooks"]["sources"][_SOURCE]["api"]
    target = {"kind": "github", **{name: api[name] for name in ("url", "repository", "token")}}
    return {
        **settings,
        "pipeline": {**pipeline, "osv_url": advisories, "repositories": {NAME: shop}},
        "webhooks": {**settings["webhooks"], "rules": str(rules)},
        "notices": {"targets": {_SOURCE: target}},
    }


def with_plan(rules: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """The shipped *rules*, but a deployment is rolled out by *plan*."""
    told = plan.model_dump(mode="json", exclude_defaults=True)
    return {**rules, "rule": [_with_plan(each, told) for each in rules["rule"]]}


def _with_plan(rule: Mapping[str, Any], plan: Mapping[str, Any]) -> dict[str, Any]:
    if rule["name"] != _DEPLOY:
        return dict(rule)
    return {**rule, "parameters": {"request": {**rule["parameters"]["request"], "plan": plan}}}


@contextmanager
def _dispatching(stage: Stage) -> Generator[None]:
    """A dispatcher by the demo's rules, in place of the replica's own, which has the shipped ones."""
    state = stage.shell.logs.parent
    instead = Keeper(state).process(Dispatcher.name).state.is_up
    stop.down(state, SERVERS, [Dispatcher.name])
    log = stage.shell.log("dispatcher")
    log.unlink(missing_ok=True)
    process = stage.shell.detached("dispatcher", sys.executable, "-m", "services.webhooks", "dispatch", "--port", "0")
    try:
        until = time.monotonic() + _SPEAK_SECONDS
        while "dispatching" not in log.read_text():
            if process.poll() is not None or time.monotonic() > until:
                raise Unavailable("the dispatcher did not start", hint=f"read {log}")
            time.sleep(0.05)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(_SPEAK_SECONDS)
        if instead:
            start.up(state, SERVERS, [Dispatcher.name])
