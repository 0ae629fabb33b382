"""What the night before put on record of the sample, and what a report says of tonight."""

from copy import deepcopy

from tests.unit.blob_ground import SAMPLE, after_a_night
from tests.unit.repository.sample import index_id, paths, uuid_of

ONE, TWO = (uuid_of(SAMPLE, name) for name in ("one", "two"))
A = f"indices/{index_id(SAMPLE, 'a')}"
BOOK = after_a_night()
TWOS = {path for path in SAMPLE if ONE not in path}
"""What `two` needs: all but what only `one` has."""


def book():
    return deepcopy(BOOK)


def facts(report):
    return [f"{finding.subject}: {finding.fact}" for finding in report.findings]


def data(of=A, *, known=None):
    """Paths of whole files, or of those that the night before knew, or did not."""
    found = [path for path in paths(SAMPLE, begins="__", holds=of) if ".part" not in path]
    return [path for path in found if known is None or (path in BOOK.blobs) is known]
