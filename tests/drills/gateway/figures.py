"""The last line of the drill: all cases together."""

from collections import Counter
from statistics import median

from tests.drills.gateway.conducting import FAULTS

MOST_AMPLIFICATION, LEAST_SUCCESS_PERCENT = 1.2, 99.9


def summed(outcomes, *, seconds, window_seconds):
    """Of *outcomes*, one a case."""
    total, kills, blackouts = Counter(), Counter(), []
    for each in outcomes:
        total.update({name: value for name, value in each.figures.items() if name != "latest_milliseconds"})
        kills.update(each.kills)
        blackouts += each.blackouts
    return {
        "gateway_drill_cases": total["cases"],
        **{f"gateway_{name}": total[name] for name in FAULTS},
        "gateway_success_percent_one_dark": success_percent(total),
        "gateway_dark_requests": total["dark_requests"],
        "gateway_amplification": amplification(total),
        "gateway_amplification_worst_case": max(
            (amplification(each.figures) or 0.0 for each in outcomes), default=None
        ),
        "gateway_blackout_seconds_p50": median(blackouts) if blackouts else None,
        "gateway_blackout_seconds_max": max(blackouts, default=None),
        "gateway_window_seconds": window_seconds,
        "gateway_worst_window_percent": max((each.worst_percent for each in outcomes), default=None),
        "gateway_latest_arrival_seconds": max((each.figures["latest_milliseconds"] for each in outcomes), default=0)
        / 1000,
        "gateway_late_arrivals": total["late"],
        "kills": dict(kills),
        "requests": total["requests"],
        "people": {name.removeprefix("people_"): total[name] for name in sorted(total) if name.startswith("people_")},
        "batch": {name.removeprefix("batch_"): total[name] for name in sorted(total) if name.startswith("batch_")},
        "refused": total["refused"],
        "under_way_in_the_killed": total["under_way_in_the_killed"],
        "attempts": total["attempts"],
        "arrivals": total["arrivals"],
        "rows": {name.removeprefix("rows_"): total[name] for name in sorted(total) if name.startswith("rows_")},
        "estimates": total["estimates"],
        "minutes": round(seconds / 60, 1),
    }


def success_percent(figures):
    """Of people's requests while one provider is away; those that the drill cut off by killing their worker do not count."""
    if not figures["dark_requests"]:
        return None
    return round(100 * figures["dark_answered"] / figures["dark_requests"], 3)


def amplification(figures):
    """Arrivals at providers for each request of which anything arrived."""
    return round(figures["arrivals"] / figures["reached"], 3) if figures["reached"] else None
