import pytest

from tests.flows.prefect_server import recording_in
from tests.integration.exposure.sentinel_run import sentinel_run
from tests.working import working


@pytest.fixture(scope="package")
def ran(replica, tmp_path_factory):
    """Every flow, on sentinels: once for all tests here."""
    with recording_in(replica), working(replica), sentinel_run(replica, tmp_path_factory.mktemp("exposure")) as run:
        yield run
