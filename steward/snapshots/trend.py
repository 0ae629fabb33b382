"""The picture of past nights: how long each took, how many documents it compared, and its verdict as a colour."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from steward.snapshots.report import SnapshotReport
from steward.verdicts import Verdict

# Told apart by people who see no red and green, too (Okabe and Ito's palette).
COLOURS = {Verdict.VERIFIED: "#009e73", Verdict.REFUTED: "#d55e00", Verdict.UNKNOWN: "#e69f00"}

#: The first nights leave room for a week of them: one bar across the page says nothing.
FEWEST_BARS = 7


def draw_trend(reports: Sequence[SnapshotReport]) -> str:
    """A PNG as a data URI, so that the page showing it needs no other server. *reports*: any order, at least one."""
    nights = sorted(reports, key=lambda report: (report.night, report.attempt))
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    left = figure.add_subplot()
    labels = [f"{night.night:%d %b}" + (f" #{night.attempt}" if night.attempt > 1 else "") for night in nights]
    seconds = [(night.ended_at - night.started_at).total_seconds() for night in nights]
    left.bar(range(len(nights)), seconds, color=[COLOURS[night.verdict] for night in nights], width=0.7)
    left.set_xticks(range(len(nights)), labels, rotation=45 if len(nights) > 10 else 0, fontsize=8)  # noqa: PLR2004  so that dates do not touch
    left.set_xlim(-0.6, max(len(nights), FEWEST_BARS) - 0.4)
    left.set_ylabel("seconds, whole night")
    right = left.twinx()
    right.plot(range(len(nights)), [night.documents for night in nights], "o-", color="#444", linewidth=1, markersize=3)
    right.set_ylabel("documents compared (line)")
    right.set_ylim(bottom=0)
    left.legend(handles=[Patch(color=colour, label=verdict.value) for verdict, colour in COLOURS.items()], fontsize=8)
    left.set_title(f"Nights of cluster {nights[-1].cluster}", fontsize=10)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    return "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()
