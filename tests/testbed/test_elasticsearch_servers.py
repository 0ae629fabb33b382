"""What the replica's Elasticsearch refuses, asked of the real nodes."""

from __future__ import annotations

import http.client
import signal
import ssl
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from elastic_transport._node import _http_urllib3

from replica import certificates
from replica.elasticsearch import archive, configuration, home
from replica.elasticsearch.api import Api, Refused, connect
from replica.elasticsearch.clusters import HAND, PRODUCTION, SCRATCH
from replica.ports import choose
from replica.server import Place
from replica.servers.elasticsearch import ELASTICSEARCH
from steward.clients.elasticsearch import open_search
from steward.clients.elasticsearch_errors import CertificateRefused

INDEX = "tenant-closed-doors-000001"
BOTH = pytest.mark.parametrize(("cluster", "node"), [(PRODUCTION, "es-2"), (SCRATCH, "scratch")])


@pytest.fixture
def index(replica):
    """An index with one document, made by the replica's own hand."""
    hand = connect(replica, PRODUCTION, "es-1", HAND)
    # Made by name: where the cluster is provisioned already, no write makes a tenant's index.
    hand.call("PUT", f"/{INDEX}", timeout_seconds=60)
    hand.call("PUT", f"/{INDEX}/_doc/1?refresh=true", {"text": "confidential"}, timeout_seconds=60)
    yield INDEX
    hand.call("DELETE", f"/{INDEX}", timeout_seconds=60)


@pytest.fixture
def alone(replica, tmp_path):
    """A place of its own for one node that a test starts itself, laid out like `scratch`."""
    place = Place(tmp_path, replica.cache, choose(("scratch.http", "scratch.transport"), {}))
    configuration.write(place, SCRATCH, "scratch")
    return place


def _status(api, method, path, body=None):
    """The HTTP status that the user of *api* is given."""
    try:
        api.call(method, path, body, timeout_seconds=60)
    except Refused as refused:
        return refused.status
    return 200


def _handshake(port, context):
    """One byte read over TLS: a client certificate that is lacking is told only after the handshake."""
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=20)
    connection.connect()
    try:
        assert isinstance(connection.sock, ssl.SSLSocket)
        connection.sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        connection.sock.recv(1)
        return connection.sock.version()
    finally:
        connection.close()


def _trusting(place):
    return ssl.create_default_context(cafile=str(place.ca_file))


def _node(place):
    command = [sys.executable, "-m", "replica.elasticsearch.node", str(home.path(place.cache))]
    log = (place.state / "log").open("w")
    return subprocess.Popen([*command, str(configuration.folder(place, "scratch"))], stdout=log, stderr=log)


def _last_lines(place):
    return (place.state / "log").read_text().splitlines()[-2:]


def _ended(place):
    """The exit code of a node that cannot start, and its last two lines."""
    process = _node(place)
    try:
        return process.wait(120), _last_lines(place)
    finally:
        process.kill()


@BOTH
def test_nobody_is_answered_without_credentials(replica, cluster, node):
    port = replica.port(node, "http")
    with closing(http.client.HTTPSConnection("127.0.0.1", port, context=_trusting(replica), timeout=20)) as connection:
        connection.request("GET", "/_cluster/health")
        assert connection.getresponse().status == 401


@BOTH
def test_a_wrong_password_is_refused(replica, cluster, node):
    impostor = Api(replica.port(node, "http"), replica.ca_file, "monitoring", "not-the-password")
    with pytest.raises(Refused, match="401"):
        impostor.call("GET", "/_cluster/health")


@BOTH
@pytest.mark.parametrize("layer", ["http", "transport"])
def test_tls_below_1_3_is_refused(replica, cluster, node, layer):
    old = _trusting(replica)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        _handshake(replica.port(node, layer), old)


@BOTH
def test_tls_1_3_is_spoken(replica, cluster, node):
    assert _handshake(replica.port(node, "http"), _trusting(replica)) == "TLSv1.3"


@BOTH
def test_the_transport_layer_demands_a_certificate_of_the_replicas_own_authority(replica, cluster, node):
    with pytest.raises(ssl.SSLError, match=r"(?i)certificate"):
        _handshake(replica.port(node, "transport"), _trusting(replica))


@BOTH
def test_a_client_that_does_not_know_the_authority_refuses_the_node(replica, cluster, node):
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(replica.port(node, "http"), ssl.create_default_context())


def test_a_client_trusts_the_authority_that_it_names_and_none_of_the_machines(replica, settings, tmp_path, monkeypatch):
    """Neither OpenSSL's authorities nor certifi's: either would let in whoever a public authority has certified."""
    production = settings.cluster("production")
    foreign = production.model_copy(update={"ca_file": certificates.authority(tmp_path / "foreign")})
    misled = settings.model_copy(update={"search": {**settings.search, "production": foreign}})
    monkeypatch.setenv("SSL_CERT_FILE", str(replica.ca_file))
    monkeypatch.setattr(_http_urllib3, "DEFAULT_CA_CERTS", str(replica.ca_file))
    with open_search(misled, "production", "snapshot") as client, pytest.raises(CertificateRefused):
        client.request("GET", "/")


@BOTH
def test_plain_http_is_not_answered(replica, cluster, node):
    connection = http.client.HTTPConnection("127.0.0.1", replica.port(node, "http"), timeout=20)
    connection.request("GET", "/_cluster/health")
    with pytest.raises((http.client.HTTPException, OSError)):
        connection.getresponse()
    connection.close()


def test_the_snapshot_user_reads_and_never_writes(replica, index):
    ask = partial(_status, connect(replica, PRODUCTION, "es-1", "snapshot"))
    assert ask("GET", f"/{index}/_doc/1") == 200
    assert ask("PUT", f"/{index}/_doc/1", {"text": "changed"}) == 403
    assert ask("DELETE", f"/{index}/_doc/1") == 403
    assert ask("DELETE", f"/{index}") == 403
    assert ask("PUT", "/_index_template/tenant", {"index_patterns": ["tenant-*"]}) == 403


def test_the_tenants_user_writes_and_never_snapshots(replica, index):
    ask = partial(_status, connect(replica, PRODUCTION, "es-1", "tenants"))
    assert ask("PUT", f"/{index}/_doc/2", {"text": "new"}) == 200
    assert ask("PUT", "/_snapshot/nightly/mine", {"indices": index}) == 403
    assert ask("GET", "/_snapshot/nightly/_all") == 403
    assert ask("DELETE", f"/{index}") == 403


def test_the_monitoring_user_sees_health_and_reads_no_document(replica, index):
    ask = partial(_status, connect(replica, PRODUCTION, "es-1", "monitoring"))
    assert ask("GET", "/_cluster/health") == 200
    assert ask("GET", f"/{index}/_doc/1") == 403
    assert ask("POST", f"/{index}/_search", {}) == 403
    assert ask("PUT", f"/{index}/_doc/1", {"text": "changed"}) == 403


@pytest.mark.parametrize("password_of", [SCRATCH.secret("restore"), PRODUCTION.secret("snapshot")])
def test_the_restore_user_of_scratch_is_unknown_in_production(replica, password_of):
    assert _status(connect(replica, SCRATCH, "scratch", "restore"), "GET", "/_cluster/health") == 200
    stranger = Api(replica.port("es-1", "http"), replica.ca_file, "restore", replica.secret(password_of))
    for path in ("/_cluster/health", "/_snapshot/nightly", "/_all/_search"):
        with pytest.raises(Refused, match="401"):
            stranger.call("GET", path)


def test_scratch_reads_the_repository_and_cannot_write_to_it(replica):
    hand = connect(replica, SCRATCH, "scratch", HAND)
    assert hand.call("GET", "/_snapshot/nightly")["nightly"]["settings"]["readonly"] == "true"
    with pytest.raises(Refused, match=r"(?i)read-?only"):
        hand.call("PUT", "/_snapshot/nightly/forbidden", timeout_seconds=60)


def test_scratch_sees_the_snapshots_of_production(replica, index):
    hand = connect(replica, PRODUCTION, "es-1", HAND)
    hand.call("PUT", "/_snapshot/nightly/seen?wait_for_completion=true", {"indices": index}, timeout_seconds=120)
    try:
        found = connect(replica, SCRATCH, "scratch", "restore").call(
            "GET", "/_snapshot/nightly/seen", timeout_seconds=60
        )
        assert found["snapshots"][0]["indices"] == [index]
    finally:
        hand.call("DELETE", "/_snapshot/nightly/seen", timeout_seconds=120)


def test_a_user_added_while_running_is_known_on_every_node_within_seconds(replica, index):
    configuration.add_user(replica, "newcomer", "a-password-of-a-test", ["steward_tenants"])
    deadline = time.monotonic() + 15
    for node in PRODUCTION.nodes:
        newcomer = Api(replica.port(node, "http"), replica.ca_file, "newcomer", "a-password-of-a-test")
        while (status := _status(newcomer, "GET", f"/{index}/_doc/1")) != 200:
            # 403: the node reads its two files one after the other, and so may know the user before the roles.
            assert status in (401, 403)
            assert time.monotonic() < deadline, f"{node} does not know the user"
            time.sleep(0.2)


def test_every_node_answers_its_probe_as_part_of_the_whole_cluster(replica):
    told = {server.name: server.probe(replica) for server in ELASTICSEARCH}
    assert all("3 nodes" in told[node] for node in PRODUCTION.nodes)
    assert "1 node," in told["scratch"]


def test_settling_again_leaves_a_registered_repository_alone(replica):
    hand = connect(replica, PRODUCTION, "es-1", HAND)
    before = hand.call("GET", "/_snapshot/nightly")
    ELASTICSEARCH[0].settle(replica)
    assert hand.call("GET", "/_snapshot/nightly") == before


@pytest.mark.parametrize("fits", [True, False])
def test_the_archive_for_fast_starts_is_one_that_java_accepts(replica, tmp_path, fits):
    """By default Java goes on without an archive that does not fit, and nobody would notice; AOTMode=on makes it refuse."""
    laid_out = home.path(replica.cache)
    options = [*archive.options(laid_out), "-XX:AOTMode=on", *([] if fits else ["-XX:-UseCompressedOops"])]
    program = "import sys; from pathlib import Path; from replica.elasticsearch import java; "
    program += "java.start(Path(sys.argv[1]), Path(sys.argv[2]), 64, sys.argv[3:]); print('accepted')"
    command = [sys.executable, "-c", program, str(laid_out), str(tmp_path), *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert len(options) >= 2
    assert ("accepted" in done.stdout) is fits, done.stderr


def test_a_node_stops_cleanly_when_told_to(alone):
    process = _node(alone)
    try:
        deadline = time.monotonic() + 120
        while "started" not in (alone.state / "log").read_text():
            assert process.poll() is None, _last_lines(alone)
            assert time.monotonic() < deadline
            time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
    # Not the last line: threads of its plugins may have one more to say.
    assert any(line.endswith("[o.e.n.Node] closed") for line in (alone.state / "log").read_text().splitlines())


def test_a_node_told_to_stop_while_it_starts_stops(alone):
    process = _node(alone)
    try:
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0
    finally:
        process.kill()


def test_a_node_whose_port_is_taken_says_so_and_ends(replica, alone):
    taken = {**alone.ports, "scratch.http": replica.port("es-1", "http")}
    configuration.write(Place(alone.state, alone.cache, taken), SCRATCH, "scratch")
    code, (fact, hint) = _ended(alone)
    assert code == 1
    assert fact.startswith("scratch cannot start: ")
    assert "Address already in use" in fact
    assert "port is taken" in hint


def test_a_node_with_an_unknown_setting_names_it_and_ends(alone):
    path = configuration.folder(alone, "scratch") / "elasticsearch.yml"
    path.write_text(path.read_text() + "no.such.setting: 1\n")
    code, (fact, hint) = _ended(alone)
    assert code == 1
    assert "unknown setting [no.such.setting]" in fact
    assert "elasticsearch.yml" in hint


def test_a_node_whose_disk_takes_no_more_says_so_and_ends(alone):
    """A limit of file sizes stands for a full disk: writing beyond it fails as writing to a full one does."""
    node = [sys.executable, "-m", "replica.elasticsearch.node", str(home.path(alone.cache))]
    node += [str(configuration.folder(alone, "scratch"))]
    limited = "import os, resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
    limited += "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); os.execv(sys.argv[1], sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", limited, *node], check=False, capture_output=True, text=True, timeout=120
    )
    fact, hint = done.stderr.splitlines()[-2:]
    assert done.returncode == 1
    assert "File too large" in fact
    assert "disk" in hint


def test_a_data_folder_in_use_is_not_shared(replica, alone):
    data = alone.folder("scratch") / "data"
    data.symlink_to(ELASTICSEARCH[-1].data(replica), target_is_directory=True)
    code, (fact, hint) = _ended(alone)
    assert code == 1
    assert "failed to obtain node locks" in fact
    assert "another process" in hint


def test_the_replicas_files_are_closed_to_other_users(replica):
    for node in PRODUCTION.nodes:
        assert Path(configuration.folder(replica, node)).stat().st_mode & 0o077 == 0
