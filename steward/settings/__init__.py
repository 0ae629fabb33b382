"""Where the servers are and how to reach their secrets: one frozen model, built at the edge and passed inward.

`STEWARD_SETTINGS` names one TOML file of endpoints and secret *references*. The replica writes such a file for its
own servers; production writes one for its own. No other code differs between the two.

Each table of the file has its model in the module of its concern; `whole` puts them together, `loading` reads them.
"""

from steward.settings.addresses import LOOPBACK
from steward.settings.base import VARIABLE, Credentials
from steward.settings.costs import Costs
from steward.settings.evidence import Evidence, ObjectStore, S3Store
from steward.settings.flags import FlagApplication, Flags, FlagToken
from steward.settings.gateway import Gateway, Provider
from steward.settings.keys import Application, Audit, Keyring
from steward.settings.loading import load
from steward.settings.notices import GitHubTarget, MailTarget, Notices, NoticeTarget, SlackTarget
from steward.settings.operations import Operations
from steward.settings.pipeline import Announce, Pipeline, PipelineDatabase, PipelineRepository, SuiteBounds
from steward.settings.postgres import Postgres
from steward.settings.redis import Redis
from steward.settings.references import FileRef, SecretRef, read_secret
from steward.settings.rollout import ApplicationHost, Balancer, GuardQuery, Prometheus
from steward.settings.search import SearchCluster
from steward.settings.snapshots import (
    BucketPlace,
    BucketRepository,
    BucketStaging,
    FolderRepository,
    FolderStaging,
    Offsite,
    Snapshots,
)
from steward.settings.vault import Vault
from steward.settings.webhooks import GitHubApi, GitHubApp, GitHubSource, SignedSource, Webhooks
from steward.settings.whole import Settings

__all__ = [
    "LOOPBACK",
    "VARIABLE",
    "Announce",
    "Application",
    "ApplicationHost",
    "Audit",
    "Balancer",
    "BucketPlace",
    "BucketRepository",
    "BucketStaging",
    "Costs",
    "Credentials",
    "Evidence",
    "FileRef",
    "FlagApplication",
    "FlagToken",
    "Flags",
    "FolderRepository",
    "FolderStaging",
    "Gateway",
    "GitHubApi",
    "GitHubApp",
    "GitHubSource",
    "GitHubTarget",
    "GuardQuery",
    "Keyring",
    "MailTarget",
    "NoticeTarget",
    "Notices",
    "ObjectStore",
    "Offsite",
    "Operations",
    "Pipeline",
    "PipelineDatabase",
    "PipelineRepository",
    "Postgres",
    "Prometheus",
    "Provider",
    "Redis",
    "S3Store",
    "SearchCluster",
    "SecretRef",
    "Settings",
    "SignedSource",
    "SlackTarget",
    "Snapshots",
    "SuiteBounds",
    "Vault",
    "Webhooks",
    "load",
    "read_secret",
]
