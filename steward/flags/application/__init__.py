"""What an application needs to be released behind flags, with any ASGI framework and any provider of OpenFeature.

    outcomes = Outcomes(salt, kinds=["ordered"])
    flags = connect(FlagServer("flags.example.net:8015", ca_file=ca_file), [ExposureHook(outcomes)])
    app = OutcomeMiddleware(app, outcomes, user_of=lambda scope: scope["session"]["user"])

    with Writer(outcomes, PostgresStore(url, password, instance)):
        ...                                                     # serve
        flags.get_boolean_value("new-search", False)            # in a request: for its user
        outcomes.met("ordered")                                 # there, too: what a plan may have for a metric

Nothing of it fails a request or makes it wait. docs/flags-in-an-application.md says what it counts, and what it costs.
"""

from steward.flags.application.asgi import OutcomeMiddleware
from steward.flags.application.connect import FlagServer, connect, disconnect, is_ready
from steward.flags.application.hook import ExposureHook
from steward.flags.application.kinds import UnknownKind, UnusableKinds
from steward.flags.application.metrics import OutcomeCollector, RequestMetrics
from steward.flags.application.outcomes import Outcomes
from steward.flags.application.store import PostgresStore
from steward.flags.application.writer import Writer

__all__ = [
    "ExposureHook",
    "FlagServer",
    "OutcomeCollector",
    "OutcomeMiddleware",
    "Outcomes",
    "PostgresStore",
    "RequestMetrics",
    "UnknownKind",
    "UnusableKinds",
    "Writer",
    "connect",
    "disconnect",
    "is_ready",
]
