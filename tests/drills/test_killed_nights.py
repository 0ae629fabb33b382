"""The night as it is deployed, whatever is killed at whichever of its steps: proved once, with nothing left over.

`STEWARD_DRILL_CASES` says how many: one by default, more by `make drill-snapshot`.
"""

import os
import random

import pytest

from replica import inventory
from tests.drills.nights.cases import draw
from tests.drills.nights.conducting import conduct
from tests.drills.nights.stage import staged

CASES = int(os.environ.get("STEWARD_DRILL_CASES", "1"))
SEED = int(os.environ.get("STEWARD_DRILL_SEED", "20250731"))


@pytest.fixture(scope="module")
def stage(replica, worker, tmp_path_factory):
    folder = tmp_path_factory.mktemp("nights")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in inventory.environment(replica).items():
            patch.setenv(name, value)
        patch.setenv("STEWARD_SETTINGS", str(folder / "settings.toml"))
        with staged(replica, folder) as stage:
            yield stage


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("case", draw(SEED, CASES), ids=str)
def test_a_night_is_proved_once_whatever_is_killed(stage, case, record_property):
    # A case that failed may have left its fault.
    stage.mend()
    stage.forget()
    tally, story = conduct(stage, case, random.Random(f"{SEED} {case}"))
    record_property(case.fault, tally.figures)
    assert not tally.faults, "\n".join([str(tally.faults), *story])
