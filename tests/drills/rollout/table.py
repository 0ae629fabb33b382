"""docs/rollout-drill.md, as the drill writes it."""

from collections import Counter, defaultdict

from tests.drills.rollout.cases import AWAY_SECONDS, LEASE_SECONDS, PATIENT_SECONDS

_HEAD = """# What became of rollouts when something died

Written by `make drill-rollout`, {cases} cases, seed {seed}. Each is a rollout of the sample shop, deployed and run by a worker,
with users, under a lease of {lease:g} s that is renewed each second. It is held at one boundary of its flow; there the victim
is killed (SIGKILL) or stopped (SIGSTOP, later SIGCONT), and is back after {short:g} s ("short") or {long:g} s ("long"). A
`host` is the worker together with the flow's process. Where flow or host are killed "short", the lease is {patient:g} s, so that a new run can go on
while users are exposed.

Judged from outside: one SDK in Python and one in Node, each asking for 40 users ten times a second; what users of the shop
got; the record. In every case nobody may be exposed later than lease + 1 s after the last renewal, come back after having
been taken off, or be exposed beyond the recorded step; and at the end flag, traffic and evidence are to be as the record says.

- **resumed**: it went to the end that its release deserves: `good` certified, `broken` (half of its users err) rolled back for its harm;
- **withdrawn**: users and traffic were given back, and the record says by whom and why;
- **refused**: it was not on record yet, and nothing was touched.

{summary}

Of {cells} cells of missing, NaN, stale, zero traffic and users who split otherwise than planned, for each metric, guard and
step: {promotions} let a step go on.

"""


def render(seed, rows, summary, matrix):
    """*rows*: (case, outcome, attempts, seconds until nobody was exposed or None, what was wrong)."""
    cells, promotions = matrix
    head = _HEAD.format(
        cases=len(rows),
        seed=seed,
        lease=LEASE_SECONDS,
        patient=PATIENT_SECONDS,
        **AWAY_SECONDS,
        summary=", ".join(f"{name.replace('_', ' ')} {value}" for name, value in summary.items()),
        cells=cells,
        promotions=len(promotions),
    )
    return head + _by_victim(rows) + "\n" + _cases(rows)


def _by_victim(rows):
    found = defaultdict(Counter)
    for case, outcome, *_ in rows:
        found[case.victim, case.kind][outcome] += 1
    lines = ["| victim | how | resumed | withdrawn | refused |", "|---|---|---:|---:|---:|"]
    for (victim, kind), counts in sorted(found.items()):
        lines.append(f"| {victim} | {kind} | {counts['resumed']} | {counts['withdrawn']} | {counts['refused']} |")
    return "\n".join(lines) + "\n"


def _cases(rows):
    lines = [
        "| # | victim | how | away | where | outcome | attempts | exposed for, after it | wrong |",
        "|---:|---|---|---|---|---|---:|---:|---|",
    ]
    for case, outcome, attempts, seconds, wrong in rows:
        exposed = "" if seconds is None else f"{seconds:.1f} s"
        lines.append(
            f"| {case.number} | {case.victim} | {case.kind} | {case.away} | {case.place} | {outcome} | {attempts} | {exposed} | {wrong} |"
        )
    return "\n".join(lines) + "\n"
