"""What a staged rollout is worth, on real servers and over replays: `python -m bench.rollout`.

    python -m bench.rollout [--requests N] [--toggles N] [--sdks N] [--replays N] [--rollbacks N] [--users N] [--rate R]
                            [--only toggle replays canary switch rollback] [--seed N]

Servers of its own; everything of made-up users and chance follows the seed, which is told. Progress goes to standard error; the
last line of standard output is JSON:

    toggle_p99_ms, ..._p50_ms, ..._max_ms   from before a person's change is sent to the HTTP API until an SDK, in whose process flags
                                            are evaluated, evaluates the new value: of all changes and SDKs; goal of p99: < 250
    toggle_until_the_last_p50_ms            until the last SDK does, of all changes
    toggle_python_p99_ms, ..._node_...      by language; `toggle_sdks` of both together, each with a connection of its own over TLS
    toggle_flags, toggle_20_flags_p99_ms    flags in the document, all of which is pushed with each change; the same with 20
    false_rollback_percent                  replays of a release like the other that harm was shown of, looked at every 5 s until they
                                            were decided; goal: <= 1
    false_rollback_of_an_hour_percent       the same where looking does not end with the proof of health, but after an hour
    false_go_percent                        replays of a release that errs twice as often that went on; goal: <= 5
    ..._upper_percent                       what these may be at most, by an exact bound at 95 %
    rollback_replayed_p90_seconds, ..._p50  replays of a release that errs 5 times as often, 100 users a second, 5 % of them exposed:
                                            until harm was shown; goal of p90: < 90
    rollback_replayed_within_90_percent     how many of these took less: looks come every 2 s, and so do quantiles
    naive_...                               a z-test (bench/rollout/naive.py) on the same counts, at the usual 5 %, and at the plan's own alpha
    left_the_canary                         of `canary_users`, who had the new variant at 5, 25 or 50 % and not at the step after it, in
                                            Python or in Node; goal: 0
    in_two_variants                         who get one in Python and another in Node at any step; goal: 0
    switch_failed_requests                  of `switch_requests` by users, while the traffic went from one colour to the other and back
                                            `switch_overs` times: without an answer, or with one that was not in store for the user; goal: 0
    switch_failed_upper_ppm                 what this allows to be said of a million, by an exact bound at 95 %
    switch_sent_again_by_...                answered after a second try: by clients as browsers do, or by the load balancer
    rollback_p90_seconds, ..._p50, ..._max  the real flow, with live users: from the commit that exposed 5 % until nobody was any more;
                                            `rollbacks` of them; goal of p90: < 90
    rollback_users_per_second               whom the judge had in these
    rollbacks_otherwise                     of these, ended by something else than the test of errors: they count as 300 s
    rollback_answers_after                  answers with the new search after the commit that took it off, the most of any
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from bench.goals import conclude, tell
from bench.ground import Ground, progress
from bench.rollout import canary, judging, regressions, switching, toggles
from bench.rollout.shop import lay_shop
from steward.errors import StewardError

SERVERS = ("postgres", "s3", "keyvault", "prefect", "haproxy", "prometheus", "flags", "shop", "watch")
#: Neither needs a server.
REPLAYED = ("replays", "canary")
REAL = ("toggle", "switch", "rollback")


def _below(goal: float) -> float:
    return math.nextafter(goal, 0)


GOALS = {
    "toggle_p99_ms": _below(250),
    "rollback_p90_seconds": _below(90),
    "rollback_replayed_p90_seconds": _below(90),
    "false_rollback_percent": 1.0,
    "false_go_percent": 5.0,
    "switch_failed_requests": 0,
    "left_the_canary": 0,
    "in_two_variants": 0,
}


def measure(at: Ground, options: argparse.Namespace) -> dict[str, Any]:
    """The parts that were asked for and need servers."""
    os.environ.update(at.environment)
    figures: dict[str, Any] = {}
    if "toggle" in options.only:
        progress(f"toggling a flag {options.toggles} times, with {options.sdks} SDKs of Python and as many of Node")
        figures |= toggles.measure(at.settings, toggles=options.toggles, sdks=options.sdks, seed=options.seed)
    if "switch" not in options.only and "rollback" not in options.only:
        return figures
    live = lay_shop(at.settings)
    if "switch" in options.only:
        progress(
            f"{options.requests:,} requests, {options.switch_rate:g} sessions a second, while the traffic is switched"
        )
        figures |= switching.measure(
            at.settings, live, requests=options.requests, rate=options.switch_rate, seed=options.seed
        )
    if "rollback" in options.only:
        progress(
            f"rolling out what errs 5 times as often, to {options.rate:g} sessions a second, up to {options.rollbacks} times"
        )
        figures |= regressions.measure(
            at.settings,
            repetitions=options.rollbacks,
            within_seconds=options.rollback_seconds,
            rate=options.rate,
            seed=options.seed,
        )
    return figures


def replayed(options: argparse.Namespace) -> dict[str, Any]:
    """The parts that were asked for and need none."""
    figures: dict[str, Any] = {"seed": options.seed}
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "replays": lambda: judging.measure(replays=options.replays, seed=options.seed),
        "canary": lambda: canary.measure(users=options.users, seed=options.seed),
    }
    for name, part in parts.items():
        if name in options.only:
            progress(f"{name}, seed {options.seed}")
            figures |= part()
    return figures


def main(arguments: Sequence[str]) -> int:
    """As `conclude` says."""
    options = _parser().parse_args(arguments)
    try:
        figures = replayed(options)
    except StewardError as error:
        print(error, file=sys.stderr)
        return 1
    if not set(REAL) & set(options.only):
        return tell(figures, GOALS)
    return conclude(SERVERS, lambda at: {**measure(at, options), **figures}, GOALS)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.rollout", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=100_000, help="while the traffic is switched")
    parser.add_argument("--switch-rate", type=float, default=150.0, help="sessions that begin a second meanwhile")
    parser.add_argument("--toggles", type=int, default=48)
    parser.add_argument("--sdks", type=int, default=100, help="of each language")
    parser.add_argument("--replays", type=int, default=1_000)
    parser.add_argument("--users", type=int, default=100_000, help="who are asked about at each step")
    parser.add_argument("--rollbacks", type=int, default=15, help="at most")
    parser.add_argument("--rollback-seconds", type=float, default=660.0, help="none begins later than that")
    parser.add_argument(
        "--rate", type=float, default=140.0, help="sessions that begin a second in these: some 105 users"
    )
    parser.add_argument("--only", nargs="+", choices=(*REAL, *REPLAYED), default=[*REAL, *REPLAYED])
    parser.add_argument("--seed", type=int, default=7)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
