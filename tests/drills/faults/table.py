"""docs/fault-matrix.md, as the drill writes it."""

from collections import defaultdict

from tests.drills.faults.kinds import Right, Where

ASKED = ("restore alone", "counts", "Curator", "elasticdump")

_HEAD = """# What finds which damage

Written by `make drill-faults`, {rounds} of {kinds} kinds of damage, seed {seed}: {summary}.

Each case is a damage of its own to tonight's snapshot of two small indices, beside one of last night, on real servers: to a
clone of the repository, to what was restored from it, to the night itself, or to the copy under Object Lock. Chance, by the seed,
draws the blob, the byte and the bit. Everybody is then asked in earnest:

- **restore alone**: Elasticsearch's own answer to the restore, failed shards included; of the copy off site: what the newest objects,
  fetched by a plain S3 client, restore to.
- **counts**: `_count` of each index on both sides.
- **Curator** {curator}: its `Restore` action, which waits for the shards and then compares index names; where the damage came after the
  restore, its two checks alone.
- **elasticdump** {elasticdump}: documents, mappings, aliases and analyzers of both sides dumped and the dumps compared, for it has no
  comparison of its own. Nobody writes meanwhile: under writes its dumps differ without any damage.
- **ours**: what the steps of `nightly-snapshot` find, and which of them: *blobs* reads the repository, *content*, *definitions*,
  *queries* and *templates* compare what was restored, *copy* is the next night's look at the copy, *copy's proof* a restore from it.

A kind counts as detected where the verdict is the right one and a finding names what is damaged: the document, index, alias,
template, or blob. `REFUTED`: it is wrong. `UNKNOWN`: it cannot be judged, nothing rests on it, and nothing is deleted.
*withstood*: what was put over a copy is not what the night has pinned, so the proof stands, and has to be VERIFIED; these are not counted
as detected. Whoever fetches the newest objects gets the damage.

{clean}

"""


def render(seed, judged, rivals, clean, summary):
    """*judged*: every case. *rivals*: versions by name. *clean*: what the clean runs came to."""
    by_kind = defaultdict(list)
    for each in judged:
        by_kind[each.case.kind].append(each)
    rounds = max(map(len, by_kind.values()), default=0)
    head = _HEAD.format(
        rounds="one round" if rounds == 1 else f"{rounds} rounds",
        kinds=len(by_kind),
        seed=seed,
        summary=", ".join(f"{name.replace('_', ' ')} {value}" for name, value in summary.items()),
        clean=_clean(clean),
        **rivals,
    )
    return head + "\n".join([_sums(by_kind), *(_part(where, by_kind) for where in Where)])


def _clean(clean):
    if not clean.runs:
        return "No clean runs were made with it."
    return _nights(clean) + (_speed(clean.seconds) if clean.seconds else "")


def _nights(clean):
    return (
        f"{clean.runs} clean runs, each with all that a night checks, blobs and copy among it, under {clean.writes_per_second:.0f} writes a second: "
        f"{len(clean.false_alarms)} false alarms, {len(clean.unproved)} findings of what could not be proved; "
        f"{clean.documents:,} documents compared ({clean.undecided:,} of them not decidable), {clean.blobs:,} blobs read, "
        f"{clean.copied:,} copied."
    )


def _speed(seconds):
    return (
        f"\n\nFor {seconds['documents']:,} documents of a source at rest the proof took {seconds['ours']:.1f} s, and elasticdump, for "
        f"dumping both sides through a proxy on the same machine, {seconds['elasticdump']:.1f} s (medians)."
    )


def _sums(by_kind):
    lines = [
        f"| what is damaged | kinds | {' | '.join(ASKED)} | ours |",
        f"|---|---:|{'---:|' * (len(ASKED) + 1)}",
    ]
    for where in Where:
        kinds = [each for kind, each in by_kind.items() if kind.where is where and kind.right is not Right.WITHSTOOD]
        counts = [sum(all(case.rivals.get(name) for case in cases) for cases in kinds) for name in ASKED]
        ours = sum(all(case.is_detected for case in cases) for cases in kinds)
        lines.append(f"| {where} | {len(kinds)} | {' | '.join(map(str, counts))} | {ours} |")
    return "\n".join(lines) + "\n"


def _part(where, by_kind):
    lines = [
        f"## Damage to the {where}\n" if where is not Where.NIGHT else "## The night itself\n",
        f"| damage | {' | '.join(ASKED)} | ours | by |",
        f"|---|{':-:|' * len(ASKED)}---|---|",
    ]
    for kind, cases in by_kind.items():
        if kind.where is where:
            asked = [_share([bool(case.rivals.get(name)) for case in cases]) for name in ASKED]
            by = sorted({name for case in cases for name in case.by}) if kind.right is not Right.WITHSTOOD else []
            lines.append(f"| {kind} | {' | '.join(asked)} | {_ours(kind, cases)} | {', '.join(by)} |")
    return "\n".join(lines) + "\n"


def _share(found):
    if len(set(found)) == 1:
        return "yes" if found[0] else "no"
    return f"{sum(found)} of {len(found)}"


def _ours(kind, cases):
    right = [case.is_detected for case in cases]
    if all(right):
        return str(kind.right)
    return f"**{sum(right)} of {len(right)}** {kind.right}: {', '.join(sorted({str(case.verdict) for case in cases}))}"
