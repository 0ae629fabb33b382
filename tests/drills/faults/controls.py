"""What looks like a case and is damaged nowhere: the same ways of doing it, without the lie."""

from tests.drills.faults.copy_damage import _forged
from tests.drills.faults.kinds import Kind, Right, Where


def _nothing(_case):
    return ()


def _forge_nothing(case):
    _forged(case, lambda hit: hit["_source"])
    return ()


CONTROLS = [
    Kind("a repository as it was", Where.REPOSITORY, _nothing, Right.WITHSTOOD),
    Kind("a copy as it was", Where.COPY, _nothing, Right.WITHSTOOD),
    Kind("a copy made anew with the same documents", Where.COPY, _forge_nothing, Right.WITHSTOOD),
    Kind("a copy off site as it was", Where.OFFSITE, _nothing, Right.WITHSTOOD),
]
