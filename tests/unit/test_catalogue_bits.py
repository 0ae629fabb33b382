"""`index-N` has no checksum: a bit that flips in it shows by what it contradicts, in itself or of what the cluster says."""

import pytest

from tests.unit.blob_ground import SAMPLE, after_a_night, check
from tests.unit.repository.sample import CATALOGUE, flipped

#: Each byte is met by one of its bits in as many runs of the drill; here by its turn.
STEP = 9


@pytest.mark.parametrize("bit", range(8))
def test_a_flipped_bit_of_the_catalogue_is_refuted_wherever_it_is(bit):
    blob = SAMPLE[CATALOGUE]
    unseen = [
        at
        for at in range(bit, len(blob), STEP * 8)
        if check({**SAMPLE, CATALOGUE: flipped(blob, at, bit)}, after_a_night()).verdict != "REFUTED"
    ]
    assert unseen == []


@pytest.mark.parametrize(
    "name", [b"min_version", b"version", b"index_version", b"start_time_millis", b"end_time_millis", b"slm_policy"]
)
def test_a_name_that_nobody_knows_is_told_by_what_is_missing(name):
    found = check(
        {**SAMPLE, CATALOGUE: SAMPLE[CATALOGUE].replace(b'"%s"' % name, b'"%s"' % name.upper(), 1)}, after_a_night()
    )
    assert found.verdict == "REFUTED"
    assert any(CATALOGUE in finding.subject for finding in found.findings), found.findings
