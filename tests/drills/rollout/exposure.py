"""Who was exposed for too long, too far, or again: from what SDKs gave and what stood on record, and from nothing else."""

import itertools

from tests.drills.rollout.seeing import USERS

#: After the lease, for the clocks of machines and the second to which it is cut.
GRACE_SECONDS = 1.0
#: A sample of the record is as old as that at most.
SAMPLED_SECONDS = 0.5
#: A look that had begun when the blow fell may have its renewal after it.
_UNDER_WAY_SECONDS = 1.5


def bound(samples, at, died_at=None, lease_seconds=0.0):
    """Until when users may be exposed, as it is known at the Unix time *at*: the last lease, or for good once it is certified.

    Args:
        samples: The record's, oldest first.
        died_at: When the last controller did; whatever the record has, there was nobody to renew from then on.
    """
    if any(each.state == "certified" and each.at - SAMPLED_SECONDS <= at for each in samples):
        return float("inf")
    leases = [each.lease_until for each in samples if each.exposure and each.at <= at + SAMPLED_SECONDS]
    end = max(leases, default=0.0)
    return (end if died_at is None else min(end, died_at + lease_seconds)) + GRACE_SECONDS


def late(ticks, until):
    """By how many seconds, at each look at which somebody was exposed after *until*(its time)."""
    found = [tick.at - until(tick.at) for tick in ticks if "1" in tick.got]
    return [seconds for seconds in found if seconds > 0]


def flips(ticks):
    """How often a user who had been taken off came back."""
    courses = (
        "".join(digit for digit, _ in itertools.groupby(each)) for each in zip(*(t.got for t in ticks), strict=True)
    )
    return sum(course.strip("0").count("0") for course in courses)


def beyond(ticks, exposures):
    """Looks at which somebody was exposed who was not to be; *exposures*: pairs of a time and the per cent from then on."""
    found = []
    for tick in ticks:
        # Push takes some hundredths of a second; a record's time is from before its commit.
        most = max((percent for at, percent in exposures if at <= tick.at + 0.05), default=0)
        if "1" in tick.got[USERS * most // 100 :]:
            found.append(tick)
    return found


def renewed(samples, since, until):
    """How often the lease was renewed while nobody could know that users are well."""
    during = [each.lease_until for each in samples if since + _UNDER_WAY_SECONDS < each.at < until and each.exposure]
    return sum(after > before for before, after in itertools.pairwise(during))
