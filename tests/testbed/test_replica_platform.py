"""The whole replica of this test run: what all of its servers promise together."""

import http.client
import json
import ssl
import time

import boto3
import psutil
import pytest
from botocore.exceptions import ClientError

from replica import faults, inventory, processes, start, status
from replica.selection import select
from replica.servers import SERVERS, gateway
from replica.servers.prefect import ask
from replica.supervision import Keeper

pytestmark = pytest.mark.usefixtures("worker")


def prefect(place, path, authorization=None):
    connection = http.client.HTTPConnection("127.0.0.1", place.port("prefect", "api"), timeout=20)
    connection.request("GET", path, headers={"Authorization": authorization} if authorization else {})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


def test_every_server_answers_and_all_fit_in_four_gibibytes(replica):
    rows = status.rows(replica, select(SERVERS, []))
    assert {row.server: row.health for row in rows if not row.healthy} == {}
    assert sum(row.memory_bytes for row in rows) < 4 * 1024**3
    assert f"{len(rows)} of {len(rows)} healthy" in status.table(rows)


def test_every_listener_of_the_platform_is_on_loopback(replica):
    listening = {
        connection.laddr.ip
        for process, _ in processes.own(replica.state)
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    # Java shows 127.0.0.1 by its IPv6 name.
    assert listening <= {"127.0.0.1", "::ffff:127.0.0.1"}
    assert listening


def test_no_argument_of_any_process_holds_a_secret(replica):
    secrets = [path.read_text() for path in (replica.state / "secrets").iterdir()]
    arguments = [" ".join(process.cmdline()) for process, _ in processes.own(replica.state)]
    assert len(secrets) >= 8
    assert not [line for line in arguments for secret in secrets if secret in line]


def test_up_over_the_whole_platform_changes_nothing(replica):
    before = {name: process.pid for name, process in Keeper(replica.state).processes().items()}
    start.up(replica.state, SERVERS, [])
    after = {name: process.pid for name, process in Keeper(replica.state).processes().items()}
    assert after == before


def test_prefect_asks_for_its_password(replica):
    assert prefect(replica, "/api/admin/version")[0] == 401
    assert prefect(replica, "/api/admin/version", "Basic d3Jvbmc6d3Jvbmc=")[0] == 401


def test_a_browser_gets_the_user_interface_and_is_sent_to_the_right_api(replica):
    code, page = prefect(replica, "/")
    assert code == 200
    assert "<html" in page.lower()
    code, settings = prefect(replica, "/ui-settings")
    assert code == 200
    assert json.loads(settings)["auth"] == "BASIC"


def test_prefect_reports_its_use_to_nobody(replica):
    settings = ask(replica, "GET", "/api/admin/settings")
    assert settings["server"]["analytics_enabled"] is False
    assert settings["server"]["concurrency"]["lease_storage"].endswith("filesystem")


def test_a_killed_worker_is_online_again_after_up(replica):
    faults.kill(replica.state, "worker")
    (row,) = status.rows(replica, select(SERVERS, ["worker"])[-1:])
    assert (row.state, row.healthy) == ("down", False)
    start.up(replica.state, SERVERS, ["worker"])
    (row,) = status.rows(replica, select(SERVERS, ["worker"])[-1:])
    assert (row.state, row.healthy) == ("up", True)


def test_a_killed_prefect_server_comes_back_with_what_it_knew(replica):
    pools = ask(replica, "POST", "/api/work_pools/filter", {})
    faults.kill(replica.state, "prefect")
    start.up(replica.state, SERVERS, ["worker"])
    assert [pool["id"] for pool in ask(replica, "POST", "/api/work_pools/filter", {})] == [pool["id"] for pool in pools]


def models(place, key):
    connection = http.client.HTTPConnection("127.0.0.1", place.port("gateway", "http"), timeout=20)
    connection.request("GET", "/v1/models", headers={"x-api-key": key})
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    return answer.status, [each["id"] for each in body.get("data", [])]


def test_the_gateway_serves_its_caller_and_nobody_else_before_and_after_it_was_killed(replica):
    assert models(replica, "sgw-of-a-stranger")[0] == 401
    before = models(replica, replica.secret(gateway.CALLER))
    assert before == (200, ["chat", "embeddings"])
    faults.kill(replica.state, "gateway")
    start.up(replica.state, SERVERS, ["gateway"])
    assert models(replica, replica.secret(gateway.CALLER)) == before


def client(place, settings, secret):
    return boto3.client(
        "s3",
        endpoint_url=settings.objects.endpoint,
        region_name=settings.objects.region,
        verify=str(place.ca_file),
        aws_access_key_id=place.secret("s3.access"),
        aws_secret_access_key=secret,
    )


def test_s3_speaks_tls_of_this_replicas_authority_and_nothing_else(replica, settings):
    stranger = http.client.HTTPSConnection(
        settings.objects.endpoint.removeprefix("https://"), timeout=10, context=ssl.create_default_context()
    )
    with pytest.raises(ssl.SSLCertVerificationError):
        stranger.request("GET", "/")
    stranger.close()
    connection = http.client.HTTPConnection("127.0.0.1", replica.port("s3", "s3"), timeout=10)
    connection.request("GET", "/")
    assert connection.getresponse().status == 400
    connection.close()


def test_s3_refuses_a_wrong_key_and_no_key(replica, settings):
    with pytest.raises(ClientError) as caught:
        client(replica, settings, "wrong").list_buckets()
    assert caught.value.response["Error"]["Code"] == "SignatureDoesNotMatch"
    context = ssl.create_default_context(cafile=str(replica.ca_file))
    connection = http.client.HTTPSConnection("127.0.0.1", replica.port("s3", "s3"), timeout=10, context=context)
    connection.request("GET", f"/{settings.objects.evidence_bucket}?list-type=2")
    assert connection.getresponse().status == 403
    connection.close()


def test_the_bucket_for_evidence_keeps_every_version_and_can_lock_them(replica, settings):
    objects = client(replica, settings, replica.secret("s3.secret"))
    bucket = settings.objects.evidence_bucket
    assert objects.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    lock = objects.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    assert lock["ObjectLockEnabled"] == "Enabled"


def test_a_killed_object_store_loses_nothing_that_it_acknowledged(replica, settings):
    objects = client(replica, settings, replica.secret("s3.secret"))
    bucket = settings.objects.evidence_bucket
    for number in range(50):
        objects.put_object(Bucket=bucket, Key=f"killed/{number}", Body=f"body {number}".encode() * 100)
    faults.kill(replica.state, "s3")
    start.up(replica.state, SERVERS, ["s3"])
    for number in range(50):
        body = objects.get_object(Bucket=bucket, Key=f"killed/{number}")["Body"].read()
        assert body == f"body {number}".encode() * 100


def test_through_the_proxy_elasticsearch_can_be_cut_off_and_comes_back(proxied, settings):
    place = proxied
    url = settings.cluster("scratch").hosts[0]
    assert url.endswith(str(place.client_port("scratch", "http")))
    context = ssl.create_default_context(cafile=str(place.ca_file))

    def seconds_to_answer():
        began = time.monotonic()
        connection = http.client.HTTPSConnection(url.removeprefix("https://"), timeout=3, context=context)
        try:
            connection.request("GET", "/_cluster/health")
            assert connection.getresponse().status == 401
        finally:
            connection.close()
        return time.monotonic() - began

    seconds_to_answer()
    with faults.partitioned(place.state, "scratch"), pytest.raises(TimeoutError):
        seconds_to_answer()
    faults.slow(place.state, "scratch", delay_seconds=0.4)
    assert seconds_to_answer() >= 0.8
    faults.heal(place.state, "scratch")
    seconds_to_answer()


def test_the_environment_of_clients_holds_what_they_need(replica):
    environment = inventory.environment(replica)
    assert environment["PREFECT_API_URL"] == f"http://127.0.0.1:{replica.port('prefect', 'api')}/api"
    assert environment["DO_NOT_TRACK"] == "1"
